/* One end of the connection between a judge and a worker (docs/worker.md): messages, each a JSON object with its length
 * in front, and a piece of memory that both ends see, where tensors lie. Neither end trusts the other: every length is
 * held against a limit, every place in the memory against its size. */
#ifndef OD_ORACLES_WIRE_H
#define OD_ORACLES_WIRE_H

#include <jansson.h>

#include "model/case.h"

enum {
    OD_WIRE_PROTOCOL = 1,
    OD_WIRE_MOST = 1 << 22,  /* bytes of one message */
    OD_WIRE_MEMORY = 3,      /* the worker's descriptor of the shared memory */
    OD_WIRE_ALIGNMENT = 64,  /* of every tensor in it */
    OD_WIRE_TENSORS = 65536, /* of one answer */
};

typedef struct od_wire {
    int in, out; /* descriptors of the stream; one socket may be both */
    int memory;
    char *map; /* the whole memory as it was when it was last mapped */
    size_t mapped;
} od_wire;

/* Sends a message, which is given up to the function. `seconds` may be INFINITY. OD_HUNG: it was not taken in time;
 * OD_IO: the other end is gone. OD_NO_MEMORY (also for NULL), OD_BAD_INPUT (too long): nothing was sent. */
enum od_status od_wire_send(od_wire *w, json_t *message, double seconds, od_error *e);

/* The next message, an object that the caller gives back with json_decref. OD_HUNG: it did not come in time; OD_IO: the
 * stream ended; OD_BAD_INPUT: too long, cut off, or no JSON object: the stream is then of no more use. */
enum od_status od_wire_receive(json_t **out, od_wire *w, double seconds, od_error *e);

/* Makes the memory at least so large, and maps it. Pointers into it are void afterwards. */
enum od_status od_wire_room(od_wire *w, size_t bytes, od_error *e);

/* bytes at offset, borrowed until od_wire_room or another od_wire_at; NULL where they are not inside of the memory. */
void *od_wire_at(od_wire *w, size_t offset, size_t bytes);

void od_wire_unmap(od_wire *w);

/* Where the next tensor begins: at, rounded up to OD_WIRE_ALIGNMENT. False where it overflows. */
bool od_wire_align(size_t *at);

/* ---- wire_json.c: what messages are made of ---------------------------------------------------------------------- */

/* Members of an object, checked: OD_BAD_INPUT names the key. Texts are borrowed from it. */
enum od_status od_wire_size(size_t *out, const json_t *object, const char *key, size_t most, od_error *e);
enum od_status od_wire_text(const char **out, const json_t *object, const char *key, od_error *e);
enum od_status od_wire_flag(bool *out, const json_t *object, const char *key, od_error *e);

json_t *od_wire_config(const od_config *config);
enum od_status od_wire_read_config(od_config *config, const json_t *o, od_error *e); /* checked: od_config_check */

json_t *od_wire_options(const od_options *options);
enum od_status od_wire_read_options(od_options *options, const json_t *o, od_error *e);

json_t *od_wire_stats(const od_stats *stats);
enum od_status od_wire_read_stats(od_stats *stats, const json_t *o, od_error *e); /* its texts are borrowed from o */

/* {name, dtype, shape, offset}; t->data is not looked at. */
json_t *od_wire_tensor(const od_tensor *t, size_t offset);

/* The same back, its size checked and t->data found in the memory. */
enum od_status od_wire_read_tensor(od_tensor *t, od_wire *w, const json_t *o, od_error *e);

/* A JSON text of n bytes that need not be UTF-8: where they are not, each byte beyond ASCII becomes a '?'. */
json_t *od_wire_words(const char *bytes, size_t n);

/* {status: "ok"}, or {status, text}. */
json_t *od_wire_status(enum od_status status, const od_error *e);

/* What an answer says, into *e where it is no "ok". A worker cannot say that it crashed. *broken: it says nothing. */
enum od_status od_wire_read_status(bool *broken, const json_t *answer, od_error *e);

#endif
