/* Device memory of the fast path: scratch that sessions share, and what each session keeps. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "faults/fault.h"
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
                                                            "window",
                                                            "window ids",
                                                            "window mask"};

/* The fused kernels hold these in registers or shared memory, or have folded them away. */
static bool is_plain_only(const od_engine *en, enum od_scratch which) {
    switch (which) {
    case OD_SCRATCH_UNEMBED: return en->folded;
    case OD_SCRATCH_Q:
    case OD_SCRATCH_K:
    case OD_SCRATCH_V:
    case OD_SCRATCH_PRODUCT:
    case OD_SCRATCH_MLP_IN:
    case OD_SCRATCH_DF:
    case OD_SCRATCH_LOC:
    case OD_SCRATCH_SCALE:
    case OD_SCRATCH_MIX: return true;
    default: return false;
    }
}

/* Bytes of a scratch buffer for n_token tokens; od_case_check and session_open bound the factors, so that they cannot
 * overflow. */
size_t od_scratch_bytes(const od_engine *en, enum od_scratch which, size_t n_token) {
    const od_config *c = &en->model->config;
    const size_t head = n_token * c->patch * c->n_component * sizeof(float);
    if (en->options.fused ? is_plain_only(en, which) : which == OD_SCRATCH_HEADS) return 0;
    switch (which) {
    case OD_SCRATCH_PATCHES: return n_token * c->patch * sizeof(float);
    case OD_SCRATCH_IN_VALUE: return n_token * (c->patch * (sizeof(float) + 1) + sizeof(int32_t));
    case OD_SCRATCH_QKV: return n_token * 3 * c->d_model * sizeof(float);
    case OD_SCRATCH_MLP_IN: return n_token * 2 * c->d_mlp * sizeof(float);
    case OD_SCRATCH_MLP: return n_token * c->d_mlp * sizeof(float);
    case OD_SCRATCH_UNEMBED: return n_token * c->patch * c->d_model * sizeof(float);
    case OD_SCRATCH_DF:
    case OD_SCRATCH_LOC:
    case OD_SCRATCH_SCALE: return head;
    case OD_SCRATCH_MIX: return c->mixture ? head : 0;
    case OD_SCRATCH_HEADS: return (c->mixture ? 4 : 3) * head;
    case OD_SCRATCH_LAYER_K:
    case OD_SCRATCH_LAYER_V: return en->recomputes ? n_token * c->d_model * sizeof(float) : 0;
    case OD_SCRATCH_IN_ID:
    case OD_SCRATCH_IN_MASK: return 0; /* places in IN_VALUE */
    default: return n_token * c->d_model * sizeof(float);
    }
}

