/* A named, typed, row-major view of numbers, last index fastest. A view owns nothing; who owns the data says the
 * function that hands the view out. */
#ifndef OD_MODEL_TENSOR_H
#define OD_MODEL_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "model/status.h"

enum { OD_RANK_MAX = 6, OD_NAME_MAX = 128 };

enum od_dtype { OD_F32, OD_F64, OD_U8, OD_I32, OD_I64 };

typedef struct od_tensor {
    char name[OD_NAME_MAX]; /* as in a checkpoint or a case file; never empty */
    enum od_dtype dtype;
    size_t rank;
    size_t shape[OD_RANK_MAX];
    const void *data;
} od_tensor;

size_t od_dtype_size(enum od_dtype dtype);
const char *od_dtype_name(enum od_dtype dtype); /* safetensors' spelling: "F32", … */

/* Product of the extents; OD_BAD_INPUT where it (or its bytes) overflows. A rank of 0 counts 1 element. */
enum od_status od_tensor_count(size_t *count, const od_tensor *t, od_error *e);

/* The same for a tensor that its maker has already checked. */
size_t od_tensor_size(const od_tensor *t);

/* Bytes of its data. */
size_t od_tensor_bytes(const od_tensor *t);

/* Element i as a double, whatever the type (an int64 beyond 2^53 is rounded). */
double od_tensor_at(const od_tensor *t, size_t i);

/* "[2, 4, 32]" into text; returns text. */
char *od_shape_text(char *text, size_t size, size_t rank, const size_t *shape);

/* Fills *t; name is truncated to fit. shape has rank entries. */
void od_tensor_set(od_tensor *t, const char *name, enum od_dtype dtype, size_t rank, const size_t *shape,
                   const void *data);

#endif
