/* The last call's answer, brought to the host when it is asked for. */
#include <stdio.h>
#include <string.h>

#include "faults/fault.h"
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
    s->fetched = od_heap_alloc(heap, s->max_tensor, sizeof *s->fetched, "outputs", e);
    if (!s->tensor || !s->host || !s->fetched) return OD_NO_MEMORY;
    for (size_t i = 0; i < s->max_tensor; i++)
        if (!(s->host[i] = od_heap_alloc(heap, most_floats(s, i), sizeof(float), "outputs", e))) return OD_NO_MEMORY;
    return OD_OK;
}

void od_session_outputs_release(od_session *s) {
    od_heap *heap = &s->engine->heap;
    for (size_t i = 0; s->host && i < s->max_tensor; i++) od_heap_free(heap, s->host[i]);
    od_heap_free(heap, s->host);
    od_heap_free(heap, s->tensor);
    if (!OD_FAULT_ON(LEAK_OPEN)) od_heap_free(heap, s->fetched);
    s->host = NULL;
    s->tensor = NULL;
    s->fetched = NULL;
}

void od_session_outputs_scramble(od_session *s) {
    for (size_t i = 0; i < s->max_tensor; i++)
        if (s->host[i]) memset(s->host[i], OD_POISON_BYTE, most_floats(s, i) * sizeof(float));
}

/* Rows of `row` floats on the device, of which [first, first + n) go out: [R, n]. */
static od_rows_copy rows_of(const od_session *s, enum od_kept which, size_t skip, float *out, size_t row, size_t first,
                            size_t n) {
    return (od_rows_copy){.to = out,
                          .from = (const float *)s->kept[which] + skip + first,
                          .apart = row * sizeof(float),
                          .bytes = n * sizeof(float),
                          .n = s->rows};
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
    if (s->broken || !s->answered) return od_fail(e, OD_BAD_INPUT, "outputs before a call that went well");
    /* After a decode that recomputed everything, the newest patch is the answer. */
    const size_t all = s->call_patch, shown = s->shown_patch, hide = all - shown, n = shown * c->patch;
    const size_t heads_all = s->head_patch, heads_hide = heads_all - shown;
    const size_t per_patch = c->patch * c->n_component;
    size_t shape[4] = {s->batch, s->variates, n, c->n_component}, n_tensor = 0;
    od_rows_copy *go = s->fetched;
    for (size_t i = 0; i < (c->mixture ? 4u : 3u); i++) {
        float *to = s->host[heads[i].place];
        *go++ = rows_of(s, heads[i].kept, 0, to, heads_all * per_patch, heads_hide * per_patch, shown * per_patch);
        od_tensor_set(&s->tensor[n_tensor++], heads[i].name, OD_F32, c->mixture ? 4 : 3, shape, to);
    }
    const size_t scaled = c->scaler == OD_SCALER_STD_MEAN ? 1 : n, first = s->n_step - n;
    shape[2] = scaled;
    *go++ = rows_of(s, OD_KEPT_SCALER_LOC, 0, s->host[SCALER_LOC], s->step_limit, first, scaled);
    *go++ = rows_of(s, OD_KEPT_SCALER_SCALE, 0, s->host[SCALER_SCALE], s->step_limit, first, scaled);
    od_tensor_set(&s->tensor[n_tensor++], "scaler_loc", OD_F32, 3, shape, s->host[SCALER_LOC]);
    od_tensor_set(&s->tensor[n_tensor++], "scaler_scale", OD_F32, 3, shape, s->host[SCALER_SCALE]);
    shape[2] = c->patch;
    *go++ = rows_of(s, OD_KEPT_MEAN, 0, s->host[MEAN], c->patch, 0, c->patch);
    od_tensor_set(&s->tensor[n_tensor++], "mean", OD_F32, 3, shape, s->host[MEAN]);
    shape[2] = shown;
    shape[3] = c->d_model;
    for (size_t i = 0; en->options.hidden && i < c->n_layer; i++) {
        char name[32];
        *go++ = rows_of(s, OD_KEPT_HIDDEN, i * s->rows * all * c->d_model, s->host[FIXED + i], all * c->d_model,
                        hide * c->d_model, shown * c->d_model);
        snprintf(name, sizeof name, "hidden.%zu", i);
        od_tensor_set(&s->tensor[n_tensor++], name, OD_F32, 4, shape, s->host[FIXED + i]);
    }
    *out = (od_outputs){.n_tensor = n_tensor, .tensor = s->tensor};
    return en->ops->download_rows(en->dev, s->fetched, n_tensor, e);
}
