/* Reading safetensors from a span that may hold anything. Every number is checked before it is used: the header's
 * length against the span, shapes against overflow, lengths against shapes, offsets against each other. */
#include "model/safetensors.h"
#include "model/file.h"
#include "model/json_memory.h"

#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 8, ALIGN = 8 };

/* Where a tensor lies among the data. */
typedef struct place {
    size_t begin, end;
    od_tensor *tensor;
} place;

static enum od_status parse_dtype(enum od_dtype *out, const json_t *value, const char *what, const char *name,
                                  od_error *e) {
    static const enum od_dtype types[] = {OD_F32, OD_F64, OD_U8, OD_I32, OD_I64};
    const char *text = json_string_value(value);
    if (!text) return od_fail(e, OD_BAD_INPUT, "%s: tensor %s: dtype is missing or no text", what, name);
    if (strcmp(text, "BOOL") == 0) text = "U8"; /* one byte each */
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(text, od_dtype_name(types[i])) == 0) {
            *out = types[i];
            return OD_OK;
        }
    return od_fail(e, OD_BAD_INPUT, "%s: tensor %s: type %.16s is none of F32, F64, U8, I32, I64, BOOL", what, name,
                   text);
}

/* A list of at most `most` whole numbers of 0 and above. */
static bool parse_sizes(size_t *out, size_t *n, size_t most, const json_t *list) {
    if (!json_is_array(list) || json_array_size(list) > most) return false;
    *n = json_array_size(list);
    for (size_t i = 0; i < *n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
        out[i] = (size_t)json_integer_value(v);
    }
    return true;
}

static enum od_status parse_tensor(place *p, const char *name, const json_t *entry, size_t n_data, const char *what,
                                   od_error *e) {
    od_tensor *t = p->tensor;
    size_t offsets[2], n_offset, count, length = strlen(name), shape[OD_RANK_MAX];
    char text[160];
    if (length == 0 || length >= OD_NAME_MAX)
        return od_fail(e, OD_BAD_INPUT, "%s: tensor name '%.40s' has %zu bytes, 1 to %d are allowed", what, name,
                       length, OD_NAME_MAX - 1);
    if (!json_is_object(entry)) return od_fail(e, OD_BAD_INPUT, "%s: tensor %s: its entry is no object", what, name);
    enum od_dtype dtype = OD_U8;
    size_t rank;
    enum od_status status = parse_dtype(&dtype, json_object_get(entry, "dtype"), what, name, e);
    if (status != OD_OK) return status;
    if (!parse_sizes(shape, &rank, OD_RANK_MAX, json_object_get(entry, "shape")))
        return od_fail(e, OD_BAD_INPUT, "%s: tensor %s: shape is no list of at most %d whole numbers", what, name,
                       OD_RANK_MAX);
    if (!parse_sizes(offsets, &n_offset, 2, json_object_get(entry, "data_offsets")) || n_offset != 2)
        return od_fail(e, OD_BAD_INPUT, "%s: tensor %s: data_offsets is no list of two whole numbers", what, name);
    od_tensor_set(t, name, dtype, rank, shape, NULL);
    if (od_tensor_count(&count, t, NULL) != OD_OK)
        return od_fail(e, OD_BAD_INPUT, "%s: tensor %s: the size of shape %s overflows", what, name,
                       od_shape_text(text, sizeof text, rank, shape));
    if (offsets[0] > offsets[1] || offsets[1] > n_data)
        return od_fail(e, OD_BAD_INPUT, "%s: tensor %s: data_offsets %zu to %zu are not within the %zu bytes of data",
                       what, name, offsets[0], offsets[1], n_data);
    if (offsets[1] - offsets[0] != count * od_dtype_size(dtype))
        return od_fail(e, OD_BAD_INPUT, "%s: tensor %s: has %zu bytes, shape %s of %s needs %zu", what, name,
                       offsets[1] - offsets[0], od_shape_text(text, sizeof text, rank, shape), od_dtype_name(dtype),
                       count * od_dtype_size(dtype));
    p->begin = offsets[0];
    p->end = offsets[1];
    return OD_OK;
}

