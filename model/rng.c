#include "model/rng.h"

#include <assert.h>
#include <math.h>
#include <Random123/philox.h>
#include <string.h>
#include <xxhash.h>

#include "faults/fault.h"

od_rng od_rng_make(uint64_t key0, uint64_t key1) {
    return (od_rng){.key = {key0, key1}, .block_at = UINT64_MAX};
}

uint64_t od_rng_name_key(const char *name) {
    return XXH64(name, strlen(name), 0);
}

static philox4x64_ctr_t philox(const uint64_t key[2], uint64_t block) {
    philox4x64_ctr_t c = {{block, 0, 0, 0}};
    philox4x64_key_t k = {{key[0], key[1]}};
    return philox4x64(c, k);
}

uint64_t od_rng_at(const od_rng *rng, uint64_t n) {
    return philox(rng->key, n / 4).v[n % 4];
}

uint64_t od_rng_next(od_rng *rng) {
    uint64_t n = rng->counter++;
    if (rng->block_at != n / 4) {
        philox4x64_ctr_t b = philox(rng->key, n / 4);
        memcpy(rng->block, b.v, sizeof rng->block);
        rng->block_at = n / 4;
    }
    return rng->block[n % 4];
}

static double to_unit(uint64_t bits) {
    return (double)(bits >> 11) * 0x1p-53;
}

double od_rng_uniform(od_rng *rng) {
    return to_unit(od_rng_next(rng));
}

uint64_t od_rng_range(od_rng *rng, uint64_t lo, uint64_t hi) {
    assert(lo <= hi);
    uint64_t span = hi - lo + 1, draw = od_rng_next(rng);
    if (span == 0) return draw; /* the whole of uint64_t */
    return lo + (uint64_t)(((unsigned __int128)draw * span) >> 64);
}

/* u1 is moved off zero by half a step so that the logarithm is finite. */
static double box_muller(uint64_t a, uint64_t b) {
    double u1 = to_unit(a) + 0x1p-54, u2 = to_unit(b);
    return sqrt(-2 * log(u1)) * cos(2 * 3.14159265358979323846 * u2);
}

double od_rng_normal(od_rng *rng) {
    uint64_t a = od_rng_next(rng), b = od_rng_next(rng);
    return box_muller(a, b);
}

void od_rng_fill_uniform(float *out, size_t first, size_t count, double bound, uint64_t key0, uint64_t key1) {
    const uint64_t key[2] = {key0, key1};
    assert(first % 4 == 0);
    for (size_t i = 0; i < count; i += 4) {
        philox4x64_ctr_t b = philox(key, (first + i) / 4);
        for (size_t j = 0; j < 4 && i + j < count; j++) out[i + j] = (float)(bound * (2 * to_unit(b.v[j]) - 1));
    }
}

void od_rng_fill_normal(float *out, size_t count, double mean, double sigma, uint64_t key0, uint64_t key1) {
    const uint64_t key[2] = {key0, key1};
    for (size_t i = 0; i < count; i += 2) {
        philox4x64_ctr_t b = philox(key, i / 2);
        out[i] = (float)(mean + sigma * box_muller(b.v[0], b.v[1]));
        if (OD_FAULT_ON(RNG_PAIR)) b.v[3] = b.v[1];
        if (i + 1 < count) out[i + 1] = (float)(mean + sigma * box_muller(b.v[2], b.v[3]));
    }
}
