/* One call's work on the fused kernels: a chain of launches, each of which may begin while the one ahead of it ends. A
 * decode step's products read each weight once (row_product), a prefill's run on tensor cores (od_device_ops.product);
 * which of the two depends on the call's kind and the weight's shape alone, so that a row's bits do not depend on how
 * many rows there are. */
#include <assert.h>
#include <math.h>

#include "faults/fault.h"
#include "gpu/engine.h"
#include "gpu/fused_grid.h"
#include "gpu/fused_grid_attention.h"
#include "gpu/row_chain.h"
#include "gpu/row_plan.h"

typedef struct chain {
    od_engine *en;
    const od_config *c;
    const od_shape *bucket;
    const od_sizes *sizes; /* of the call that is run or recorded */
    od_row_chain_args pending;
    enum od_status status; /* the first error ends the rest */
    od_error *e;
} chain;

static void start(chain *w, enum od_kernel kernel, od_grid grid, const void *args, size_t size) {
    grid.early = true;
    if (!w->status) w->status = w->en->ops->launch(w->en->dev, 0, kernel, grid, args, size, w->e);
}

/* Small products wait until something else is to run: what follows each other becomes one kernel. */
static void flush(chain *w) {
    if (w->pending.n_link)
        start(w, OD_KERNEL_row_chain, od_chain_grid(&w->pending, w->bucket->capacity), &w->pending, sizeof w->pending);
    w->pending = (od_row_chain_args){.call = w->en->call};
}

static void launch(chain *w, enum od_kernel kernel, od_grid grid, const void *args, size_t size) {
    flush(w);
    start(w, kernel, grid, args, size);
}
#define LAUNCH(w, kernel, grid, args) launch(w, OD_KERNEL_##kernel, grid, &(args), sizeof(args))

/* Of the largest call of the bucket; a session's bounds keep them within 2^30. */
static uint32_t most_rows(const chain *w, const od_product_args *args) {
    const size_t rows = w->bucket->capacity * (args->rows == OD_ROWS_STEPS ? args->patch : 1);
    assert(rows <= (size_t)1 << 30);
    return (uint32_t)rows;
}

static const float *weight(const chain *w, enum od_weight kind, size_t layer) {
    return od_engine_weight(w->en, kind, layer);
}

static void product(chain *w, od_product_args args) {
    args.call = w->en->call;
    if (od_chain_takes(&args)) {
        if (od_chain_add(&w->pending, &args)) return;
        flush(w);
        const bool added = od_chain_add(&w->pending, &args);
        assert(added);
        (void)added;
        return;
    }
    if (w->bucket->step || args.rows == OD_ROWS_STEPS) {
        const od_row_product_args row = od_row_args(&args);
        LAUNCH(w, row_product, od_row_product_grid(&args, most_rows(w, &args)), row);
        return;
    }
    if (args.norm) {
        const od_norm_rows_args norm = {
            .call = w->en->call, .scale = args.norm, .x = args.x, .y = OD_SCRATCH_NORM, .width = args.depth};
        LAUNCH(w, norm_rows, od_norm_rows_grid(&norm, w->bucket->capacity), norm);
        args.norm = NULL;
        args.x = OD_SCRATCH_NORM;
    }
    flush(w);
    if (!w->status)
        w->status = w->en->ops->product(w->en->dev, &args, w->bucket->capacity,
                                        args.rows == OD_ROWS_HEAD ? w->sizes->heads : w->sizes->tokens, w->e);
}

