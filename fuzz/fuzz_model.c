/* Proves: whatever stands in config.json and model.safetensors, it is refused in one clear line or becomes exactly the
 * model that they hold, in memory that they account for; and what is accepted can be written and read again.
 *
 * Input: 4 bytes, little-endian, the length of config.json (cut to what is there); config.json; the safetensors. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/bytes.h"
#include "model/model.h"
#include "model/safetensors.h"

static const char weights_name[] = "model.safetensors";

/* The header is strict JSON, and data is what lies behind it, to the last byte: read here by other means. */
static void check_span(const od_safetensors *st, const uint8_t *data, size_t size) {
    uint64_t n_header = 0;
    size_t n_data = 0;
    for (int i = 7; i >= 0; i--) n_header = n_header << 8 | data[i];
    od_fuzz_claim(n_header <= size - 8, "the header lies within the file", NULL);
    json_t *header = json_loadb((const char *)data + 8, (size_t)n_header, JSON_REJECT_DUPLICATES, NULL);
    od_fuzz_claim(header != NULL, "the header is JSON without duplicate keys", NULL);
    for (size_t i = 0; i < st->n_tensor; i++) {
        const od_tensor *t = &st->tensors[i];
        const json_t *at = json_object_get(json_object_get(header, t->name), "data_offsets");
        size_t begin = (size_t)json_integer_value(json_array_get(at, 0)), bytes = od_tensor_bytes(t);
        n_data += bytes;
        od_fuzz_claim(begin <= size - 8 - n_header && bytes <= size - 8 - n_header - begin,
                      "a tensor lies within the file", t->name);
        od_fuzz_claim(!bytes || !memcmp(t->data, data + 8 + n_header + begin, bytes), "data is the file's", t->name);
        od_fuzz_claim((uintptr_t)t->data % od_dtype_size(t->dtype) == 0, "data is aligned", t->name);
        od_fuzz_claim(od_safetensors_find(st, t->name) == t, "a tensor is found by its name", t->name);
    }
    od_fuzz_claim(n_data == size - 8 - n_header, "the tensors take all the data", NULL);
    json_decref(header);
}

static void check_same(const od_safetensors *a, const od_safetensors *b) {
    od_fuzz_claim(a->n_tensor == b->n_tensor, "as many tensors are read as were written", NULL);
    for (size_t i = 0; i < a->n_tensor; i++) {
        const od_tensor *x = &a->tensors[i], *y = &b->tensors[i];
        od_fuzz_claim(strcmp(x->name, y->name) == 0 && x->dtype == y->dtype && x->rank == y->rank &&
                          memcmp(x->shape, y->shape, sizeof x->shape) == 0 &&
                          (!od_tensor_bytes(x) || memcmp(x->data, y->data, od_tensor_bytes(x)) == 0),
                      "a tensor is read as it was written", x->name);
    }
}

/* tensors → bytes → *again, and *again → the same bytes, of which there are so many. The caller frees both. */
static size_t write_and_read(void **bytes, od_safetensors *again, const od_tensor *tensors, size_t n) {
    void *twice;
    size_t size, size_twice;
    od_error e = {0};
    od_fuzz_claim(!od_safetensors_format(bytes, &size, tensors, n, weights_name, &e), "tensors can be written", e.text);
    od_fuzz_claim(!od_safetensors_parse(again, *bytes, size, weights_name, &e), "what was written can be read", e.text);
    od_fuzz_claim(!od_safetensors_format(&twice, &size_twice, again->tensors, again->n_tensor, weights_name, &e),
                  "tensors can be written again", e.text);
    od_fuzz_claim(size == size_twice && memcmp(*bytes, twice, size) == 0, "writing has one result", NULL);
    free(twice);
    return size;
}

static void run_safetensors(const uint8_t *data, size_t size) {
    od_safetensors st, again;
    od_error e = {0};
    void *bytes;
    enum od_status status = od_safetensors_parse(&st, data, size, weights_name, &e);
    if (status) od_fuzz_refused(status, &e, weights_name);
    if (status) return;
    check_span(&st, data, size);
    write_and_read(&bytes, &again, st.tensors, st.n_tensor);
    check_same(&st, &again);
    od_safetensors_close(&again);
    free(bytes);
    od_safetensors_close(&st);
}

/* Weights are those of the file, found by name here, too, and the same after the model's own tensors are written. */
static void check_model(const od_model *m, const char *json, size_t json_size, const uint8_t *data, size_t size) {
    od_safetensors st, again;
    od_error e = {0};
    char warning[128];
    void *bytes;
    size_t n_found = 0;
    od_model *copy;
    od_fuzz_claim(!od_safetensors_parse(&st, data, size, weights_name, &e), "a model's file can be read", e.text);
    od_tensor *own = calloc(m->n_weight, sizeof *own);
    for (size_t i = 0; own && i < m->n_weight; i++) {
        const od_weight_spec *w = &m->weights[i];
        char prefixed[OD_NAME_MAX + 8] = "model.";
        const od_tensor *t = od_safetensors_find(&st, w->name);
        if (!t) t = od_safetensors_find(&st, strcat(prefixed, w->name));
        n_found += t != NULL;
        for (size_t k = 0; k < w->count; k++)
            od_fuzz_claim(isfinite(m->data[w->offset + k]), "weights are finite", w->name);
        od_fuzz_claim(!t || (t->rank == w->rank && memcmp(t->shape, w->shape, w->rank * sizeof(size_t)) == 0 &&
                             memcmp(t->data, m->data + w->offset, w->count * sizeof(float)) == 0),
                      "a weight is the file's tensor", w->name);
        od_tensor_set(&own[i], w->name, OD_F32, w->rank, w->shape, m->data + w->offset);
    }
    od_fuzz_claim(n_found + 4 * m->config.n_layer >= m->n_weight, "weights stand under their names", NULL);
    od_fuzz_claim(m->n_data <= size / sizeof(float) + 64 * m->n_weight, "memory is in proportion to the file", NULL);
    size = write_and_read(&bytes, &again, own, m->n_weight);
    od_fuzz_claim(!od_model_parse(&copy, json, json_size, bytes, size, OD_XPOS_ORIGIN, warning, 128, &e),
                  "a written model can be read", e.text);
    od_fuzz_claim(copy->n_data == m->n_data && memcmp(copy->data, m->data, m->n_data * sizeof(float)) == 0,
                  "a written model is the same", NULL);
    od_model_destroy(copy);
    od_safetensors_close(&again);
    od_safetensors_close(&st);
    free(bytes);
    free(own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char warning[128];
    od_error e = {0};
    od_model *m = NULL;
    if (size < 4) return 0;
    size_t n = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24;
    if (n > size - 4) n = size - 4;
    const char *json = (const char *)od_fuzz_guarded(0, data + 4, n);
    size -= 4 + n;
    data = od_fuzz_guarded(1, data + 4 + n, size);
    run_safetensors(data, size);
    enum od_status status = od_model_parse(&m, json, n, data, size, OD_XPOS_CALL, warning, sizeof warning, &e);
    if (status) {
        od_fuzz_refused(status, &e, e.text[0] == 'c' ? "config.json" : weights_name);
        od_fuzz_claim(m == NULL, "a refusal leaves no model", NULL);
        return 0;
    }
    json_t *strict = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
    json_decref(strict);
    od_fuzz_claim(strict && od_config_check(&m->config, &e) == OD_OK, "a configuration is legal, and strict JSON",
                  e.text);
    check_model(m, json, n, data, size);
    od_model_destroy(m);
    return 0;
}
