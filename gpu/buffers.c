/* Device memory of the fast path: scratch that sessions share, and what each session keeps. */
#include <assert.h>
#include <string.h>

#include "gpu/engine.h"

static const char *const scratch_names[OD_SCRATCH_COUNT] = {"patches",
                                                            "residual stream",
                                                            "norm",
                                                            "qkv",
                                                            "q",
                                                            "k",
                                                            "v",
                                                            "one layer's keys",
                                                            "one layer's values",
                                                            "attended",
                                                            "product",
                                                            "mlp input",
                                                            "mlp",
                                                            "unembedding",
                                                            "df",
                                                            "loc",
                                                            "scale",
                                                            "mixture",
                                                            "heads",
                                                            "window values",
                                                            "window mask",
                                                            "window ids"};

/* Bytes of a scratch buffer for n_token tokens; od_case_check and session_open bound the factors, so that they cannot
 * overflow. */
size_t od_scratch_bytes(const od_engine *en, enum od_scratch which, size_t n_token) {
    const od_config *c = &en->model->config;
    const size_t head = n_token * c->patch * c->n_component * sizeof(float);
    switch (which) {
    case OD_SCRATCH_PATCHES:
    case OD_SCRATCH_IN_VALUE: return n_token * c->patch * sizeof(float);
    case OD_SCRATCH_QKV: return n_token * 3 * c->d_model * sizeof(float);
    case OD_SCRATCH_MLP_IN: return n_token * 2 * c->d_mlp * sizeof(float);
    case OD_SCRATCH_MLP: return n_token * c->d_mlp * sizeof(float);
    case OD_SCRATCH_UNEMBED: return n_token * c->patch * c->d_model * sizeof(float);
    case OD_SCRATCH_DF:
    case OD_SCRATCH_LOC:
    case OD_SCRATCH_SCALE: return head;
    case OD_SCRATCH_MIX: return c->mixture ? head : 0;
    case OD_SCRATCH_HEADS: return 0;
    case OD_SCRATCH_LAYER_K:
    case OD_SCRATCH_LAYER_V: return en->recomputes ? n_token * c->d_model * sizeof(float) : 0;
    case OD_SCRATCH_IN_MASK: return n_token * c->patch;
    case OD_SCRATCH_IN_ID: return n_token * sizeof(int32_t);
    default: return n_token * c->d_model * sizeof(float);
    }
}

void od_engine_drop_graphs(od_engine *en) {
    for (size_t i = 0; i < en->n_graph; i++) en->ops->graph_free(en->dev, en->graphs[i].graph);
    en->n_graph = 0;
}

/* Frees a set of buffers; the first error is kept. */
static enum od_status free_all(od_engine *en, void **buffers, size_t n, od_error *e) {
    enum od_status status = OD_OK;
    for (size_t i = 0; i < n; i++) {
        enum od_status s = en->ops->free(en->dev, buffers[i], status ? NULL : e);
        if (!status) status = s;
        buffers[i] = NULL;
    }
    return status;
}

static enum od_status upload_table(od_engine *en, float **out, const double *table, size_t n, const char *what,
                                   od_error *e) {
    float *rounded = od_heap_alloc(&en->heap, n, sizeof *rounded, what, e);
    if (!rounded) return OD_NO_MEMORY;
    for (size_t i = 0; i < n; i++) rounded[i] = (float)table[i];
    enum od_status status = en->ops->alloc(en->dev, (void **)out, n * sizeof *rounded, what, e);
    if (!status) status = en->ops->upload(en->dev, *out, rounded, n * sizeof *rounded, e);
    if (!status) status = en->ops->sync(en->dev, e);
    od_heap_free(&en->heap, rounded);
    return status;
}

static enum od_status make_tables(od_engine *en, float *tables[3], size_t n_position, od_error *e) {
    od_rope rope = {0};
    const od_config *c = &en->model->config;
    enum od_status status = od_rope_create(&rope, c->d_model / c->n_head, n_position, &en->heap, e);
    if (status) return status;
    status = upload_table(en, &tables[0], rope.cosine, n_position * rope.half, "cosines", e);
    if (!status) status = upload_table(en, &tables[1], rope.sine, n_position * rope.half, "sines", e);
    if (!status) status = upload_table(en, &tables[2], rope.xpos, (2 * n_position - 1) * rope.half, "xpos", e);
    od_rope_destroy(&rope, &en->heap);
    return status;
}

