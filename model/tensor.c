#include "model/tensor.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

size_t od_dtype_size(enum od_dtype dtype) {
    switch (dtype) {
    case OD_F32:
    case OD_I32: return 4;
    case OD_F64:
    case OD_I64: return 8;
    case OD_U8: return 1;
    }
    return 0;
}

const char *od_dtype_name(enum od_dtype dtype) {
    static const char *const names[] = {"F32", "F64", "U8", "I32", "I64"};
    return names[dtype];
}

enum od_status od_tensor_count(size_t *count, const od_tensor *t, od_error *e) {
    size_t n = 1, bytes;
    for (size_t i = 0; i < t->rank; i++)
        if (!od_size_mul(&n, n, t->shape[i])) return od_fail(e, OD_BAD_INPUT, "tensor %s: its size overflows", t->name);
    if (!od_size_mul(&bytes, n, od_dtype_size(t->dtype)))
        return od_fail(e, OD_BAD_INPUT, "tensor %s: its size in bytes overflows", t->name);
    *count = n;
    return OD_OK;
}

size_t od_tensor_size(const od_tensor *t) {
    size_t n = 0;
    enum od_status s = od_tensor_count(&n, t, NULL);
    assert(s == OD_OK);
    (void)s;
    return n;
}

size_t od_tensor_bytes(const od_tensor *t) {
    return od_tensor_size(t) * od_dtype_size(t->dtype);
}

double od_tensor_at(const od_tensor *t, size_t i) {
    switch (t->dtype) {
    case OD_F32: return ((const float *)t->data)[i];
    case OD_F64: return ((const double *)t->data)[i];
    case OD_U8: return ((const uint8_t *)t->data)[i];
    case OD_I32: return ((const int32_t *)t->data)[i];
    case OD_I64: return (double)((const int64_t *)t->data)[i];
    }
    return 0;
}

char *od_shape_text(char *text, size_t size, size_t rank, const size_t *shape) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (size_t i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%zu", i ? ", " : "", shape[i]);
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}

void od_tensor_set(od_tensor *t, const char *name, enum od_dtype dtype, size_t rank, const size_t *shape,
                   const void *data) {
    assert(rank <= OD_RANK_MAX);
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->dtype = dtype;
    t->rank = rank;
    for (size_t i = 0; i < rank; i++) t->shape[i] = shape[i];
    t->data = data;
}
