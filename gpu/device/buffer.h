/* The buffers of a device: slices of pieces of memory, each between guard bands. Bookkeeping only; how memory is taken,
 * filled and looked at is the back end's. */
#ifndef OD_GPU_DEVICE_BUFFER_H
#define OD_GPU_DEVICE_BUFFER_H

#include "gpu/device/device.h"

typedef struct od_piece od_piece;

/* guard band, bytes, guard band; raw is aligned to OD_GUARD. */
typedef struct od_buffer {
    struct od_buffer *next, **link;
    od_piece *piece;
    size_t at, bytes; /* at: of raw in its piece */
    char *raw;
    char what[48];
} od_buffer;

typedef struct od_buffers {
    od_buffer *first; /* the newest */
    od_heap *heap;
    size_t live, peak; /* bytes asked for, without guard bands */
    size_t taken;      /* bytes of all pieces, bands included */
} od_buffers;

/* Takes `bytes` of memory aligned to OD_GUARD, or fails with a message that says how much is free.
 * live: bytes in use so far. */
typedef enum od_status (*od_take_memory)(char **out, size_t bytes, const char *what, size_t live, od_error *e);

/* n buffers in one piece; all or none. *piece_raw and *piece_bytes: the whole piece, bands included, for filling. The
 * new buffers are the first n of the list, the last slice first. OD_NO_MEMORY. */
enum od_status od_buffers_add(od_buffers *list, const od_slice *slices, size_t n, od_take_memory take, char **piece_raw,
                              size_t *piece_bytes, od_error *e);

/* The buffer whose bytes begin at data; it must be there. */
od_buffer *od_buffers_find(const od_buffers *list, const void *data);

/* Forgets a buffer. The piece's memory, which the caller then gives back, if it was the piece's last; else NULL. */
char *od_buffers_remove(od_buffers *list, od_buffer *b);

/* OD_DEVICE_FAULT: something wrote before or past the end of b. bands: the 2·OD_GUARD bytes found there. */
enum od_status od_buffer_check(const od_buffer *b, const unsigned char *bands, const char *device, od_error *e);

#endif
