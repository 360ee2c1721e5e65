/* A model from config.json and model.safetensors: tensors are found by every spelling that Toto's own files use, and
 * everything else in the file must be known to be no weight. */
#include "faults/fault.h"
#include "model/file.h"
#include "model/model_table.h"
#include "model/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_LIMIT = 1 << 20, PATH_LIMIT = 4096, N_SPELLING = 4 };

/* The fused spelling (xFormers' SwiGLU) of a kind's last words, or NULL. */
static const char *fused_name(enum od_weight kind) {
    switch (kind) {
    case OD_W_MLP_IN: return "mlp.0.w12.weight";
    case OD_W_MLP_IN_BIAS: return "mlp.0.w12.bias";
    case OD_W_MLP_OUT: return "mlp.0.w3.weight";
    case OD_W_MLP_OUT_BIAS: return "mlp.0.w3.bias";
    default: return NULL;
    }
}

/* The name of w in spelling i: bit 0 the prefix `model.`, bit 1 the fused MLP; false where there is no such name. */
static bool spell(char *name, size_t size, const od_weight_spec *w, unsigned i) {
    const char *prefix = i & 1 ? "model." : "", *fused = fused_name(w->kind);
    if (i & 2 && !fused) return false;
    if (i & 2)
        snprintf(name, size, "%stransformer.layers.%zu.%s", prefix, w->layer, fused);
    else
        snprintf(name, size, "%s%s", prefix, w->name);
    return true;
}

/* Rotary tables: buffers that older checkpoints carry and the official loader drops. */
static bool is_buffer(const char *name) {
    return strstr(name, "rotary_emb.") != NULL;
}

static bool is_variate_label(const char *name) {
    if (strncmp(name, "model.", 6) == 0) name += 6;
    return strcmp(name, "target_variate_label") == 0 || strcmp(name, "exogenous_variate_label") == 0;
}

/* The tensor of weight w, in whichever spelling the file has it; checked but for its numbers. */
static enum od_status match(const od_tensor **out, const od_weight_spec *w, const od_safetensors *st, od_error *e) {
    const od_tensor *t = NULL;
    char is[96], wanted[64];
    for (unsigned i = 0; i < N_SPELLING; i++) {
        char name[OD_NAME_MAX + 16];
        const od_tensor *found = spell(name, sizeof name, w, i) ? od_safetensors_find(st, name) : NULL;
        if (found && t)
            return od_fail(e, OD_BAD_INPUT, "tensors %s and %s: one weight in two spellings", t->name, found->name);
        if (found) t = found;
    }
    if (!t) return od_fail(e, OD_BAD_INPUT, "tensor %s: is missing", w->name);
    if (t->dtype != OD_F32)
        return od_fail(e, OD_BAD_INPUT, "tensor %s: is of type %s, F32 is needed", t->name, od_dtype_name(t->dtype));
    if (t->rank != w->rank || memcmp(t->shape, w->shape, w->rank * sizeof(size_t)) != 0)
        return od_fail(e, OD_BAD_INPUT, "tensor %s: has shape %s, config.json asks for %s", t->name,
                       od_shape_text(is, sizeof is, t->rank, t->shape),
                       od_shape_text(wanted, sizeof wanted, w->rank, w->shape));
    *out = t;
    return OD_OK;
}

/* match[i] for every weight of the table, and nothing in the file but these and buffers. */
static enum od_status match_all(const od_tensor **matches, const od_model *m, const od_safetensors *st, od_error *e) {
    bool *used = calloc(st->n_tensor + 1, sizeof *used);
    if (!used) return od_fail(e, OD_NO_MEMORY, "no memory for a list of %zu tensors", st->n_tensor);
    enum od_status status = OD_OK;
    for (size_t i = 0; status == OD_OK && i < st->n_tensor; i++)
        if (is_variate_label(st->tensors[i].name))
            status = od_fail(e, OD_BAD_INPUT,
                             "tensor %s: models with variate labels are not supported, one without is needed",
                             st->tensors[i].name);
    for (size_t i = 0; status == OD_OK && i < m->n_weight; i++) {
        status = match(&matches[i], &m->weights[i], st, e);
        if (status == OD_OK) used[matches[i] - st->tensors] = true;
    }
    for (size_t i = 0; status == OD_OK && i < st->n_tensor; i++)
        if (!used[i] && !is_buffer(st->tensors[i].name))
            status = od_fail(e, OD_BAD_INPUT, "tensor %s: is no weight of the model that config.json describes",
                             st->tensors[i].name);
    free(used);
    return status;
}

