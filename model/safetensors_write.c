/* Writing safetensors: the header through Jansson, the data straight from the tensors. The same tensors give the same
 * bytes, in whatever order they come. */
#include "model/file.h"
#include "model/json_memory.h"
#include "model/safetensors.h"

#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 8, ALIGN = 8 };

/* Wide types first: so every tensor is aligned for its type without holes, which the format forbids. */
static int by_layout(const void *a, const void *b) {
    const od_tensor *x = *(const od_tensor *const *)a, *y = *(const od_tensor *const *)b;
    size_t sx = od_dtype_size(x->dtype), sy = od_dtype_size(y->dtype);
    if (sx != sy) return sx > sy ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* {"dtype": …, "shape": […], "data_offsets": [begin, end]}; NULL without memory. */
static json_t *make_entry(const od_tensor *t, size_t begin, size_t end) {
    json_t *shape = json_array();
    for (size_t i = 0; shape && i < t->rank; i++) json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", od_dtype_name(t->dtype), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

/* The header's object, and the pieces of data in its order. */
static enum od_status make_header(json_t *root, od_piece *pieces, const od_tensor *const *order, size_t n,
                                  const char *path, od_error *e) {
    size_t at = 0, count, end;
    for (size_t i = 0; i < n; i++) {
        const od_tensor *t = order[i];
        if (!t->name[0] || strcmp(t->name, "__metadata__") == 0)
            return od_fail(e, OD_BAD_INPUT, "%s: '%s' cannot be the name of a tensor", path, t->name);
        if (json_object_get(root, t->name))
            return od_fail(e, OD_BAD_INPUT, "%s: two tensors are called %s", path, t->name);
        enum od_status status = od_tensor_count(&count, t, e);
        if (status != OD_OK) return status;
        size_t bytes = count * od_dtype_size(t->dtype);
        if (!od_size_add(&end, at, bytes) || end > INT64_MAX)
            return od_fail(e, OD_BAD_INPUT, "%s: the sum of the tensors' sizes overflows at %s", path, t->name);
        assert(t->data || bytes == 0);
        json_t *entry = make_entry(t, at, end);
        if (!entry) return od_fail(e, OD_NO_MEMORY, "%s: no memory for the header", path);
        const bool set = json_object_set_new(root, t->name, entry) == 0;
        if (od_json_short()) return od_fail(e, OD_NO_MEMORY, "%s: no memory for the header", path);
        if (!set) /* Jansson checks it */
            return od_fail(e, OD_BAD_INPUT, "%s: the tensor's name '%s' is not UTF-8", path, t->name);
        pieces[i] = (od_piece){t->data, bytes};
        at = end;
    }
    return OD_OK;
}

/* Length, text and blanks up to a multiple of ALIGN, so that the data begins aligned. malloc'd, NULL without memory. */
static char *print_header(size_t *size, const json_t *root) {
    char *text = json_dumps(root, JSON_COMPACT);
    if (!text) return NULL;
    size_t length = strlen(text), padded = (length + ALIGN - 1) / ALIGN * ALIGN;
    char *header = malloc(PREFIX + padded);
    if (header) {
        for (int i = 0; i < PREFIX; i++) header[i] = (char)(uint64_t)(padded >> (8 * i));
        memcpy(header + PREFIX, text, length);
        memset(header + PREFIX + length, ' ', padded - length);
        *size = PREFIX + padded;
    }
    free(text);
    return header;
}

/* The file's pieces in order, pieces[n + 1]: the header (malloc'd, the caller frees pieces[0].bytes), then the data of
 * the tensors. On error nothing is to be freed. */
static enum od_status lay_out(od_piece *pieces, const od_tensor *tensors, size_t n, const char *what, od_error *e) {
    od_json_watch();
    json_t *root = json_object();
    const od_tensor **order = calloc(n + 1, sizeof *order);
    enum od_status status;
    if (!root || !order) {
        status = od_fail(e, OD_NO_MEMORY, "%s: no memory for a list of %zu tensors", what, n);
        goto out;
    }
    for (size_t i = 0; i < n; i++) order[i] = &tensors[i];
    qsort(order, n, sizeof *order, by_layout);
    status = make_header(root, pieces + 1, order, n, what, e);
    if (status != OD_OK) goto out;
    pieces[0].bytes = print_header(&pieces[0].size, root);
    if (!pieces[0].bytes) status = od_fail(e, OD_NO_MEMORY, "%s: no memory for the header", what);
out:
    free(order);
    json_decref(root);
    return status;
}

enum od_status od_safetensors_write(const char *path, const od_tensor *tensors, size_t n, od_error *e) {
    od_piece *pieces = calloc(n + 1, sizeof *pieces);
    if (!pieces) return od_fail(e, OD_NO_MEMORY, "%s: no memory for a list of %zu tensors", path, n);
    enum od_status status = lay_out(pieces, tensors, n, path, e);
    if (status == OD_OK) {
        status = od_file_write_pieces(path, pieces, n + 1, e);
        free((void *)pieces[0].bytes);
    }
    free(pieces);
    return status;
}

enum od_status od_safetensors_format(void **bytes, size_t *size, const od_tensor *tensors, size_t n, const char *what,
                                     od_error *e) {
    od_piece *pieces = calloc(n + 1, sizeof *pieces);
    size_t total = 0, at = 0;
    *bytes = NULL;
    *size = 0;
    if (!pieces) return od_fail(e, OD_NO_MEMORY, "%s: no memory for a list of %zu tensors", what, n);
    enum od_status status = lay_out(pieces, tensors, n, what, e);
    if (status != OD_OK) goto out;
    for (size_t i = 0; i <= n; i++) total += pieces[i].size; /* the data's sum does not overflow, see make_header */
    char *to = malloc(total);
    if (!to) status = od_fail(e, OD_NO_MEMORY, "%s: no memory for its %zu bytes", what, total);
    for (size_t i = 0; to && i <= n; i++) {
        if (pieces[i].size) memcpy(to + at, pieces[i].bytes, pieces[i].size);
        at += pieces[i].size;
    }
    free((void *)pieces[0].bytes);
    *bytes = to;
    *size = to ? total : 0;
out:
    free(pieces);
    return status;
}
