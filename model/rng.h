/* Counter-based random numbers: Philox4x64-10 of Random123 (Salmon et al., SC 2011). A stream is named by two 64-bit
 * keys; number n of a stream depends on (key0, key1, n) alone, so order and thread count never matter. */
#ifndef OD_MODEL_RNG_H
#define OD_MODEL_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct od_rng {
    uint64_t key[2];
    uint64_t counter; /* number of the next draw of od_rng_next */
    uint64_t block[4];
    uint64_t block_at; /* which block of four is in `block`; UINT64_MAX: none */
} od_rng;

od_rng od_rng_make(uint64_t key0, uint64_t key1);

/* Key of a named stream: XXH64 of the text. */
uint64_t od_rng_name_key(const char *name);

/* Draw number n of the stream, without moving it: word n mod 4 of Philox block n div 4. */
uint64_t od_rng_at(const od_rng *rng, uint64_t n);

uint64_t od_rng_next(od_rng *rng);

/* Uniform in [0, 1): the top 53 bits. */
double od_rng_uniform(od_rng *rng);

/* Uniform in lo…hi, both included, without modulo bias beyond 2^-64·(hi-lo+1). lo <= hi. */
uint64_t od_rng_range(od_rng *rng, uint64_t lo, uint64_t hi);

/* Standard normal by Box-Muller (two draws a number, the cosine branch). */
double od_rng_normal(od_rng *rng);

/* count floats in U(-bound, bound): element i is draw first + i of the stream (key0, key1). first: a multiple of 4. */
void od_rng_fill_uniform(float *out, size_t first, size_t count, double bound, uint64_t key0, uint64_t key1);

/* count floats of mean + sigma·N(0,1): element i uses draws 2i and 2i+1. */
void od_rng_fill_normal(float *out, size_t count, double mean, double sigma, uint64_t key0, uint64_t key1);

#endif