static enum od_status copy(od_model *m, const od_weight_spec *w, const od_tensor *t, od_error *e) {
    const float *from = t->data;
    for (size_t i = 0; i < w->count; i++)
        if (!isfinite(from[i]))
            return od_fail(e, OD_BAD_INPUT, "tensor %s: element %zu is %g, weights must be finite", t->name, i,
                           (double)from[i]);
    memcpy(m->data + w->offset, from, w->count * sizeof(float));
    if (OD_FAULT_WHEN(TRANSPOSED, w->rank == 2 && w->shape[0] == w->shape[1]))
        for (size_t i = 0; i < w->count; i++)
            m->data[w->offset + i] = from[i % w->shape[1] * w->shape[1] + i / w->shape[1]];
    return OD_OK;
}

static enum od_status build(od_model **out, const od_config *config, const od_safetensors *st, od_error *e) {
    const od_tensor **matches = NULL;
    od_model *m;
    enum od_status status = od_model_create_table(&m, config, e);
    if (status != OD_OK) return status;
    matches = calloc(m->n_weight, sizeof *matches);
    if (!matches) {
        status = od_fail(e, OD_NO_MEMORY, "no memory for a list of %zu tensors", m->n_weight);
        goto out;
    }
    status = match_all(matches, m, st, e);
    if (status == OD_OK) status = od_model_allocate(m, false, e);
    for (size_t i = 0; status == OD_OK && i < m->n_weight; i++) status = copy(m, &m->weights[i], matches[i], e);
    if (status != OD_OK && e) od_error_prefix(e, "model.safetensors");
out:
    free(matches);
    if (status == OD_OK)
        *out = m;
    else
        od_model_destroy(m);
    return status;
}

enum od_status od_model_parse(od_model **out, const char *config_json, size_t config_size, const void *weights,
                              size_t weights_size, enum od_xpos_center xpos, char *warning, size_t warning_size,
                              od_error *e) {
    od_config config;
    od_safetensors st = {0};
    *out = NULL;
    enum od_status status = od_config_parse(&config, config_json, config_size, warning, warning_size, e);
    if (status != OD_OK) return status;
    config.xpos = xpos;
    status = od_safetensors_parse(&st, weights, weights_size, "model.safetensors", e);
    if (status == OD_OK) status = build(out, &config, &st, e);
    od_safetensors_close(&st);
    return status;
}

enum od_status od_model_load(od_model **out, const char *dir, enum od_xpos_center xpos, char *warning,
                             size_t warning_size, od_error *e) {
    char path[PATH_LIMIT];
    char *json = NULL;
    size_t size;
    od_config config;
    od_safetensors st = {0};
    *out = NULL;
    warning[0] = 0;
    if (strlen(dir) + sizeof "/model.safetensors" > sizeof path)
        return od_fail(e, OD_BAD_INPUT, "%.100s…: the path is longer than %d bytes", dir, PATH_LIMIT - 20);
    snprintf(path, sizeof path, "%s/config.json", dir);
    enum od_status status = od_file_read(&json, &size, path, CONFIG_LIMIT, e);
    if (status != OD_OK) return status;
    status = od_config_parse(&config, json, size, warning, warning_size, e);
    free(json);
    if (status == OD_OK) {
        config.xpos = xpos;
        snprintf(path, sizeof path, "%s/model.safetensors", dir);
        status = od_safetensors_open(&st, path, e); /* its messages begin with the path */
        if (status != OD_OK) return status;
        status = build(out, &config, &st, e);
        od_safetensors_close(&st);
    }
    if (status != OD_OK && e) od_error_prefix(e, "%s", dir);
    return status;
}
