#include "oracles/trace.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "faults/fault.h"

#include "oracles/compare.h"

static const char *const step_names[OD_STEPS] = {"prefill", "decode", "own"};
static const char *const tensor_names[OD_TENSORS] = {"df", "loc", "scale", "probs", "mean", "scaler", "hidden"};

const char *od_step_class_name(enum od_step_class step) {
    assert(step < OD_STEPS);
    return step_names[step];
}

const char *od_tensor_class_name(enum od_tensor_class tensor) {
    assert(tensor < OD_TENSORS);
    return tensor_names[tensor];
}

enum od_tensor_class od_tensor_classify(const char *name) {
    if (strncmp(name, "hidden.", 7) == 0) return OD_TENSOR_HIDDEN;
    if (strcmp(name, "scaler_loc") == 0 || strcmp(name, "scaler_scale") == 0) return OD_TENSOR_SCALER;
    for (int i = OD_TENSOR_DF; i <= OD_TENSOR_MEAN; i++)
        if (strcmp(name, tensor_names[i]) == 0) return (enum od_tensor_class)i;
    return OD_TENSORS;
}

bool od_tensor_in_data_space(enum od_tensor_class tensor) {
    return tensor == OD_TENSOR_MEAN || tensor == OD_TENSOR_SCALER;
}

/* Makes room for n more of `size` bytes each behind *used; doubles, so that recording stays linear. */
static enum od_status grow(void **block, size_t *cap, size_t used, size_t n, size_t size, od_error *e) {
    size_t need, bytes;
    if (!od_size_add(&need, used, n)) return od_fail(e, OD_NO_MEMORY, "a trace of so many tensors overflows");
    if (need <= *cap) return OD_OK;
    if (need < *cap * 2) need = *cap * 2;
    if (!od_size_mul(&bytes, need, size)) return od_fail(e, OD_NO_MEMORY, "a trace of %zu entries overflows", need);
    void *p = realloc(*block, bytes);
    if (!p) return od_fail(e, OD_NO_MEMORY, "no %zu bytes to keep an engine's outputs", bytes);
    *block = p;
    *cap = need;
    return OD_OK;
}

void od_trace_clear(od_trace *t) {
    t->n_call = t->n_tensor = t->n_byte = 0;
    for (unsigned i = 0; i < OD_CASE_MAX_SESSIONS; i++) t->unit[i] = 1;
}

void od_trace_free(od_trace *t) {
    free(t->call);
    free(t->tensor);
    free(t->bytes);
    *t = (od_trace){0};
}

od_tensor od_trace_view(const od_trace *t, size_t i) {
    assert(i < t->n_tensor);
    od_tensor v = t->tensor[i].view;
    v.data = t->bytes + t->tensor[i].offset;
    return v;
}

static enum od_status record_tensor(od_trace *t, const od_tensor *tensor, od_error *e) {
    size_t bytes = od_tensor_bytes(tensor), room = (bytes + 7) / 8 * 8; /* keeps every tensor aligned for doubles */
    enum od_status s = grow((void **)&t->tensor, &t->cap_tensor, t->n_tensor, 1, sizeof *t->tensor, e);
    if (s == OD_OK) s = grow((void **)&t->bytes, &t->cap_byte, t->n_byte, room + 8, 1, e);
    if (s != OD_OK) return s;
    od_trace_tensor *slot = &t->tensor[t->n_tensor++];
    slot->cls = od_tensor_classify(tensor->name);
    slot->view = *tensor;
    slot->view.data = NULL;
    slot->offset = t->n_byte;
    slot->bytes = bytes;
    if (bytes) memcpy(t->bytes + t->n_byte, tensor->data, bytes);
    slot->hash = XXH64(t->bytes + t->n_byte, bytes, 0);
    t->n_byte += room;
    return OD_OK;
}

enum od_status od_trace_record(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    od_trace *t = arg;
    enum od_status s = grow((void **)&t->call, &t->cap_call, t->n_call, 1, sizeof *t->call, e);
    if (s != OD_OK) return s;
    size_t first = t->n_tensor;
    for (size_t i = 0; i < out->n_tensor; i++) {
        s = record_tensor(t, &out->tensor[i], e);
        if (s != OD_OK) return s;
        if (at->step == OD_STEP_PREFILL && strcmp(out->tensor[i].name, "scaler_scale") == 0) {
            double mean = od_tensor_mean(&out->tensor[i]);
            t->unit[at->session] = mean > 0 && isfinite(mean) ? mean : 1;
        }
    }
    t->call[t->n_call++] =
        (od_trace_call){.at = *at, .unit = t->unit[at->session], .first = first, .n = t->n_tensor - first};
    return OD_OK;
}

static void note_difference(od_difference *d, const od_call_at *at, const od_tensor *was, const od_tensor *is) {
    d->differs = true;
    d->at = *at;
    d->was = d->is = NAN;
    const od_tensor *named = was ? was : is;
    memcpy(d->name, named->name, sizeof d->name);
    d->cls = od_tensor_classify(named->name);
    if (!was || !is || was->dtype != is->dtype || !od_same_shape(was, is)) return;
    size_t size = od_dtype_size(is->dtype), n = od_tensor_size(is);
    const char *a = was->data, *b = is->data;
    for (size_t i = 0; i < n; i++) {
        if (memcmp(a + i * size, b + i * size, size) == 0) continue;
        d->index = i;
        d->was = od_unsigned_nan(od_tensor_at(was, i));
        d->is = od_unsigned_nan(od_tensor_at(is, i));
        return;
    }
}

enum od_status od_trace_match(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    od_difference *d = arg;
    size_t k = d->call++;
    if (d->differs) return OD_OK;
    assert(k < d->trace->n_call); /* the same schedule makes the same calls */
    const od_trace_call *call = &d->trace->call[k];
    for (size_t i = 0; i < call->n || i < out->n_tensor; i++) {
        od_tensor was, *have = NULL;
        if (i < call->n) {
            was = od_trace_view(d->trace, call->first + i);
            have = &was;
        }
        const od_tensor *is = i < out->n_tensor ? &out->tensor[i] : NULL;
        if (OD_FAULT_WHEN(SELF_RERUN, have && is)) is = have;
        bool same = have && is && strcmp(have->name, is->name) == 0 && have->dtype == is->dtype &&
                    od_same_shape(have, is) &&
                    d->trace->tensor[call->first + i].hash == XXH64(is->data, od_tensor_bytes(is), 0);
        if (!same) {
            note_difference(d, at, have, is);
            return OD_OK;
        }
    }
    return OD_OK;
}

size_t od_stage_head(size_t n_layer) {
    return OD_STAGE_LAYER + n_layer;
}

size_t od_stage_mean(size_t n_layer) {
    return OD_STAGE_LAYER + n_layer + 1;
}

size_t od_stage_of(const char *name, size_t n_layer) {
    switch (od_tensor_classify(name)) {
    case OD_TENSOR_SCALER: return OD_STAGE_SCALER;
    case OD_TENSOR_MEAN: return od_stage_mean(n_layer);
    case OD_TENSORS: return SIZE_MAX;
    case OD_TENSOR_HIDDEN: {
        const size_t layer = strtoul(name + strlen("hidden."), NULL, 10);
        return layer < n_layer ? OD_STAGE_LAYER + layer : SIZE_MAX;
    }
    default: return od_stage_head(n_layer);
    }
}
