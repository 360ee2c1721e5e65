/* The switches of a fast path: what bisection turns, what a case may ask for, what --set takes. */
#ifndef OD_MODEL_OPTIONS_H
#define OD_MODEL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/status.h"

/* KV cache of decode: recompute everything; a cache that grows; a preallocated one with its length on the device. */
enum od_cache { OD_CACHE_OFF, OD_CACHE_DYNAMIC, OD_CACHE_FIXED };

typedef struct od_options {
    bool graph; /* capture and replay, else plain launches */
    enum od_cache cache;
    bool fused;        /* fused kernels where there are any */
    bool autotune;     /* choose product algorithms by timing */
    bool tf32;         /* let products round to TF32 (breaks the contract; for showing that it does) */
    unsigned threads;  /* host threads, 1 … 64: of OpenBLAS in the reference, and of drawing weights */
    unsigned streams;  /* device streams, 1 … 4 */
    unsigned captures; /* most graphs that an engine may capture, 1 … 1024; beyond it falls back to plain launches */
    uint64_t order;    /* twin: seed of thread order and of replay order; 0 = forward */
    bool hidden;       /* outputs carry hidden states */
    bool last_head; /* a prefill's outputs are those of its last patch alone, as a decode's: a forecast needs no more */
} od_options;

/* graph on, cache fixed, fused off, autotune off, tf32 off, threads 1, streams 2, captures 8, order 1, hidden and
 * last_head off. */
od_options od_options_default(void);

/* The same case without what makes the fast path fast: graph, autotune and fused off. */
od_options od_options_plain(const od_options *options);

/* "graph=on", "cache=fixed", "threads=4". OD_BAD_INPUT lists the switches or the values. `hidden` and `last_head` are
 * no switches. */
enum od_status od_options_set(od_options *options, const char *assignment, od_error *e);

/* Name and value as text of switch i ("graph", "on"), for lists and canonical JSON; NULL past the end. */
const char *od_options_name(size_t i);
char *od_options_value(const od_options *options, size_t i, char *text, size_t size);

const char *od_cache_name(enum od_cache cache);

#endif