static void front(chain *w) {
    const od_config *c = w->c;
    const double minimum = c->scaler == OD_SCALER_STD_MEAN ? 1e-3 : 0.1; /* minimum_scale of the official classes */
    const od_front_args args = {.call = w->en->call,
                                .minimum = minimum,
                                .low_factor = pow(10, -c->scale_exponent),
                                .high_factor = pow(10, c->scale_exponent),
                                .patch = (uint32_t)c->patch,
                                .kind = (int32_t)c->scaler,
                                .stabilize = c->stabilize};
    LAUNCH(w, front, od_front_grid(&args, w->bucket->capacity, w->bucket->step), args);
    product(w, (od_product_args){.w = weight(w, OD_W_PATCH, 0),
                                 .bias = weight(w, OD_W_PATCH_BIAS, 0),
                                 .x = OD_SCRATCH_PATCHES,
                                 .y = OD_SCRATCH_X,
                                 .outs = (uint32_t)c->d_model,
                                 .depth = (uint32_t)c->patch,
                                 .epilogue = OD_EPILOGUE_BIAS});
}

enum { MANY = 1 << 20 }; /* keys: more than a tile holds */

/* Tiles of keys are as large as d allows, whatever the call's length: a row's sums must not depend on it. */
static void attend(chain *w, size_t layer) {
    const od_config *c = w->c;
    const uint32_t d = (uint32_t)(c->d_model / c->n_head), n_head = (uint32_t)c->n_head;
    const bool space = od_config_is_space(c, layer);
    const uint32_t at = space ? 0 : (uint32_t)od_config_time_index(c, layer);
    const float inverse_root = 1.0f / sqrtf((float)d);
    const size_t capacity = w->bucket->capacity;
    if (!space && w->bucket->step) {
        od_attend_step_args step = {.call = w->en->call,
                                    .inverse_root = inverse_root,
                                    .n_head = n_head,
                                    .d_head = d,
                                    .layer = at
#ifdef OD_FAULTS
                                    ,
                                    .frozen_position = (uint32_t)w->sizes->position
#endif
        };
        const od_grid grid = od_attend_step_grid(&step, capacity, MANY);
        LAUNCH(w, attend_step, grid, step);
        return;
    }
    od_attend_tile_args tile = {
        .call = w->en->call, .inverse_root = inverse_root, .n_head = n_head, .d_head = d, .layer = at};
    if (space) {
        const od_grid grid = od_attend_group_grid(&tile, capacity, MANY);
        LAUNCH(w, attend_group, grid, tile);
        return;
    }
    if (od_attend_small_serves(capacity, d)) { /* a prefill begins at position 0 */
        const od_grid grid = od_attend_small_grid(&tile, capacity);
        LAUNCH(w, attend_small, grid, tile);
        return;
    }
    const od_rotate_args turn = {.call = w->en->call,
                                 .n_head = n_head,
                                 .d_head = d,
                                 .layer = at
#ifdef OD_FAULTS
                                 ,
                                 .frozen_position = (uint32_t)w->sizes->position
#endif
    };
    LAUNCH(w, rotate, od_rotate_grid(capacity, n_head, d), turn);
    /* a bucket of few tokens has either few patches or few rows, and then needs many blocks of few queries */
    const od_grid grid = od_attend_prefill_grid(&tile, capacity, capacity > 512 ? MANY : 128);
    LAUNCH(w, attend_prefill, grid, tile);
}