void od_engine_drop_graphs(od_engine *en) {
    for (size_t i = 0; i < en->n_graph; i++)
        if (!OD_FAULT_ON(LEAK_CAPTURE)) en->ops->graph_free(en->dev, en->graphs[i].graph);
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

/* Tables of float64 rounded to float32, in one piece of memory on the device. */
static enum od_status upload_tables(od_engine *en, float *tables[3], const double *const exact[3],
                                    const size_t count[3], od_error *e) {
    static const char *const names[3] = {"cosines", "sines", "xpos"};
    const size_t total = count[0] + count[1] + count[2];
    float *rounded = od_heap_alloc(&en->heap, total, sizeof *rounded, "rotary tables", e);
    if (!rounded) return OD_NO_MEMORY;
    od_slice slices[3];
    for (int i = 0; i < 3; i++) slices[i] = (od_slice){(void **)&tables[i], count[i] * sizeof *rounded, names[i]};
    enum od_status status = en->ops->alloc_many(en->dev, slices, 3, e);
    float *to = rounded;
    for (int i = 0; i < 3 && !status; to += count[i++]) {
        for (size_t j = 0; j < count[i]; j++) to[j] = (float)exact[i][j];
        status = en->ops->upload(en->dev, tables[i], to, count[i] * sizeof *to, e);
    }
    enum od_status synced = en->ops->sync(en->dev, status ? NULL : e); /* copies may still be reading */
    od_heap_free(&en->heap, rounded);
    return status ? status : synced;
}

static enum od_status make_tables(od_engine *en, float *tables[3], size_t n_position, od_error *e) {
    od_rope rope = {0};
    const od_config *c = &en->model->config;
    enum od_status status = od_rope_create(&rope, c->d_model / c->n_head, n_position, &en->heap, e);
    if (status) return status;
    const size_t n_xpos = 2 * n_position - 1 - OD_FAULT_WHEN(XPOS_SHORT, n_position > 1);
    const double *const exact[3] = {rope.cosine, rope.sine, rope.xpos};
    const size_t count[3] = {n_position * rope.half, n_position * rope.half, n_xpos * rope.half};
    status = upload_tables(en, tables, exact, count, e);
    od_rope_destroy(&rope, &en->heap);
    return status;
}

static enum od_status make_scratch(od_engine *en, void *fresh[OD_SCRATCH_COUNT], size_t n_token, od_error *e) {
    od_slice slices[OD_SCRATCH_COUNT];
    size_t n = 0;
    for (int i = 0; i < OD_SCRATCH_COUNT; i++) {
        const size_t bytes = od_scratch_bytes(en, i, n_token);
        if (bytes) slices[n++] = (od_slice){&fresh[i], bytes, scratch_names[i]};
    }
    return en->ops->alloc_many(en->dev, slices, n, e);
}

/* Graphs hold the addresses of tables and scratch, so they go with them; the fused path's read them from od_call. The
 * old memory is given back only when all of the new is there: a failure leaves the engine as it was. */
enum od_status od_engine_reserve(od_engine *en, size_t n_token, size_t n_position, od_error *e) {
    const bool more_positions = n_position > en->n_position, more_tokens = n_token > en->n_token;
    float *tables[3] = {0};
    void *fresh[OD_SCRATCH_COUNT] = {0};
    if (!more_positions && !more_tokens) return OD_OK;
    enum od_status status = more_positions ? make_tables(en, tables, n_position, e) : OD_OK;
    if (!status && more_tokens) status = make_scratch(en, fresh, n_token, e);
    if (status) {
        free_all(en, (void **)tables, 3, NULL);
        return status;
    }
    const bool stale = OD_FAULT_WHEN(STALE_GRAPH, !en->options.fused && en->n_graph > 0);
    if (!en->options.fused && !stale) od_engine_drop_graphs(en);
#ifdef OD_FAULTS
    for (int i = 0; stale && more_tokens && i < OD_SCRATCH_COUNT; i++) {
        od_engine_keep(en, en->scratch[i]);
        en->scratch[i] = NULL;
    }
#endif
    if (more_positions) {
        void *old[3] = {en->cosine, en->sine, en->xpos};
        en->cosine = tables[0];
        en->sine = tables[1];
        en->xpos = tables[2];
        en->n_position = n_position;
        status = free_all(en, old, 3, e);
    }
    if (more_tokens) {
        enum od_status freed = free_all(en, en->scratch, OD_SCRATCH_COUNT, status ? NULL : e);
        if (!status) status = freed;
        memcpy(en->scratch, fresh, sizeof fresh);
        en->n_token = n_token;
    }
    return status;
}

#ifdef OD_FAULTS
void od_engine_keep(od_engine *en, void *buffer) {
    void **more = realloc(en->hoard, (en->n_hoard + 1) * sizeof *more);
    if (!more) return;
    en->hoard = more;
    en->hoard[en->n_hoard++] = buffer;
}

void od_engine_hoard(od_engine *en, size_t bytes) {
    void *buffer = NULL;
    if (en->ops->alloc(en->dev, &buffer, bytes, "planted leak", NULL) == OD_OK) od_engine_keep(en, buffer);
}
#endif

enum od_status od_engine_release(od_engine *en, od_error *e) {
    void *rest[] = {en->weights, en->call, en->replaced, en->head, en->head_bias, en->cosine, en->sine, en->xpos};
    od_engine_drop_graphs(en);
    enum od_status status = free_all(en, en->scratch, OD_SCRATCH_COUNT, e);
    enum od_status more = free_all(en, rest, sizeof rest / sizeof *rest, status ? NULL : e);
#ifdef OD_FAULTS
    free_all(en, en->hoard, en->n_hoard, NULL);
    free(en->hoard);
    en->hoard = NULL;
    en->n_hoard = 0;
#endif
    return status ? status : more;
}

static const char *const kept_names[OD_KEPT_COUNT] = {
    "series",          "mask", "ids",    "scaler loc", "scaler scale", "scaler state", "KV cache keys",
    "KV cache values", "mean", "df out", "loc out",    "scale out",    "probs out",    "hidden states"};

size_t od_kept_bytes(const od_session *s, enum od_kept which) {
    const od_engine *en = s->engine;
    const od_config *c = &en->model->config;
    const size_t steps = s->rows * s->step_limit, tokens = s->rows * s->patch_limit;
    switch (which) {
    case OD_KEPT_MASK: return steps - OD_FAULT_WHEN(MASK_SHORT, steps > 1);
    case OD_KEPT_ID: return tokens * sizeof(int32_t);
    case OD_KEPT_STATE: return s->rows * sizeof(od_scaler_state);
    case OD_KEPT_KEY:
    case OD_KEPT_CACHED: return od_config_time_layers(c) * s->rows * s->key_patch * c->d_model * sizeof(float);
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
    od_slice slices[OD_KEPT_COUNT];
    size_t n = 0;
    for (int i = 0; i < OD_KEPT_COUNT; i++) {
        const size_t bytes = od_kept_bytes(s, i);
        if (bytes) slices[n++] = (od_slice){&s->kept[i], bytes, kept_names[i]};
    }
    return s->engine->ops->alloc_many(s->engine->dev, slices, n, e);
}

enum od_status od_session_grow(od_session *s, size_t n_patch, size_t used, od_error *e) {
    od_engine *en = s->engine;
    const od_config *c = &en->model->config;
    const size_t before = s->key_patch;
    if (en->recomputes || n_patch <= before) return OD_OK;
    s->key_patch = 2 * before > n_patch ? 2 * before : n_patch;
    if (s->key_patch > s->patch_limit) s->key_patch = s->patch_limit;
    if (OD_FAULT_WHEN(GROW_CAP, before && s->key_patch == n_patch && n_patch == s->patch_limit)) s->key_patch--;
    void *fresh[2] = {NULL, NULL}, *old[2] = {s->kept[OD_KEPT_KEY], s->kept[OD_KEPT_CACHED]};
    const od_slice slices[2] = {{&fresh[0], od_kept_bytes(s, OD_KEPT_KEY), kept_names[OD_KEPT_KEY]},
                                {&fresh[1], od_kept_bytes(s, OD_KEPT_CACHED), kept_names[OD_KEPT_CACHED]}};
    enum od_status status = en->ops->alloc_many(en->dev, slices, 2, e);
    if (status) {
        s->key_patch = before;
        return status;
    }
    if (used) {
        const od_grow_args args = {.to_key = fresh[0],
                                   .to_value = fresh[1],
                                   .from_key = old[0],
                                   .from_value = old[1],
                                   .from_stride = (uint32_t)before,
                                   .to_stride = (uint32_t)s->key_patch,
                                   .used = (uint32_t)used - OD_FAULT_ON(GROW_LAST),
                                   .d_head = (uint32_t)(c->d_model / c->n_head)};
        const size_t places = od_config_time_layers(c) * s->rows * c->n_head;
        const od_grid grid = {.x = (unsigned)places, .y = 1, .threads = 32};
        status = en->ops->launch(en->dev, 0, OD_KERNEL_grow, grid, &args, sizeof args, e);
        if (!status) status = en->ops->sync(en->dev, e);
    }
    s->kept[OD_KEPT_KEY] = fresh[0];
    s->kept[OD_KEPT_CACHED] = fresh[1];
    enum od_status freed = free_all(en, old, 2, status ? NULL : e);
    return status ? status : freed;
}

enum od_status od_session_release(od_session *s, od_error *e) {
    return free_all(s->engine, s->kept, OD_KEPT_COUNT, e);
}
