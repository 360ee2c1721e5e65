#include "model/heap.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Each block is led by an alignment unit that says where its memory begins and how much was asked for. */
enum { HEADER = 64 };
struct header {
    char *base;
    size_t bytes;
};

void od_heap_keep(void) {
    enum { MIB = 1 << 20 };
    mallopt(M_MMAP_THRESHOLD, 32 * MIB); /* the most that glibc takes: larger blocks go back at once */
    mallopt(M_TRIM_THRESHOLD, 256 * MIB);
    mallopt(M_TOP_PAD, 16 * MIB);
}

void od_heap_hint(void *block, size_t bytes) {
    enum { HUGE = 1 << 21, WORTH = 4 * HUGE };
    if (bytes < WORTH) return; /* the pages at both ends stay small */
    char *first = (char *)block + (HUGE - (uintptr_t)block % HUGE) % HUGE;
    madvise(first, (size_t)((char *)block + bytes - first) / HUGE * HUGE, MADV_HUGEPAGE);
}

bool od_heap_refuses(od_heap *heap) {
    heap->calls++;
    return heap->fail_at && heap->calls >= heap->fail_at;
}

void *od_heap_alloc(od_heap *heap, size_t count, size_t size, const char *what, od_error *e) {
    size_t bytes, whole;
    assert(heap && what);
    const bool refused = od_heap_refuses(heap);
    if (!od_size_mul(&bytes, count, size) || !od_size_add(&whole, bytes, 2 * HEADER)) {
        od_fail(e, OD_NO_MEMORY, "%s: %zu x %zu bytes overflow a size", what, count, size);
        return NULL;
    }
    /* calloc, aligned by hand: it need not touch what comes fresh from the system */
    char *base = NULL;
    if (!refused) base = calloc(1, whole);
    if (!base) {
        od_fail(e, OD_NO_MEMORY, "%s: cannot allocate %zu bytes of host memory (%zu live)", what, bytes, heap->live);
        return NULL;
    }
    od_heap_hint(base, whole);
    char *raw = base + (HEADER - (uintptr_t)base % HEADER) % HEADER;
    const struct header header = {base, bytes};
    memcpy(raw, &header, sizeof header);
    heap->live += bytes;
    if (heap->live > heap->peak) heap->peak = heap->live;
    return raw + HEADER;
}

void od_heap_free(od_heap *heap, void *block) {
    if (!block) return;
    char *raw = (char *)block - HEADER;
    struct header header;
    memcpy(&header, raw, sizeof header);
    assert(heap->live >= header.bytes);
    heap->live -= header.bytes;
    free(header.base);
}
