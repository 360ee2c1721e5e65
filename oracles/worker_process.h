/* A worker's process, as its judge sees it: started, asked, ended. Private to worker_*.c. */
#ifndef OD_ORACLES_WORKER_PROCESS_H
#define OD_ORACLES_WORKER_PROCESS_H

#include <sys/types.h>

#include "oracles/wire.h"

typedef struct od_worker {
    od_wire wire;
    pid_t pid; /* 0: it is gone, and *error says why */
    double timeout;
    char name[104]; /* for messages */
    od_error error;
    bool untold;    /* it died in a call that has no status, and no other was made since */
    unsigned users; /* engines in it, and its place (worker_engine.c) */
} od_worker;

/* OD_IO, OD_NO_MEMORY: nothing was started. */
enum od_status od_worker_start(od_worker **out, const char *name, const char *const *argv, double timeout, od_error *e);

/* Closes the stream, waits for the process to end by itself and kills it where it does not. OD_CRASHED where it did not
 * end well, OD_HUNG where it had to be killed. NULL is fine. */
enum od_status od_worker_end(od_worker *w, od_error *e);

/* Sends a request, which is given up to the function, and waits for the answer. *answer (the caller's) is set where the
 * status is OD_OK. A request that cannot be made or sent (wire.h) is returned as it is, and the worker lives. What the
 * worker answers with another status is returned with its text; OD_CRASHED, OD_HUNG and
 * OD_DEVICE_FAULT as in worker.h, and the process is gone then. */
enum od_status od_worker_ask(json_t **answer, od_worker *w, json_t *request, od_error *e);

/* A request whose answer holds nothing but its status. */
enum od_status od_worker_tell(od_worker *w, json_t *request, od_error *e);

/* The same for calls without a status: what goes wrong is told by the next call that has one, or is noted in *pending
 * (where nothing is yet). */
void od_worker_tell_quietly(od_worker *w, json_t *request, od_error *pending);

/* One user less; the last one ends the process, and what is wrong with its end, or was not told, is noted in *pending.
 * NULL is fine. */
void od_worker_release(od_worker *w, od_error *pending);

/* The answer does not keep to the protocol, as *e says: kills the worker. */
enum od_status od_worker_broken(od_worker *w, const char *request, od_error *e);

#endif