/* Graphs hold the scratch's addresses, so they go with it. The old memory is given back only when the new is there: a
 * failure leaves the engine as it was. */
enum od_status od_engine_reserve(od_engine *en, size_t n_token, size_t n_position, od_error *e) {
    enum od_status status = OD_OK;
    if (n_position > en->n_position) {
        float *tables[3] = {0};
        status = make_tables(en, tables, n_position, e);
        if (status) {
            free_all(en, (void **)tables, 3, NULL);
            return status;
        }
        od_engine_drop_graphs(en);
        void *old[3] = {en->cosine, en->sine, en->xpos};
        en->cosine = tables[0];
        en->sine = tables[1];
        en->xpos = tables[2];
        en->n_position = n_position;
        status = free_all(en, old, 3, e);
    }
    if (!status && n_token > en->n_token) {
        void *fresh[OD_SCRATCH_COUNT] = {0};
        for (int i = 0; i < OD_SCRATCH_COUNT && !status; i++) {
            size_t bytes = od_scratch_bytes(en, i, n_token);
            if (bytes) status = en->ops->alloc(en->dev, &fresh[i], bytes, scratch_names[i], e);
        }
        if (status) {
            free_all(en, fresh, OD_SCRATCH_COUNT, NULL);
            return status;
        }
        od_engine_drop_graphs(en);
        status = free_all(en, en->scratch, OD_SCRATCH_COUNT, e);
        memcpy(en->scratch, fresh, sizeof fresh);
        en->n_token = n_token;
    }
    return status;
}

enum od_status od_engine_release(od_engine *en, od_error *e) {
    void *rest[] = {en->weights, en->call, en->replaced, en->cosine, en->sine, en->xpos};
    od_engine_drop_graphs(en);
    enum od_status status = free_all(en, en->scratch, OD_SCRATCH_COUNT, e);
    enum od_status more = free_all(en, rest, sizeof rest / sizeof *rest, status ? NULL : e);
    return status ? status : more;
}

static const char *const kept_names[OD_KEPT_COUNT] = {
    "series",          "mask", "ids",    "scaler loc", "scaler scale", "scaler state", "KV cache keys",
    "KV cache values", "mean", "df out", "loc out",    "scale out",    "probs out",    "hidden states"};

static size_t kept_bytes(const od_session *s, enum od_kept which) {
    const od_engine *en = s->engine;
    const od_config *c = &en->model->config;
    const size_t steps = s->rows * s->step_limit, tokens = s->rows * s->patch_limit;
    switch (which) {
    case OD_KEPT_MASK: return steps;
    case OD_KEPT_ID: return tokens * sizeof(int32_t);
    case OD_KEPT_STATE: return s->rows * sizeof(od_scaler_state);
    case OD_KEPT_KEY:
    case OD_KEPT_CACHED: return en->recomputes ? 0 : od_config_time_layers(c) * tokens * c->d_model * sizeof(float);
    case OD_KEPT_MEAN: return s->rows * c->patch * sizeof(float);
    case OD_KEPT_PROBS: return c->mixture ? steps * c->n_component * sizeof(float) : 0;
    case OD_KEPT_DF:
    case OD_KEPT_LOC:
    case OD_KEPT_SCALE: return steps * c->n_component * sizeof(float);
    case OD_KEPT_HIDDEN: return en->options.hidden ? c->n_layer * tokens * c->d_model * sizeof(float) : 0;
    default: return steps * sizeof(float);
    }
}

enum od_status od_session_reserve(od_session *s, od_error *e) {
    for (int i = 0; i < OD_KEPT_COUNT; i++) {
        size_t bytes = kept_bytes(s, i);
        if (!bytes) continue;
        enum od_status status = s->engine->ops->alloc(s->engine->dev, &s->kept[i], bytes, kept_names[i], e);
        if (status) return status;
    }
    return OD_OK;
}

enum od_status od_session_release(od_session *s, od_error *e) {
    return free_all(s->engine, s->kept, OD_KEPT_COUNT, e);
}
