/* Softmax attention in float64, with the bound of float32's error, for tests of the attention kernels. */
#ifndef OD_TESTS_GPU_ATTEND64_H
#define OD_TESTS_GPU_ATTEND64_H

#include <stdbool.h>
#include <stdint.h>

enum { ATTEND64_DEPTH = 64, ATTEND64_KEYS = 260 };

/* Feature f of part (0 q, 1 k, 2 v) at a patch: in [-1, 1), by a hash of all that names it. */
float test_feature(uint64_t part, uint64_t row, uint64_t h, uint64_t patch, uint64_t f);

/* A number, and what its terms add up to without their signs. */
typedef struct attend64_sum {
    double is, size;
} attend64_sum;

typedef struct attend64_keys {
    attend64_sum k[ATTEND64_KEYS][ATTEND64_DEPTH];
    double v[ATTEND64_KEYS][ATTEND64_DEPTH]; /* |v| <= 1 */
    bool seen[ATTEND64_KEYS];
} attend64_keys;

/* out[d] = softmax(q·k/√d)·v over those of n keys that are seen. Returns what a float32 answer may be off by. */
double test_attend64(double *out, const attend64_sum *q, const attend64_keys *all, uint32_t n, uint32_t d);

#endif
