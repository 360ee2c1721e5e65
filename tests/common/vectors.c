/* Golden vectors: loading and measuring. Bounds are the tests'. */
#include "tests/common/vectors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"seed-tiny",    "seed-tiny-16",        "seed-tiny-64",    "mini-base",
                                    "causal-std",   "causal-patch-nostab", "clamped-scale",   "groups",
                                    "left-padding", "all-padding-variate", "one-patch",       "time-only",
                                    "space-heavy",  "large-values",        "constant-series", "long-context"};

const char *od_vector_name(size_t i) {
    return i < sizeof names / sizeof *names ? names[i] : NULL;
}

/* A malloc'd, aligned copy of an input tensor of the expected type. */
static void *copy_input(const od_vector *v, const char *name, enum od_dtype dtype, od_error *e) {
    const od_tensor *t = od_safetensors_find(&v->file, name);
    if (!t || t->dtype != dtype || t->rank != 3) {
        od_fail(e, OD_BAD_INPUT, "vector %s: no %s of the right kind", v->name, name);
        return NULL;
    }
    size_t bytes = od_tensor_size(t) * od_dtype_size(dtype);
    void *copy = malloc(bytes ? bytes : 1);
    if (copy) memcpy(copy, t->data, bytes);
    return copy;
}

enum od_status od_vector_open(od_vector *v, const char *name, enum od_xpos_center xpos, od_error *e) {
    char folder[512], path[600], warning[200];
    memset(v, 0, sizeof *v);
    snprintf(v->name, sizeof v->name, "%s", name);
    const char *root = getenv("OD_SOURCE_DIR"); /* a test program may run on another machine than it was built on */
    snprintf(folder, sizeof folder, "%.300s/tests/vectors/%s", root ? root : OD_SOURCE_DIR, name);
    snprintf(path, sizeof path, "%s/case.safetensors", folder);
    enum od_status status = od_model_load(&v->model, folder, xpos, warning, sizeof warning, e);
    if (status == OD_OK) status = od_safetensors_open(&v->file, path, e);
    if (status == OD_OK) {
        const od_tensor *series = od_safetensors_find(&v->file, "in.series");
        const od_tensor *context = od_safetensors_find(&v->file, "prefill.df");
        v->value = copy_input(v, "in.series", OD_F32, e);
        v->mask = copy_input(v, "in.padding_mask", OD_U8, e);
        v->id = copy_input(v, "in.id_mask", OD_I32, e);
        if (v->value && v->mask && v->id && context)
            v->input = (od_forward_input){.batch = series->shape[0],
                                          .variates = series->shape[1],
                                          .n_step = series->shape[2],
                                          .n_context = context->shape[2],
                                          .value = v->value,
                                          .mask = v->mask,
                                          .id = v->id};
        else
            status = OD_BAD_INPUT;
    }
    if (status != OD_OK) od_vector_close(v);
    return status;
}

void od_vector_close(od_vector *v) {
    od_model_destroy(v->model);
    od_safetensors_close(&v->file);
    free(v->value);
    free(v->mask);
    free(v->id);
    memset(v, 0, sizeof *v);
}

enum od_status od_vector_compare(od_vector_error *out, const od_tensor *got, const od_tensor *want, double unit,
                                 size_t first, od_error *e) {
    char a[96], b[96];
    if (got->rank != want->rank || memcmp(got->shape, want->shape, got->rank * sizeof *got->shape) != 0)
        return od_fail(e, OD_BAD_INPUT, "%s has shape %s, golden is %s", want->name,
                       od_shape_text(a, sizeof a, got->rank, got->shape),
                       od_shape_text(b, sizeof b, want->rank, want->shape));
    const size_t n = od_tensor_size(want), row = want->rank == 3 ? want->shape[2] : 1;
    *out = (od_vector_error){.finite = true};
    double sum = 0, first_sum = 0, largest = 0;
    size_t n_first = 0;
    for (size_t i = 0; i < n; i++) {
        double w = od_tensor_at(want, i), difference = fabs(od_tensor_at(got, i) - w);
        if (!isfinite(difference)) {
            *out = (od_vector_error){.mae = NAN, .max = NAN, .relative = NAN, .first_mae = NAN, .worst = i};
            return OD_OK;
        }
        sum += difference;
        if (first == 0 || want->rank != 3 || i % row < first) {
            first_sum += difference;
            n_first++;
        }
        if (difference > largest) {
            largest = difference;
            out->worst = i;
        }
        out->relative = fmax(out->relative, difference / fmax(1, fabs(w)));
    }
    out->mae = n ? sum / (double)n / unit : 0;
    out->first_mae = n_first ? first_sum / (double)n_first / unit : 0;
    out->max = largest / unit;
    return OD_OK;
}

double od_vector_unit(const char *name, const od_tensor *prefill_scale) {
    if (strncmp(name, "forecast_", 9) != 0 && !strstr(name, ".scaler_")) return 1;
    double sum = 0;
    const size_t n = od_tensor_size(prefill_scale);
    for (size_t i = 0; i < n; i++) sum += od_tensor_at(prefill_scale, i);
    return sum / (double)n;
}

enum od_status od_vector_each(size_t *n, const od_vector *v, const od_forward_result *result, od_vector_visit *visit,
                              void *context, od_error *e) {
    const od_tensor *scale = od_safetensors_find(&v->file, "prefill.scaler_scale");
    *n = 0;
    if (!scale) return od_fail(e, OD_BAD_INPUT, "vector %s has no prefill.scaler_scale", v->name);
    for (size_t i = 0; i < v->file.n_tensor; i++) {
        const od_tensor *golden = &v->file.tensors[i], *got;
        od_vector_error error;
        if (!strncmp(golden->name, "in.", 3)) continue;
        if (!(got = od_forward_find(result, golden->name)))
            return od_fail(e, OD_BAD_INPUT, "vector %s: the engine gave no %s", v->name, golden->name);
        const size_t first = strncmp(golden->name, "forecast_", 9) == 0 ? v->model->config.patch : 0;
        enum od_status status = od_vector_compare(&error, got, golden, od_vector_unit(golden->name, scale), first, e);
        if (status != OD_OK) return status;
        visit(context, golden, &error);
        ++*n;
    }
    if (*n != result->n_tensor)
        return od_fail(e, OD_BAD_INPUT, "vector %s: %zu tensors are golden, the engine gave %zu", v->name, *n,
                       result->n_tensor);
    return OD_OK;
}
