/* One call's work, in the order of model.md. During a capture the same code records instead of running, so graph and
 * plain launches cannot differ in what they do. */
#include <math.h>
#include <string.h>

#include "faults/fault.h"
#include "gpu/engine.h"

/* What the steps below share; the first error ends the rest. */
typedef struct work {
    od_engine *en;
    const od_config *c;
    const od_shape *shape;
    size_t position, rows, tokens;
    enum od_status status;
    od_error *e;
} work;

static void *scratch(const work *w, enum od_scratch which) {
    return w->en->scratch[which];
}

static const float *weight(const work *w, enum od_weight kind, size_t layer) {
    return od_engine_weight(w->en, kind, layer);
}

static void launch(work *w, unsigned stream, enum od_kernel kernel, od_grid grid, const void *args, size_t size) {
    if (!w->status) w->status = w->en->ops->launch(w->en->dev, stream, kernel, grid, args, size, w->e);
}
#define LAUNCH(w, kernel, grid, args) launch(w, 0, OD_KERNEL_##kernel, grid, &(args), sizeof(args))

/* y[m, n] = x[m, k] · Wᵀ for a weight [n, k]. */
static void product(work *w, unsigned stream, float *y, const float *x, size_t m, enum od_weight kind, size_t layer) {
    const od_weight_spec *spec = od_model_spec(w->en->model, kind, layer);
    if (!w->status)
        w->status =
            w->en->ops->gemm(w->en->dev, stream, y, x, weight(w, kind, layer), m, spec->shape[0], spec->shape[1], w->e);
}

static void fork_stream(work *w, unsigned waiter, unsigned on) {
    if (!w->status && waiter != on) w->status = w->en->ops->fork(w->en->dev, waiter, on, w->e);
}

static od_grid cover(size_t count) {
    const unsigned threads = count < 128 ? 32 : 128;
    return (od_grid){.x = (unsigned)((count + threads - 1) / threads), .y = 1, .threads = threads};
}

/* The largest power of two that is at most n, within lo … hi (powers of two themselves). */
static unsigned power_within(size_t n, unsigned lo, unsigned hi) {
    unsigned p = lo;
    while (p < hi && 2 * (size_t)p <= n) p *= 2;
    return p;
}

static od_grid block_a_row(size_t rows, size_t width) {
    return (od_grid){.x = (unsigned)rows, .y = 1, .threads = power_within(width, 8, 256)};
}

static void ingest_and_scale(work *w) {
    const od_shape *shape = w->shape;
    const od_config *c = w->c;
    const double minimum = c->scaler == OD_SCALER_STD_MEAN ? 1e-3 : 0.1; /* minimum_scale of the official classes */
    const char *window = scratch(w, OD_SCRATCH_IN_VALUE);
    const size_t count = w->rows * shape->new_count;
    const od_ingest_args in = {.call = w->en->call,
                               .value = (const float *)(const void *)window,
                               .mask = (const uint8_t *)window + od_staged_mask(count, c->patch),
                               .id = (const int32_t *)(const void *)(window + od_staged_id(count)),
                               .new_count = (uint32_t)shape->new_count,
                               .patch = (uint32_t)c->patch};
    LAUNCH(w, ingest, ((od_grid){(unsigned)w->rows, 1, power_within(shape->new_count, 8, 128), 0}), in);
    const od_scaler_args scaler = {.call = w->en->call,
                                   .minimum = minimum,
                                   .low_factor = pow(10, -c->scale_exponent),
                                   .high_factor = pow(10, c->scale_exponent),
                                   .rows = (uint32_t)w->rows,
                                   .patch = (uint32_t)c->patch,
                                   .last_count = (uint32_t)(shape->n_patch * c->patch),
                                   .kind = (int32_t)c->scaler,
                                   .stabilize = c->stabilize};
    LAUNCH(w, scaler, ((od_grid){(unsigned)((w->rows + 7) / 8), 1, 8, 0}), scaler);
}

static void add_bias(work *w, float *x, enum od_weight bias, size_t width, size_t rows) {
    const od_add_bias_args args = {.x = x, .bias = weight(w, bias, 0), .width = (uint32_t)width};
    LAUNCH(w, add_bias, block_a_row(rows, width), args);
}

