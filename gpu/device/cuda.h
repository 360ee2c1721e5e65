/* The CUDA device from within: cuda.c runs work, cuda_memory.c owns buffers and moves bytes. */
#ifndef OD_GPU_DEVICE_CUDA_H
#define OD_GPU_DEVICE_CUDA_H

#include <cuda_runtime_api.h>

#include "gpu/device/buffer.h"
#include "gpu/device/device.h"
#include "gpu/device/lt.h"

/* A fused product's shape and the tile to use for it. */
typedef struct choice {
    struct choice *next;
    uint32_t outs, depth, epilogue;
    size_t max_rows;
    int config;
} choice;

struct od_device {
    od_heap *heap;
    od_buffers buffers;
    cudaStream_t streams[OD_STREAMS];
    cudaEvent_t events[OD_STREAMS];
    od_lt *lt;       /* plain products */
    choice *choices; /* fused products that were timed */
    unsigned n_stream;
    char *mailbox; /* page-locked, OD_MAILBOX bytes: copies from it need not wait for the driver to stage them, and
                      kernels write to it */
    size_t mailed; /* bytes of it in use, until the next synchronisation */
    bool checked;  /* no work was given since all guard bands were looked at */
    bool tf32, capturing, rehearsing;
    size_t captured_nodes;
    od_device_stats stats;
};

enum { OD_MAILBOX = 256 * 1024 };

/* OD_NO_MEMORY or OD_DEVICE_FAULT, with what failed. */
enum od_status od_cuda_failed(cudaError_t code, const char *what, od_error *e);

#define CUDA(call, what)                                                                                               \
    do {                                                                                                               \
        cudaError_t code_ = (call);                                                                                    \
        if (code_ != cudaSuccess) return od_cuda_failed(code_, what, e);                                               \
    } while (0)

/* cuda_memory.c: od_device_ops' members of these names. */
enum od_status od_cuda_alloc(od_device *dev, void **out, size_t bytes, const char *what, od_error *e);
enum od_status od_cuda_alloc_many(od_device *dev, const od_slice *slices, size_t n, od_error *e);
enum od_status od_cuda_free(od_device *dev, void *data, od_error *e);
bool od_cuda_pin(od_device *dev, const void *memory, size_t bytes);
void od_cuda_unpin(od_device *dev, const void *memory);
enum od_status od_cuda_upload(od_device *dev, void *to, const void *from, size_t bytes, od_error *e);
enum od_status od_cuda_download(od_device *dev, void *to, const void *from, size_t bytes, od_error *e);
enum od_status od_cuda_download_rows(od_device *dev, const od_rows_copy *rows, size_t n, od_error *e);
enum od_status od_cuda_fill(od_device *dev, const od_fill *fills, size_t n, od_error *e);
enum od_status od_cuda_sync(od_device *dev, od_error *e);
enum od_status od_cuda_check(od_device *dev, od_error *e);

/* Page-locked memory takes a millisecond to get: one mailbox waits for the next device. */
enum od_status od_cuda_mailbox_take(od_device *dev, od_error *e);
void od_cuda_mailbox_leave(od_device *dev);

#endif
