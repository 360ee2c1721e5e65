/* Many small pieces of memory in one launch. A copy or a fill of its own costs the driver and the GPU some microseconds
 * each, however few bytes it moves, and a case of a small model has hundreds of them. */
#ifndef OD_GPU_TRANSFER_H
#define OD_GPU_TRANSFER_H

#include "gpu/device/device.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { OD_TRANSFER_MOST = 64 }; /* pieces of a launch: its arguments are at most 4 KiB */

/* n rows of `bytes` bytes each, from the device to page-locked memory or the device. n pieces, at most
 * OD_TRANSFER_MOST, of any sizes and alignments, also empty ones; sixteen-byte words are fastest. No two pieces write
 * the same byte: they run in no order. What is written is there once `stream`, a cudaStream_t, was waited for. Any
 * thread. Returns a cudaError_t. */
int od_transfer_gather(const od_rows_copy *pieces, size_t n, void *stream);
/* The same for bytes that get one value. */
int od_transfer_fill(const od_fill *pieces, size_t n, void *stream);

#ifdef __cplusplus
}
#endif

#endif
