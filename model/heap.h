/* A counting host allocator. Every engine owns one, so that `memory` oracles read live and peak bytes and tests can
 * make the n-th allocation fail. Not thread-safe: one heap belongs to one engine, one engine to one thread. */
#ifndef OD_MODEL_HEAP_H
#define OD_MODEL_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/status.h"

typedef struct od_heap {
    size_t live, peak; /* bytes handed out, without the heap's own headers */
    uint64_t calls;    /* allocations asked for so far */
    uint64_t fail_at;  /* the allocation with this number (1 = the first) and all later ones fail; 0 = never */
} od_heap;

/* count * size bytes, zeroed, aligned to 64. NULL with *e filled (OD_NO_MEMORY: how much was asked for, `what` for) on
 * overflow, exhaustion or a planned failure. count or size of 0 gives a valid empty block. */
void *od_heap_alloc(od_heap *heap, size_t count, size_t size, const char *what, od_error *e);

/* Counts an allocation that is made elsewhere (of a device's memory) among the heap's: true where a test planned its
 * failure. */
bool od_heap_refuses(od_heap *heap);

/* Gives a block back; NULL is fine. */
void od_heap_free(od_heap *heap, void *block);

/* For a process that plays case after case: what is freed stays with malloc for the next case, up to some hundred MiB,
 * and does not come back from the system page by page (an eighth of a small case's time). Once, before threads. */
void od_heap_keep(void);

/* Asks the system for huge pages in a block that was not written yet: a first touch page by page of a large model's
 * weights takes longer than drawing them. Changes no content; nothing happens where the system has none. */
void od_heap_hint(void *block, size_t bytes);

#endif
