/* Answers as short numbers, so that a report from another day, card, driver or build can be compared with this one's
 * without the answers themselves (baseline.h keeps those). */
#ifndef OD_ORACLES_DIGEST_H
#define OD_ORACLES_DIGEST_H

#include "oracles/trace.h"

/* All tensors of a class in a step class. */
typedef struct od_digest {
    size_t n;      /* tensors; 0: the digest is empty */
    uint64_t hash; /* XXH64 over their names, types, shapes and bits, in the order of the calls */
} od_digest;

typedef struct od_digests {
    od_digest of[OD_TENSORS][OD_STEPS];
} od_digests;

/* Of everything in the trace; tensors of no class are left out. Reads hashes only. */
void od_digests_fill(od_digests *out, const od_trace *trace);

#endif
