#include "oracles/golden.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/tolerance.h"

const char *od_golden_state_name(enum od_golden_state state) {
    static const char *const names[] = {"ok", "empty", "differs", "misshapen", "missing", "extra"};
    assert(state <= OD_GOLDEN_EXTRA);
    return names[state];
}

static bool begins(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Data in a file may stand at any byte; *t gets a malloc'd aligned copy. */
static enum od_status align(od_tensor *t, od_error *e) {
    size_t bytes = od_tensor_bytes(t);
    void *p = malloc(bytes ? bytes : 1);
    if (!p) return od_fail(e, OD_NO_MEMORY, "no %zu bytes for %s", bytes, t->name);
    if (bytes) memcpy(p, t->data, bytes);
    t->data = p;
    return OD_OK;
}

/* What all rows need to know of the reference. */
typedef struct context {
    double relative, unit;
    size_t patch; /* 0: unknown */
} context;

static enum od_status learn(context *k, const od_safetensors *a, od_error *e) {
    const od_tensor *scale = od_safetensors_find(a, "prefill.scaler_scale");
    const od_tensor *loc = od_safetensors_find(a, "uncached.0.loc");
    k->unit = 1;
    k->patch = loc && loc->rank >= 3 ? loc->shape[2] : 0;
    bool needs_unit = scale || od_safetensors_find(a, "prefill.scaler_loc");
    bool forecasts = false;
    for (size_t i = 0; i < a->n_tensor; i++) forecasts = forecasts || begins(a->tensors[i].name, "forecast_");
    if (k->relative > 0 || !(needs_unit || forecasts)) return OD_OK;
    if (!scale) return od_fail(e, OD_BAD_INPUT, "the reference lacks prefill.scaler_scale, which defines model space");
    if (forecasts && k->patch == 0)
        return od_fail(e, OD_BAD_INPUT, "the reference lacks uncached.0.loc, which says how long a patch is");
    od_tensor copy = *scale;
    enum od_status s = align(&copy, e);
    if (s != OD_OK) return s;
    k->unit = od_tensor_mean(&copy);
    free((void *)copy.data);
    if (!(k->unit > 0) || !isfinite(k->unit))
        return od_fail(e, OD_BAD_INPUT, "the reference's prefill.scaler_scale has the mean %g; above 0 would be right",
                       k->unit);
    return OD_OK;
}

/* MAE of the first `patch` steps of every row of [B, V, N]. */
static double first_patch_mae(const od_tensor *a, const od_tensor *b, size_t patch, double unit) {
    size_t n = a->shape[a->rank - 1], rows = od_tensor_size(a) / n, count = 0;
    double sum = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n && i < patch; i++, count++)
            sum += fabs(od_tensor_at(a, r * n + i) - od_tensor_at(b, r * n + i));
    return sum / (double)count / unit;
}

/* Largest of NaN-proof ratios: NaN is the largest of all. */
static double larger(double a, double b) {
    return isnan(a) || isnan(b) ? (double)INFINITY : fmax(a, b);
}

static double largest_relative(const od_tensor *a, const od_tensor *b) {
    size_t n = od_tensor_size(a);
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double x = od_tensor_at(a, i), y = od_tensor_at(b, i);
        most = larger(most, x == y ? 0 : fabs(x - y) / fmax(1, fabs(x)));
    }
    return most;
}