static void transformer_layer(chain *w, size_t layer) {
    const od_config *c = w->c;
    const uint32_t d = (uint32_t)c->d_model, m = (uint32_t)c->d_mlp;
    product(w, (od_product_args){.w = weight(w, OD_W_QKV, layer),
                                 .bias = weight(w, OD_W_QKV_BIAS, layer),
                                 .norm = weight(w, OD_W_NORM1, layer),
                                 .x = OD_SCRATCH_X,
                                 .y = OD_SCRATCH_QKV,
                                 .outs = 3 * d,
                                 .depth = d,
                                 .epilogue = OD_EPILOGUE_BIAS});
    attend(w, layer);
    product(w, (od_product_args){.w = weight(w, OD_W_OUT, layer),
                                 .bias = weight(w, OD_W_OUT_BIAS, layer),
                                 .x = OD_SCRATCH_ATTENDED,
                                 .y = OD_SCRATCH_X,
                                 .outs = d,
                                 .depth = d,
                                 .epilogue = OD_EPILOGUE_RESIDUAL});
    product(w, (od_product_args){.w = weight(w, OD_W_MLP_IN, layer),
                                 .bias = weight(w, OD_W_MLP_IN_BIAS, layer),
                                 .norm = weight(w, OD_W_NORM2, layer),
                                 .x = OD_SCRATCH_X,
                                 .y = OD_SCRATCH_MLP,
                                 .outs = m,
                                 .depth = d,
                                 .epilogue = OD_EPILOGUE_SWIGLU});
    product(w, (od_product_args){.w = weight(w, OD_W_MLP_OUT, layer),
                                 .bias = weight(w, OD_W_MLP_OUT_BIAS, layer),
                                 .x = OD_SCRATCH_MLP,
                                 .y = OD_SCRATCH_X,
                                 .outs = d,
                                 .depth = m,
                                 .epilogue = OD_EPILOGUE_RESIDUAL});
    if (!w->en->options.hidden) return;
    const od_keep_args keep = {
        .call = w->en->call, .x = OD_SCRATCH_X, .layer = (uint32_t)layer, .width = (uint32_t)c->d_model};
    const unsigned threads = 128;
    const od_grid grid = {
        .x = (unsigned)((w->bucket->capacity * c->d_model + threads - 1) / threads), .y = 1, .threads = threads};
    LAUNCH(w, keep, grid, keep);
}

static void head(chain *w) {
    const od_config *c = w->c;
    const uint32_t n_head = c->mixture ? 4 : 3, outs = (uint32_t)(n_head * c->n_component), d = (uint32_t)c->d_model;
    od_product_args args = {.w = w->en->head,
                            .bias = w->en->head_bias,
                            .x = OD_SCRATCH_X,
                            .y = OD_SCRATCH_HEADS,
                            .outs = (uint32_t)c->patch * outs,
                            .depth = d,
                            .epilogue = OD_EPILOGUE_BIAS,
                            .rows = OD_ROWS_HEAD};
    if (!w->en->folded) {
        product(w, (od_product_args){.w = weight(w, OD_W_UNEMBED, 0),
                                     .bias = weight(w, OD_W_UNEMBED_BIAS, 0),
                                     .x = OD_SCRATCH_X,
                                     .y = OD_SCRATCH_UNEMBED,
                                     .outs = (uint32_t)c->patch * d,
                                     .depth = d,
                                     .epilogue = OD_EPILOGUE_BIAS,
                                     .rows = OD_ROWS_HEAD});
        args.x = OD_SCRATCH_UNEMBED;
        args.outs = outs;
        args.rows = OD_ROWS_STEPS;
        args.patch = (uint32_t)c->patch;
    }
    product(w, args);
    const od_emit_args emit = {.call = w->en->call,
                               .replaced = w->en->replaced,
                               .patch = (uint32_t)c->patch,
                               .n_head = n_head,
                               .n_component = (uint32_t)c->n_component};
#ifdef OD_FAULTS
    if (OD_FAULT_WHEN(NINTH, w->en->ninth)) return;
#endif
    LAUNCH(w, emit, od_emit_grid(&emit, w->bucket->capacity), emit);
}

enum od_status od_forward_fused(od_engine *en, const od_shape *bucket, const od_sizes *sizes, od_error *e) {
    chain w = {.en = en, .c = &en->model->config, .bucket = bucket, .sizes = sizes, .status = OD_OK, .e = e};
    flush(&w);
    front(&w);
    for (size_t layer = 0; layer < w.c->n_layer; layer++) {
        transformer_layer(&w, layer);
#ifdef OD_FAULTS
        if (OD_FAULT_WHEN(SYNC_LAYER, !en->recording)) en->ops->sync(en->dev, NULL);
#endif
    }
    head(&w);
    return w.status;
}
