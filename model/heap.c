#include "model/heap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Each block carries its size in a header of one alignment unit. */
enum { HEADER = 64 };

void *od_heap_alloc(od_heap *heap, size_t count, size_t size, const char *what, od_error *e) {
    size_t bytes, whole;
    assert(heap && what);
    heap->calls++;
    if (!od_size_mul(&bytes, count, size) || !od_size_add(&whole, bytes, 2 * HEADER)) {
        od_fail(e, OD_NO_MEMORY, "%s: %zu x %zu bytes overflow a size", what, count, size);
        return NULL;
    }
    whole = whole / HEADER * HEADER; /* aligned_alloc wants a multiple of the alignment */
    char *raw = NULL;
    if (!heap->fail_at || heap->calls < heap->fail_at) raw = aligned_alloc(HEADER, whole);
    if (!raw) {
        od_fail(e, OD_NO_MEMORY, "%s: cannot allocate %zu bytes of host memory (%zu live)", what, bytes, heap->live);
        return NULL;
    }
    memset(raw, 0, whole);
    memcpy(raw, &bytes, sizeof bytes);
    heap->live += bytes;
    if (heap->live > heap->peak) heap->peak = heap->live;
    return raw + HEADER;
}

void od_heap_free(od_heap *heap, void *block) {
    if (!block) return;
    char *raw = (char *)block - HEADER;
    size_t bytes;
    memcpy(&bytes, raw, sizeof bytes);
    assert(heap->live >= bytes);
    heap->live -= bytes;
    free(raw);
}
