/* Many small pieces of memory in one launch. A copy or a fill of its own costs the driver and the GPU some microseconds
 * each, however few bytes it moves, and a case of a small model has hundreds of them. */
#ifndef OD_GPU_TRANSFER_H
#define OD_GPU_TRANSFER_H

#include "gpu/device/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Any sizes and alignments, also 0 bytes; sixteen-byte pieces are fastest. As many launches as n needs. Memory of `to`
 * in a gather is page-locked or the device's; rows do not overlap. What is written is there once `stream`, a
 * cudaStream_t, was waited for. Returns a cudaError_t. */
int od_transfer_gather(const od_rows_copy *rows, size_t n, void *stream);
int od_transfer_fill(const od_fill *fills, size_t n, void *stream);

#ifdef __cplusplus
}
#endif

#endif
