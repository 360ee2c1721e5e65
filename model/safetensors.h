/* safetensors, the format of Hugging Face: 8 bytes little-endian header length, a JSON header, raw data. Reader and
 * writer work over a byte span; the header goes through Jansson (duplicate keys rejected). */
#ifndef OD_MODEL_SAFETENSORS_H
#define OD_MODEL_SAFETENSORS_H

#include "model/tensor.h"

typedef struct od_safetensors {
    size_t n_tensor;
    od_tensor *tensors; /* sorted by name; data is aligned for its type */
    void *owned;        /* the file's bytes, where od_safetensors_open read them; else NULL */
    size_t owned_size;
    void *aligned; /* copies of the tensors that lie misaligned in the span, NULL where there are none */
} od_safetensors;

enum { OD_SAFETENSORS_MAX_HEADER = 100 * 1000 * 1000, OD_SAFETENSORS_MAX_TENSORS = 100000 };

/* Parses bytes[0, size). The tensors' data point into bytes, which must outlive *out, or, where a tensor lies
 * misaligned for its type, into a copy that *out owns; od_safetensors_close frees. Every offset is checked against the
 * span, the shape against the length, overlaps and holes between tensors are refused (as the format's own
 * implementation does), types other than od_dtype's and BOOL (read as U8) are refused by name, and so are empty names
 * and names of OD_NAME_MAX bytes or more. `what` names the source in messages. On error *out is empty. */
enum od_status od_safetensors_parse(od_safetensors *out, const void *bytes, size_t size, const char *what, od_error *e);

/* Reads a whole regular file and parses it; od_safetensors_close frees. */
enum od_status od_safetensors_open(od_safetensors *out, const char *path, od_error *e);
void od_safetensors_close(od_safetensors *st); /* an empty or zeroed one is fine */

/* NULL where there is none of that name. */
const od_tensor *od_safetensors_find(const od_safetensors *st, const char *name);

/* Writes n tensors to path through a temporary file beside it and a rename, so that a failure leaves no partial
 * output. Names must be distinct, not empty, UTF-8 and not "__metadata__" (else OD_BAD_INPUT). Data is written in order
 * of descending alignment, then name (deterministic). */
enum od_status od_safetensors_write(const char *path, const od_tensor *tensors, size_t n, od_error *e);

/* The same bytes into memory, malloc'd; the caller frees. `what` names them in messages. On error *bytes is NULL. */
enum od_status od_safetensors_format(void **bytes, size_t *size, const od_tensor *tensors, size_t n, const char *what,
                                     od_error *e);

#endif
