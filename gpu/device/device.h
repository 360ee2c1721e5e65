/* One small interface over a device: memory, streams, launch, graph capture, products. Two back ends implement it:
 * cuda.c (CUDA runtime + cuBLAS) and host.c (the twin). Engine code above it is the same for both.
 *
 * Streams are numbered 0 … OD_STREAMS-1; work on one stream is in order, od_device_ops.fork makes one wait for another.
 * During a capture launches, products and forks are recorded instead of run, with their arguments frozen.
 * After OD_DEVICE_FAULT a device can only be closed. */
#ifndef OD_GPU_DEVICE_H
#define OD_GPU_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu/kernels/kernels.h"
#include "model/heap.h"
#include "model/options.h"

enum {
    OD_STREAMS = 4,
    OD_GUARD = 256, /* bytes of guard band before and behind every buffer */
    OD_GUARD_BYTE = 0xA5,
    OD_POISON_BYTE = 0xFF /* fresh memory: NaN as float, -1 as integer */
};

typedef struct od_device od_device;
typedef struct od_graph od_graph;

typedef struct od_device_stats {
    size_t live, peak;     /* bytes asked for, without guard bands */
    size_t used;           /* bytes in use on the device as its driver says, by anybody; the twin's own, with bands */
    uint64_t launches;     /* kernels and products, also as nodes of a replay */
    uint64_t waits;        /* of the host for the device */
    uint64_t copied;       /* bytes, by upload */
    const char *math_mode; /* of products: as the library reports it, or our own product's method */
    const char *name;      /* of the device */
} od_device_stats;

/* One buffer of several that are allocated together. */
typedef struct od_slice {
    void **out;
    size_t bytes;
    const char *what;
} od_slice;

/* n rows of `bytes` bytes, `apart` bytes from one to the next on the device, without gaps on the host. */
typedef struct od_rows_copy {
    void *to;
    const void *from;
    size_t apart, bytes, n;
} od_rows_copy;

/* Bytes that get one value. The pieces of one fill do not overlap: a GPU fills them in no order. */
typedef struct od_fill {
    void *to;
    size_t bytes;
    int byte;
} od_fill;

typedef struct od_device_ops {
    const char *name;
    bool emulated; /* the twin: no tensor cores, no TF32 */

    enum od_status (*probe)(od_error *e);
    enum od_status (*open)(od_device **out, const od_options *options, od_heap *heap, od_error *e);
    void (*close)(od_device *dev); /* every buffer and graph must have been freed */

    /* bytes of poisoned memory between guard bands; aligned to 256. OD_NO_MEMORY says how much was asked and free. */
    enum od_status (*alloc)(od_device *dev, void **out, size_t bytes, const char *what, od_error *e);
    /* n buffers in one piece of memory (an arena), each as alloc makes it, with guard bands of its own; all or none.
     * Each is freed by itself, the piece goes with its last. */
    enum od_status (*alloc_many)(od_device *dev, const od_slice *slices, size_t n, od_error *e);
    /* Frees, and checks the guard bands: OD_DEVICE_FAULT names the buffer that was overrun (it is freed all the same).
     */
    enum od_status (*free)(od_device *dev, void *buffer, od_error *e);
    /* Locks host memory in its pages until unpin, where the system lets it: uploads from it are twice as fast, and go
     * on behind the call, so that a sync stands before unpin. False where nothing was locked; then unpin is not to
     * follow. Engines of one process take turns. */
    bool (*pin)(od_device *dev, const void *memory, size_t bytes);
    void (*unpin)(od_device *dev, const void *memory);
    enum od_status (*upload)(od_device *dev, void *to, const void *from, size_t bytes, od_error *e);   /* stream 0 */
    enum od_status (*download)(od_device *dev, void *to, const void *from, size_t bytes, od_error *e); /* synchronous */
    enum od_status (*download_rows)(od_device *dev, const od_rows_copy *rows, size_t n, od_error *e);  /* n at once */
    enum od_status (*fill)(od_device *dev, const od_fill *fills, size_t n, od_error *e);               /* stream 0 */

    /* Starts a kernel; args (args_size bytes) are copied. */
    enum od_status (*launch)(od_device *dev, unsigned stream, enum od_kernel kernel, od_grid grid, const void *args,
                             size_t args_size, od_error *e);
    /* y[m,n] = x[m,k] · w[n,k]ᵀ, float32, row-major, no aliasing. */
    enum od_status (*gemm)(od_device *dev, unsigned stream, float *y, const float *x, const float *w, size_t m,
                           size_t n, size_t k, od_error *e);
    /* od_product_args (kernels.h) without a norm, on stream 0, for at most max_rows rows and most
     * likely for likely_rows (how it is tiled may follow from that, no bit does): how many there are and where
     * x and y lie is read from the call block when the product runs. Float32 to the contract; rows do not depend on
     * each other. On CUDA three TF32 products on tensor cores, on the twin the loop of gemm. */
    enum od_status (*product)(od_device *dev, const od_product_args *args, size_t max_rows, size_t likely_rows,
                              od_error *e);
    /* Work given to `waiter` from now on waits for all work given to `on` until now. */
    enum od_status (*fork)(od_device *dev, unsigned waiter, unsigned on, od_error *e);

    /* Between rehearse(true) and rehearse(false) launches and forks do nothing, and products are timed, each shape
     * once, to choose how they run from now on (options.autotune); y of a fused product is overwritten, x and y must
     * hold finite numbers. The twin has nothing to choose and only overwrites y. */
    void (*rehearse)(od_device *dev, bool on);

    enum od_status (*capture_begin)(od_device *dev, od_error *e);
    /* Every other stream must have been joined into stream 0. */
    enum od_status (*capture_end)(od_device *dev, od_graph **out, od_error *e);
    enum od_status (*replay)(od_device *dev, od_graph *graph, od_error *e); /* on stream 0 */
    void (*graph_free)(od_device *dev, od_graph *graph);

    /* Waits for all streams; OD_DEVICE_FAULT with the first error since the last sync. The twin also checks every
     * guard band here. */
    enum od_status (*sync)(od_device *dev, od_error *e);
    /* Waits, and looks at every guard band: OD_DEVICE_FAULT names the first buffer that was overrun. */
    enum od_status (*check)(od_device *dev, od_error *e);
    void (*stats)(od_device *dev, od_device_stats *out);
} od_device_ops;

const od_device_ops *od_device_cuda(void);
const od_device_ops *od_device_host(void);

#endif
