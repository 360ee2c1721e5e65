/* The last call's answer, brought to the host when it is asked for. */
#include <stdio.h>
#include <string.h>

#include "gpu/engine.h"

/* What a session can give out, in order; hidden states follow. */
enum { DF, LOC, SCALE, PROBS, SCALER_LOC, SCALER_SCALE, MEAN, FIXED };

static size_t most_floats(const od_session *s, size_t which) {
    const od_config *c = &s->engine->model->config;
    const size_t steps = s->rows * s->step_limit;
    switch (which) {
    case PROBS: return c->mixture ? steps * c->n_component : 0;
    case DF:
    case LOC:
    case SCALE: return steps * c->n_component;
    case SCALER_LOC:
    case SCALER_SCALE: return steps;
    case MEAN: return s->rows * c->patch;
    default: return s->rows * s->patch_limit * c->d_model;
    }
}

enum od_status od_session_outputs_reserve(od_session *s, od_error *e) {
    od_heap *heap = &s->engine->heap;
    s->max_tensor = FIXED + (s->engine->options.hidden ? s->engine->model->config.n_layer : 0);
    s->tensor = od_heap_alloc(heap, s->max_tensor, sizeof *s->tensor, "outputs", e);
    s->host = od_heap_alloc(heap, s->max_tensor, sizeof *s->host, "outputs", e);
    s->rows_buffer = od_heap_alloc(heap, s->rows * s->step_limit, sizeof(float), "outputs", e);
    if (!s->tensor || !s->host || !s->rows_buffer) return OD_NO_MEMORY;
    for (size_t i = 0; i < s->max_tensor; i++)
        if (!(s->host[i] = od_heap_alloc(heap, most_floats(s, i), sizeof(float), "outputs", e))) return OD_NO_MEMORY;
    return OD_OK;
}

void od_session_outputs_release(od_session *s) {
    od_heap *heap = &s->engine->heap;
    for (size_t i = 0; s->host && i < s->max_tensor; i++) od_heap_free(heap, s->host[i]);
    od_heap_free(heap, s->host);
    od_heap_free(heap, s->tensor);
    od_heap_free(heap, s->rows_buffer);
    s->host = NULL;
    s->tensor = NULL;
    s->rows_buffer = NULL;
}

/* The scaler's values at the call's steps: rows of step_limit, cut to [R, n] (or [R, 1]). */
static enum od_status fetch_scaler(od_session *s, enum od_kept which, float *out, size_t first, size_t n, od_error *e) {
    const od_device_ops *ops = s->engine->ops;
    enum od_status status =
        ops->download(s->engine->dev, s->rows_buffer, s->kept[which], s->rows * s->step_limit * sizeof(float), e);
    for (size_t r = 0; r < s->rows && !status; r++)
        memcpy(out + r * n, s->rows_buffer + r * s->step_limit + first, n * sizeof(float));
    return status;
}

enum od_status od_session_outputs(od_session *s, od_outputs *out, od_error *e) {
    static const struct {
        const char *name;
        int place;
        enum od_kept kept;
    } heads[] = {{"df", DF, OD_KEPT_DF},
                 {"loc", LOC, OD_KEPT_LOC},
                 {"scale", SCALE, OD_KEPT_SCALE},
                 {"probs", PROBS, OD_KEPT_PROBS}};
    od_engine *en = s->engine;
    const od_config *c = &en->model->config;
    if (s->broken || !s->n_step) return od_fail(e, OD_BAD_INPUT, "outputs before a call that went well");
    const size_t n = s->call_patch * c->patch, tokens = s->rows * s->call_patch;
    size_t shape[4] = {s->batch, s->variates, n, c->n_component}, n_tensor = 0;
    enum od_status status = OD_OK;
    for (size_t i = 0; i < (c->mixture ? 4u : 3u) && !status; i++) {
        float *to = s->host[heads[i].place];
        status = en->ops->download(en->dev, to, s->kept[heads[i].kept],
                                   tokens * c->patch * c->n_component * sizeof(float), e);
        od_tensor_set(&s->tensor[n_tensor++], heads[i].name, OD_F32, c->mixture ? 4 : 3, shape, to);
    }
    const size_t scaled = c->scaler == OD_SCALER_STD_MEAN ? 1 : n;
    const size_t first = s->n_step - n;
    shape[2] = scaled;
    if (!status) status = fetch_scaler(s, OD_KEPT_SCALER_LOC, s->host[SCALER_LOC], first, scaled, e);
    if (!status) status = fetch_scaler(s, OD_KEPT_SCALER_SCALE, s->host[SCALER_SCALE], first, scaled, e);
    od_tensor_set(&s->tensor[n_tensor++], "scaler_loc", OD_F32, 3, shape, s->host[SCALER_LOC]);
    od_tensor_set(&s->tensor[n_tensor++], "scaler_scale", OD_F32, 3, shape, s->host[SCALER_SCALE]);
    shape[2] = c->patch;
    if (!status)
        status =
            en->ops->download(en->dev, s->host[MEAN], s->kept[OD_KEPT_MEAN], s->rows * c->patch * sizeof(float), e);
    od_tensor_set(&s->tensor[n_tensor++], "mean", OD_F32, 3, shape, s->host[MEAN]);
    shape[2] = s->call_patch;
    shape[3] = c->d_model;
    for (size_t i = 0; en->options.hidden && i < c->n_layer && !status; i++) {
        char name[32];
        const size_t count = tokens * c->d_model;
        status = en->ops->download(en->dev, s->host[FIXED + i], (float *)s->kept[OD_KEPT_HIDDEN] + i * count,
                                   count * sizeof(float), e);
        snprintf(name, sizeof name, "hidden.%zu", i);
        od_tensor_set(&s->tensor[n_tensor++], name, OD_F32, 4, shape, s->host[FIXED + i]);
    }
    *out = (od_outputs){.n_tensor = n_tensor, .tensor = s->tensor};
    return status;
}