static void embed(work *w) {
    const size_t count = w->tokens * w->c->patch;
    const od_patchify_args args = {.call = w->en->call,
                                   .out = scratch(w, OD_SCRATCH_PATCHES),
                                   .n_patch = (uint32_t)w->shape->n_patch,
                                   .patch = (uint32_t)w->c->patch,
                                   .count = count};
    LAUNCH(w, patchify, cover(count), args);
    product(w, 0, scratch(w, OD_SCRATCH_X), args.out, w->tokens, OD_W_PATCH, 0);
    add_bias(w, scratch(w, OD_SCRATCH_X), OD_W_PATCH_BIAS, w->c->d_model, w->tokens);
}

static void norm(work *w, enum od_weight kind, size_t layer) {
    const unsigned threads = power_within(w->c->d_model / 4, 8, 256);
    const od_rmsnorm_args args = {.y = scratch(w, OD_SCRATCH_NORM),
                                  .x = scratch(w, OD_SCRATCH_X),
                                  .scale = weight(w, kind, layer),
                                  .width = (uint32_t)w->c->d_model};
    LAUNCH(w, rmsnorm, ((od_grid){(unsigned)w->tokens, 1, threads, threads * sizeof(float)}), args);
}

static void residual(work *w, enum od_weight bias, size_t layer) {
    const od_residual_args args = {.x = scratch(w, OD_SCRATCH_X),
                                   .y = scratch(w, OD_SCRATCH_PRODUCT),
                                   .bias = weight(w, bias, layer),
                                   .width = (uint32_t)w->c->d_model};
    LAUNCH(w, residual, block_a_row(w->tokens, w->c->d_model), args);
}

static void attention(work *w, size_t layer) {
    const od_config *c = w->c;
    const bool space = od_config_is_space(c, layer);
    const uint32_t d = (uint32_t)(c->d_model / c->n_head), at = space ? 0 : (uint32_t)od_config_time_index(c, layer);
    norm(w, OD_W_NORM1, layer);
    product(w, 0, scratch(w, OD_SCRATCH_QKV), scratch(w, OD_SCRATCH_NORM), w->tokens, OD_W_QKV, layer);
    const od_qkv_args split = {
        .call = w->en->call,
        .q = scratch(w, OD_SCRATCH_Q),
        .k = scratch(w, OD_SCRATCH_K),
        .v = scratch(w, OD_SCRATCH_V),
        .qkv = scratch(w, OD_SCRATCH_QKV),
        .bias = weight(w, OD_W_QKV_BIAS, layer),
        .cosine = space ? NULL : w->en->cosine,
        .sine = w->en->sine,
        .xpos = w->en->xpos,
        .n_patch = (uint32_t)w->shape->n_patch,
        .n_head = (uint32_t)c->n_head,
        .d_head = d,
        .layer = at,
        .rope_rows = (uint32_t)w->en->n_position,
#ifdef OD_FAULTS
        .frozen_position =
            od_fault_active() == OD_FAULT_FIFTH && w->en->n_capture != 4 ? UINT32_MAX : (uint32_t)w->position,
#endif
    };
    LAUNCH(w, qkv, ((od_grid){(unsigned)w->tokens, 1, power_within(c->d_model, 8, 256), 0}), split);
    const od_attend_args attend = {.call = w->en->call,
                                   .out = scratch(w, OD_SCRATCH_ATTENDED),
                                   .q = split.q,
                                   .k = split.k,
                                   .v = split.v,
                                   .inverse_root = 1.0f / sqrtf((float)d),
                                   .n_patch = split.n_patch,
                                   .n_head = split.n_head,
                                   .d_head = d,
                                   .layer = at,
                                   .variates = (uint32_t)w->shape->variates};
    /* scores, accumulators and three running numbers, each rounded up to 16 bytes */
    const unsigned shared = OD_ATTEND_TILE * sizeof(float) + (((d * (unsigned)sizeof(float)) + 15u) & ~15u) + 16;
    const od_grid grid = {(unsigned)w->tokens, (unsigned)c->n_head, power_within(d, 8, 64), shared};
    launch(w, 0, space ? OD_KERNEL_attend_space : OD_KERNEL_attend_time, grid, &attend, sizeof attend);
    product(w, 0, scratch(w, OD_SCRATCH_PRODUCT), scratch(w, OD_SCRATCH_ATTENDED), w->tokens, OD_W_OUT, layer);
    residual(w, OD_W_OUT_BIAS, layer);
}