static enum od_status judge(od_golden_row *row, const context *k, const od_tensor *a, const od_tensor *b, od_error *e) {
    bool forecast = begins(a->name, "forecast_");
    double unit = forecast || begins(a->name, "prefill.scaler_") ? k->unit : 1;
    enum od_status s = od_compare(&row->cmp, a, b, unit, true, e);
    if (s != OD_OK) return s;
    if (forecast && a->rank != 3) {
        char shape[128];
        return od_fail(e, OD_BAD_INPUT, "%s is %s; a forecast [B, V, N] would be right", a->name,
                       od_shape_text(shape, sizeof shape, a->rank, a->shape));
    }
    row->first_mae = row->cmp.mae;
    if (row->cmp.n == 0) {
        row->state = OD_GOLDEN_EMPTY;
        return OD_OK;
    }
    if (k->relative > 0) {
        row->relative = largest_relative(a, b);
        row->used = larger(row->relative / k->relative, 0);
    } else if (forecast) {
        row->first_mae = first_patch_mae(a, b, k->patch, unit);
        row->used = larger(row->first_mae / od_bounds.mae, row->cmp.mae / od_bounds.free_mae);
    } else {
        row->used = od_contract_share(row->cmp.mae, row->cmp.max_abs);
    }
    row->state = od_within(row->used, 1) ? OD_GOLDEN_OK : OD_GOLDEN_DIFFERS;
    return OD_OK;
}

static enum od_status compare_one(od_golden_row *row, const context *k, const od_tensor *a, const od_tensor *b,
                                  od_error *e) {
    *row = (od_golden_row){.used = INFINITY};
    memcpy(row->name, a->name, sizeof row->name);
    if (!b || !od_same_shape(a, b)) {
        row->state = b ? OD_GOLDEN_MISSHAPEN : OD_GOLDEN_MISSING;
        return OD_OK;
    }
    od_tensor x = *a, y = *b;
    enum od_status s = align(&x, e);
    if (s != OD_OK) return s;
    s = align(&y, e);
    if (s == OD_OK) {
        s = judge(row, k, &x, &y, e);
        free((void *)y.data);
    }
    free((void *)x.data);
    return s;
}

static int worst_first(const void *p, const void *q) {
    const od_golden_row *a = p, *b = q;
    if (a->state != b->state && (a->state >= OD_GOLDEN_DIFFERS || b->state >= OD_GOLDEN_DIFFERS))
        return a->state > b->state ? -1 : 1;
    if (a->used != b->used) return a->used > b->used ? -1 : 1;
    return strcmp(a->name, b->name);
}

enum od_status od_golden_compare(od_golden *out, const od_safetensors *a, const od_safetensors *b, double relative,
                                 od_error *e) {
    *out = (od_golden){0};
    context k = {.relative = relative};
    enum od_status s = learn(&k, a, e);
    if (s != OD_OK) return s;
    out->row = calloc(a->n_tensor + b->n_tensor + 1, sizeof *out->row);
    if (!out->row) return od_fail(e, OD_NO_MEMORY, "no memory for %zu tensors", a->n_tensor + b->n_tensor);
    for (size_t i = 0; s == OD_OK && i < a->n_tensor; i++) {
        const od_tensor *t = &a->tensors[i];
        if (!begins(t->name, "in.")) s = compare_one(&out->row[out->n++], &k, t, od_safetensors_find(b, t->name), e);
    }
    for (size_t i = 0; s == OD_OK && i < b->n_tensor; i++) {
        const od_tensor *t = &b->tensors[i];
        if (begins(t->name, "in.") || od_safetensors_find(a, t->name)) continue;
        od_golden_row *row = &out->row[out->n++];
        *row = (od_golden_row){.state = OD_GOLDEN_EXTRA, .used = INFINITY};
        memcpy(row->name, t->name, sizeof row->name);
    }
    if (s != OD_OK) {
        od_golden_free(out);
        return s;
    }
    for (size_t i = 0; i < out->n; i++) {
        out->n_compared += out->row[i].state == OD_GOLDEN_OK || out->row[i].state == OD_GOLDEN_DIFFERS;
        out->n_bad += out->row[i].state >= OD_GOLDEN_DIFFERS;
    }
    qsort(out->row, out->n, sizeof *out->row, worst_first);
    return OD_OK;
}

void od_golden_free(od_golden *g) {
    free(g->row);
    *g = (od_golden){0};
}