static int by_place(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1; /* an empty tensor before the one that begins there */
    return strcmp(x->tensor->name, y->tensor->name);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const od_tensor *)a)->name, ((const od_tensor *)b)->name);
}

/* Each tensor begins where the one before ends, from the first byte of data to the last. Sorts places. */
static enum od_status check_cover(place *places, size_t n, size_t n_data, const char *what, od_error *e) {
    size_t at = 0;
    qsort(places, n, sizeof *places, by_place);
    for (size_t i = 0; i < n; i++) {
        if (places[i].begin != at)
            return od_fail(e, OD_BAD_INPUT,
                           "%s: tensor %s: begins at byte %zu of the data, but the one before ends at %zu", what,
                           places[i].tensor->name, places[i].begin, at);
        at = places[i].end;
    }
    if (at != n_data)
        return od_fail(e, OD_BAD_INPUT, "%s: there are %zu bytes of data, the tensors take %zu", what, n_data, at);
    return OD_OK;
}

static bool is_aligned(const void *p, enum od_dtype dtype) {
    return (uintptr_t)p % od_dtype_size(dtype) == 0;
}

/* Points the tensors at their data, in a copy where it lies misaligned (the header's length may be odd, and bytes may
 * stand before floats). The copies' sum is at most the span plus some padding each. */
static enum od_status place_data(od_safetensors *out, const place *places, const char *data, const char *what,
                                 od_error *e) {
    size_t total = 0, used = 0;
    for (size_t i = 0; i < out->n_tensor; i++)
        if (!is_aligned(data + places[i].begin, places[i].tensor->dtype))
            total += (places[i].end - places[i].begin + ALIGN - 1) / ALIGN * ALIGN + ALIGN;
    if (total > 0 && !(out->aligned = malloc(total)))
        return od_fail(e, OD_NO_MEMORY, "%s: no memory for %zu bytes of misaligned tensors", what, total);
    for (size_t i = 0; i < out->n_tensor; i++) {
        od_tensor *t = places[i].tensor;
        size_t bytes = places[i].end - places[i].begin;
        t->data = data + places[i].begin;
        if (is_aligned(t->data, t->dtype)) continue;
        char *copy = (char *)out->aligned + used;
        memcpy(copy, t->data, bytes);
        t->data = copy;
        used += (bytes + ALIGN - 1) / ALIGN * ALIGN + ALIGN;
        assert(used <= total);
    }
    return OD_OK;
}

static enum od_status check_metadata(const json_t *metadata, const char *what, od_error *e) {
    const char *key;
    json_t *value;
    if (metadata && !json_is_object(metadata))
        return od_fail(e, OD_BAD_INPUT, "%s: __metadata__ is no object of texts", what);
    json_object_foreach((json_t *)metadata, key, value) {
        if (!json_is_string(value)) return od_fail(e, OD_BAD_INPUT, "%s: __metadata__: %.60s is no text", what, key);
    }
    return OD_OK;
}

static enum od_status parse_entries(od_safetensors *out, json_t *root, const char *data, size_t n_data,
                                    const char *what, od_error *e) {
    const char *name;
    json_t *entry;
    const json_t *metadata = json_object_get(root, "__metadata__");
    size_t n = json_object_size(root) - (metadata != NULL), i = 0;
    if (n > OD_SAFETENSORS_MAX_TENSORS)
        return od_fail(e, OD_BAD_INPUT, "%s: holds %zu tensors, at most %d are allowed", what, n,
                       OD_SAFETENSORS_MAX_TENSORS);
    enum od_status status = check_metadata(metadata, what, e);
    if (status != OD_OK) return status;
    place *places = calloc(n + 1, sizeof *places);
    out->tensors = calloc(n + 1, sizeof *out->tensors);
    if (!places || !out->tensors) {
        status = od_fail(e, OD_NO_MEMORY, "%s: no memory for a list of %zu tensors", what, n);
        goto out;
    }
    json_object_foreach(root, name, entry) {
        if (entry == metadata) continue;
        places[i].tensor = &out->tensors[i];
        if ((status = parse_tensor(&places[i], name, entry, n_data, what, e)) != OD_OK) goto out;
        i++;
    }
    out->n_tensor = n;
    status = check_cover(places, n, n_data, what, e);
    if (status == OD_OK) status = place_data(out, places, data, what, e);
    if (status == OD_OK) qsort(out->tensors, n, sizeof *out->tensors, by_name);
out:
    free(places);
    return status;
}

