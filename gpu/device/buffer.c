#include "gpu/device/buffer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct od_piece {
    char *raw;
    size_t bytes, n_buffer; /* not yet removed */
};

/* Bytes that a buffer takes up with its bands, in multiples of OD_GUARD; false on overflow. */
static bool whole_size(size_t *out, size_t bytes) {
    size_t whole = 0;
    if (!od_size_add(&whole, bytes, 3 * OD_GUARD - 1)) return false;
    *out = whole / OD_GUARD * OD_GUARD;
    return true;
}

static void forget(od_buffers *list, od_buffer *b) {
    *b->link = b->next;
    if (b->next) b->next->link = b->link;
    list->live -= b->bytes;
    od_heap_free(list->heap, b);
}

static enum od_status enter(od_buffers *list, const od_slice *s, od_piece *piece, size_t at, od_error *e) {
    od_buffer *b = od_heap_alloc(list->heap, 1, sizeof *b, s->what, e);
    if (!b) return OD_NO_MEMORY;
    *b = (od_buffer){.next = list->first, .link = &list->first, .piece = piece, .bytes = s->bytes, .at = at};
    snprintf(b->what, sizeof b->what, "%s", s->what);
    if (b->next) b->next->link = &b->next;
    list->first = b;
    list->live += s->bytes;
    return OD_OK;
}

/* The records come before the memory, so that a refusal of either has only records to undo. */
enum od_status od_buffers_add(od_buffers *list, const od_slice *slices, size_t n, od_take_memory take, char **piece_raw,
                              size_t *piece_bytes, od_error *e) {
    const size_t live = list->live;
    size_t total = 0, entered = 0;
    enum od_status status = OD_OK;
    assert(n > 0);
    od_piece *piece = od_heap_alloc(list->heap, 1, sizeof *piece, slices[0].what, e);
    if (!piece) return OD_NO_MEMORY;
    piece->n_buffer = n;
    for (; entered < n && !status; entered += !status) {
        const size_t at = total;
        size_t whole = 0;
        if (!whole_size(&whole, slices[entered].bytes) || !od_size_add(&total, total, whole))
            status = od_fail(e, OD_NO_MEMORY, "%s: %zu bytes are more than an address space holds",
                             slices[entered].what, slices[entered].bytes);
        else
            status = enter(list, &slices[entered], piece, at, e);
    }
    if (!status && od_heap_refuses(list->heap))
        status =
            od_fail(e, OD_NO_MEMORY, "%s: cannot allocate %zu bytes of device memory (%zu live): planned by a test",
                    slices[0].what, total, live);
    if (!status) status = take(&piece->raw, total, slices[0].what, live, e);
    if (status) {
        while (entered--) forget(list, list->first);
        od_heap_free(list->heap, piece);
        return status;
    }
    od_buffer *b = list->first;
    for (size_t i = n; i-- > 0; b = b->next) {
        b->raw = piece->raw + b->at;
        *slices[i].out = b->raw + OD_GUARD;
    }
    if (list->live > list->peak) list->peak = list->live;
    piece->bytes = total;
    list->taken += total;
    *piece_raw = piece->raw;
    *piece_bytes = total;
    return OD_OK;
}

od_buffer *od_buffers_find(const od_buffers *list, const void *data) {
    od_buffer *b = list->first;
    while (b && b->raw + OD_GUARD != (const char *)data) b = b->next;
    assert(b);
    return b;
}

char *od_buffers_remove(od_buffers *list, od_buffer *b) {
    od_piece *piece = b->piece;
    char *raw = NULL;
    forget(list, b);
    if (--piece->n_buffer == 0) {
        raw = piece->raw;
        list->taken -= piece->bytes;
        od_heap_free(list->heap, piece);
    }
    return raw;
}

static bool is_whole(const unsigned char *band) {
    return band[0] == OD_GUARD_BYTE && memcmp(band, band + 1, OD_GUARD - 1) == 0; /* each byte is as the one before */
}

enum od_status od_buffer_check(const od_buffer *b, const unsigned char *bands, const char *device, od_error *e) {
    const bool before = is_whole(bands);
    if (before && is_whole(bands + OD_GUARD)) return OD_OK;
    return od_fail(e, OD_DEVICE_FAULT, "%s: something wrote %s buffer %s (%zu bytes)", device,
                   before ? "past the end of" : "before", b->what, b->bytes);
}