static void mlp(work *w, size_t layer) {
    norm(w, OD_W_NORM2, layer);
    product(w, 0, scratch(w, OD_SCRATCH_MLP_IN), scratch(w, OD_SCRATCH_NORM), w->tokens, OD_W_MLP_IN, layer);
    const od_swiglu_args args = {.y = scratch(w, OD_SCRATCH_MLP),
                                 .x = scratch(w, OD_SCRATCH_MLP_IN),
                                 .bias = weight(w, OD_W_MLP_IN_BIAS, layer),
                                 .width = (uint32_t)w->c->d_mlp,
                                 .rows = (uint32_t)w->tokens};
    LAUNCH(w, swiglu, block_a_row(w->tokens, w->c->d_mlp), args);
    product(w, 0, scratch(w, OD_SCRATCH_PRODUCT), args.y, w->tokens, OD_W_MLP_OUT, layer);
    residual(w, OD_W_MLP_OUT_BIAS, layer);
}

static void keep(work *w, size_t layer) {
    const od_keep_args args = {
        .call = w->en->call, .x = OD_SCRATCH_X, .layer = (uint32_t)layer, .width = (uint32_t)w->c->d_model};
    LAUNCH(w, keep, cover(w->tokens * w->c->d_model), args);
}

/* The heads do not depend on each other: they run side by side on as many streams as there are. */
static void head(work *w) {
    static const struct {
        enum od_weight weight;
        enum od_scratch out;
    } heads[] = {{OD_W_LOC, OD_SCRATCH_LOC},
                 {OD_W_DF, OD_SCRATCH_DF},
                 {OD_W_SCALE, OD_SCRATCH_SCALE},
                 {OD_W_MIXTURE, OD_SCRATCH_MIX}};
    const size_t positions = w->tokens * w->c->patch, n_head = w->c->mixture ? 4 : 3;
    const unsigned streams = w->en->options.streams;
    float *vectors = scratch(w, OD_SCRATCH_UNEMBED);
    if (OD_FAULT_ON(EDGE))
        for (unsigned i = 1; i < n_head; i++) fork_stream(w, i % streams, 0);
    product(w, 0, vectors, scratch(w, OD_SCRATCH_X), w->tokens, OD_W_UNEMBED, 0);
    add_bias(w, vectors, OD_W_UNEMBED_BIAS, w->c->patch * w->c->d_model, w->tokens);
    if (!OD_FAULT_ON(EDGE))
        for (unsigned i = 1; i < n_head; i++) fork_stream(w, i % streams, 0);
    for (unsigned i = 0; i < n_head; i++)
        product(w, i % streams, scratch(w, heads[i].out), vectors, positions, heads[i].weight, 0);
    for (unsigned i = 1; i < n_head; i++) fork_stream(w, 0, i % streams);
    const od_head_args args = {.call = w->en->call,
                               .df = scratch(w, OD_SCRATCH_DF),
                               .loc = scratch(w, OD_SCRATCH_LOC),
                               .scale = scratch(w, OD_SCRATCH_SCALE),
                               .mix = scratch(w, OD_SCRATCH_MIX),
                               .df_bias = weight(w, OD_W_DF_BIAS, 0),
                               .loc_bias = weight(w, OD_W_LOC_BIAS, 0),
                               .scale_bias = weight(w, OD_W_SCALE_BIAS, 0),
                               .mix_bias = w->c->mixture ? weight(w, OD_W_MIXTURE_BIAS, 0) : NULL,
                               .n_component = (uint32_t)w->c->n_component,
                               .count = positions};
    LAUNCH(w, head, cover(positions), args);
    const od_mean_args mean = {.call = w->en->call,
                               .replaced = w->en->replaced,
                               .rows = (uint32_t)w->rows,
                               .n_patch = (uint32_t)w->shape->n_patch,
                               .patch = (uint32_t)w->c->patch,
                               .n_component = args.n_component,
                               .mixture = w->c->mixture};
#ifdef OD_FAULTS
    if (OD_FAULT_WHEN(NINTH, w->en->ninth)) return;
#endif
    LAUNCH(w, mean, cover(w->rows * w->c->patch), mean);
}

enum od_status od_forward(od_engine *en, const od_shape *shape, size_t position, od_error *e) {
    const size_t rows = shape->batch * shape->variates;
    work w = {.en = en,
              .c = &en->model->config,
              .shape = shape,
              .position = position,
              .rows = rows,
              .tokens = rows * shape->n_patch,
              .status = OD_OK,
              .e = e};
    ingest_and_scale(&w);
    embed(&w);
    for (size_t layer = 0; layer < w.c->n_layer; layer++) {
        attention(&w, layer);
        mlp(&w, layer);
        if (en->options.hidden) keep(&w, layer);
#ifdef OD_FAULTS
        if (OD_FAULT_WHEN(SYNC_LAYER, !en->recording)) en->ops->sync(en->dev, NULL);
#endif
    }
    head(&w);
    return w.status;
}