/* The header's length, in the first bytes of a file of `size`. */
static enum od_status read_length(uint64_t *n_header, const unsigned char *b, size_t size, const char *what,
                                  od_error *e) {
    *n_header = 0;
    if (size < PREFIX)
        return od_fail(e, OD_BAD_INPUT, "%s: has %zu bytes, a safetensors file has 8 and a header", what, size);
    for (int i = 0; i < PREFIX; i++) *n_header |= (uint64_t)b[i] << (8 * i);
    if (*n_header > OD_SAFETENSORS_MAX_HEADER || *n_header > size - PREFIX)
        return od_fail(e, OD_BAD_INPUT, "%s: announces a header of %llu bytes, %zu follow and at most %d are allowed",
                       what, (unsigned long long)*n_header, size - PREFIX, OD_SAFETENSORS_MAX_HEADER);
    return OD_OK;
}

enum od_status od_safetensors_parse(od_safetensors *out, const void *bytes, size_t size, const char *what,
                                    od_error *e) {
    const unsigned char *b = bytes;
    uint64_t n_header;
    json_error_t at;
    *out = (od_safetensors){0};
    const enum od_status length = read_length(&n_header, b, size, what, e);
    if (length != OD_OK) return length;
    if (n_header == 0 || b[PREFIX] != '{')
        return od_fail(e, OD_BAD_INPUT, "%s: the header does not begin with '{', this is no safetensors file", what);
    od_json_watch();
    json_t *root = json_loadb((const char *)b + PREFIX, n_header, JSON_REJECT_DUPLICATES, &at);
    if (!root && od_json_short())
        return od_fail(e, OD_NO_MEMORY, "%s: no memory to read a header of %llu bytes", what,
                       (unsigned long long)n_header);
    if (!root) return od_fail(e, OD_BAD_INPUT, "%s: header: line %d, column %d: %s", what, at.line, at.column, at.text);
    enum od_status status =
        parse_entries(out, root, (const char *)b + PREFIX + n_header, size - PREFIX - n_header, what, e);
    json_decref(root);
    if (status != OD_OK) od_safetensors_close(out);
    return status;
}

enum od_status od_safetensors_open(od_safetensors *out, const char *path, od_error *e) {
    char *bytes, head[PREFIX];
    size_t size;
    uint64_t n_header;
    *out = (od_safetensors){0};
    /* what its first bytes rule out is not read: it may have no end, but for holes */
    enum od_status status = od_file_begin(head, sizeof head, &size, path, e);
    if (status == OD_OK) status = read_length(&n_header, (const unsigned char *)head, size, path, e);
    if (status == OD_OK) status = od_file_read(&bytes, &size, path, SIZE_MAX, e);
    if (status != OD_OK) return status;
    status = od_safetensors_parse(out, bytes, size, path, e);
    if (status != OD_OK) {
        free(bytes);
        return status;
    }
    out->owned = bytes;
    out->owned_size = size;
    return OD_OK;
}

void od_safetensors_close(od_safetensors *st) {
    free(st->tensors);
    free(st->owned);
    free(st->aligned);
    *st = (od_safetensors){0};
}

const od_tensor *od_safetensors_find(const od_safetensors *st, const char *name) {
    size_t lo = 0, hi = st->n_tensor;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(st->tensors[mid].name, name);
        if (order == 0) return &st->tensors[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}
