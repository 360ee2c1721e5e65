/* Products of a prefill on the tensor cores, in float32: each operand is split into two TF32 parts and three of their
 * four products are summed, so the error is float32's. Needs compute capability 9.0 (wgmma); the twin has no such
 * thing.
 *
 * Every element's sum is taken in one order that depends on outs, depth and the epilogue alone: not on the rows of the
 * call, on the row's place, on max_rows or on the tile. A row of x reaches its own row of y only. Where x or w hold NaN
 * or infinity, or a sum overflows, the element is computed again by float32 multiply-adds in order, so it is NaN or
 * infinite as theirs is. */
#ifndef OD_GPU_TENSOR_PRODUCT_H
#define OD_GPU_TENSOR_PRODUCT_H

#include <stdbool.h>

#include "gpu/kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Tiles are numbered from 1; 0 lets the shape choose. Which tile is taken never changes a bit of y. */
int od_tensor_product_configs(void);
/* Whether a tile can compute this product: outs, depth and epilogue are looked at. */
bool od_tensor_product_fits(const od_product_args *args, int config);
/* "128x96/4": weights' rows x rows of x a block, and into how many blocks the depth is split. "" for 0. */
const char *od_tensor_product_name(int config);

/* Starts the product for at most max_rows rows (how many there are is read from the call on the device; more are not
 * computed), and most likely for likely_rows, by which tile 0 is chosen. args->norm must be NULL; args is copied.
 * tf32_only: one TF32 product instead of three. early: may begin before the launch ahead of it in the stream has ended;
 * *args->call must then have been written before that launch, too. Returns a cudaError_t; cudaErrorInvalidValue for a
 * tile that does not fit. Any thread; `stream` a cudaStream_t.
 */
int od_tensor_product_start(const od_product_args *args, unsigned max_rows, unsigned likely_rows, int config,
                            bool tf32_only, bool early, void *stream);
/* "3xtf32" or "tf32": for statistics. */
const char *od_tensor_product_math(bool tf32_only);

#ifdef __cplusplus
}
#endif

#endif
