/* A flight recorder: one file, mapped into memory by the process that plays cases and by whoever watches it. It says
 * what is played now, since when, and what came of the cases before; whatever ends the process, the file stays. Writing
 * costs no system call. One process writes; others look at any time and may see a count that is one input old. */
#ifndef OD_ORACLES_RECORDER_H
#define OD_ORACLES_RECORDER_H

#include <stdint.h>

#include "oracles/judge.h"

enum { OD_RECORD_MAGIC = 0x4352444f /* "ODRC" */, OD_RECORD_VERSION = 1, OD_RECORD_INPUT = 1 << 16 };

/* The file's layout, native byte order, fields of 8 bytes but for the input. */
typedef struct od_record {
    uint64_t magic, version;
    uint64_t pid;               /* of the process that writes */
    uint64_t started, finished; /* inputs; equal between two of them */
    double since;               /* od_seconds() when either was raised last; comparable on one machine until it boots */

    /* What the inputs so far came to (od_tally and the engines' counters, added up). */
    uint64_t cases;                /* judged; started counts inputs that were none as well */
    uint64_t outcome[OD_OUTCOMES]; /* by enum od_outcome */
    uint64_t unusable;             /* inputs that name a file that is not there, or bytes that were refused */
    uint64_t compared;             /* tensors held to the contract */
    uint64_t ruled[OD_ORACLES];    /* cases in which the oracle of that number said PASS, FINDING or KNOWN */
    uint64_t captures, replays, cache_hits, fallbacks;
    double worst_mae, worst_share; /* -1: none yet */

    uint64_t input_bytes; /* of the input that runs, or ran last; more than OD_RECORD_INPUT: only so many are here */
    uint8_t input[OD_RECORD_INPUT];
} od_record;

/* Creates or empties the file and maps it; OD_IO. The file stays when the process ends. */
enum od_status od_recorder_open(od_record **out, const char *path, od_error *e);

/* Maps a file that another process writes, to read; OD_BAD_INPUT: it is no record of this version. */
enum od_status od_recorder_look(const od_record **out, const char *path, od_error *e);

/* Takes NULL. */
void od_recorder_close(const od_record *r);

/* An input begins, and it ended (also without a verdict). r == NULL: nothing. */
void od_recorder_start(od_record *r, const void *input, size_t bytes);
void od_recorder_finish(od_record *r);

/* What a judged case came to; between start and finish. Its evidence is read for the engines' counters. */
void od_recorder_add(od_record *r, const od_verdict *v);

#endif
