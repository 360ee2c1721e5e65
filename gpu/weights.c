/* The weights on the device: as the model has them, or, for the fused kernels, with the QKV features in the order (3,
 * H, d), the heads as one matrix, and the unembedding folded into it where there are no more weights for it. */
#include <stdatomic.h>
#include <string.h>

#include "faults/fault.h"
#include "gpu/engine.h"
#include "gpu/fused_grid.h"

enum {
    ALIGN = 64,       /* floats: every tensor begins at a multiple of 256 bytes */
    CHUNK = 4,        /* steps of a patch folded at a time: their outputs begin at multiples of 16 bytes */
    STAGED = 1 << 17, /* floats of weights that are brought together for one copy: a copy of its own costs a small
                         tensor more than its bytes do. A bound, and the same with all switches: the peak counts it */
    LARGE = 8 << 20   /* floats of a model from which on locking its pages costs less than it gains */
};

/* One step's outputs: of df, loc, scale and, for a mixture, its logits. */
static size_t head_outs(const od_config *c) {
    return (c->mixture ? 4 : 3) * c->n_component;
}

/* A matrix for every step of a patch: for a mixture of many components beside a narrow model more weights than the
 * unembedding and the heads are. */
static bool folds(const od_config *c) {
    const size_t d = c->d_model, outs = head_outs(c);
    return c->patch * outs <= c->patch * d + outs; /* each times d + 1: weights and a bias */
}

/* Not in `weights`, but in `head`. */
static bool is_in_head(const od_engine *en, enum od_weight kind) {
    if (!en->options.fused || kind > OD_W_MIXTURE_BIAS) return false;
    return kind >= OD_W_DF || (en->folded && kind >= OD_W_UNEMBED);
}

const float *od_engine_weight(const od_engine *en, enum od_weight kind, size_t layer) {
    return en->weights + en->place[od_model_spec(en->model, kind, layer) - en->model->weights];
}

static size_t lay_out(od_engine *en) {
    size_t at = 0;
    for (size_t i = 0; i < en->model->n_weight; i++) {
        const od_weight_spec *spec = &en->model->weights[i];
        en->place[i] = at;
        if (!is_in_head(en, spec->kind)) at += (spec->count + ALIGN - 1) / ALIGN * ALIGN;
    }
    return at;
}

/* Of part q of three, row j·H + h becomes row h·d + j. */
static void order_features(float *out, const float *in, const od_config *c, size_t width) {
    const size_t d = c->d_model / c->n_head;
    for (size_t h = 0; h < c->n_head; h++)
        for (size_t j = 0; j < d; j++)
            memcpy(out + (h * d + j) * width, in + (j * c->n_head + h) * width, width * sizeof(float));
}

/* The upload's scratch, on the host and on the device. */
typedef struct staging {
    float *together; /* tensors whose places follow each other: n floats, which go to en->weights + begin */
    size_t room, begin, n;
    float *ordered;                /* a third of a layer's QKV that does not fit there */
    float *unembed, *unembed_bias; /* device: CHUNK steps' rows */
    float *head[4], *head_bias[4]; /* device */
} staging;

/* A third at a time: the host needs room for no more. */
static enum od_status upload_ordered(od_engine *en, staging *st, size_t i, od_error *e) {
    const od_config *c = &en->model->config;
    const od_weight_spec *spec = &en->model->weights[i];
    const size_t part = spec->count / 3;
    enum od_status status = OD_OK;
    for (size_t q = 0; q < 3 && !status; q++) {
        order_features(st->ordered, en->model->data + spec->offset + q * part, c, part / c->d_model);
        status = en->ops->upload(en->dev, en->weights + en->place[i] + q * part, st->ordered, part * sizeof(float), e);
        if (!status) status = en->ops->sync(en->dev, e); /* the copy may still be reading */
    }
    return status;
}

static bool is_ordered(const od_engine *en, enum od_weight kind) {
    return en->options.fused && (kind == OD_W_QKV || kind == OD_W_QKV_BIAS);
}

/* Tensor i behind those that are there. What lies between two stays poison. */
static void put(const od_engine *en, staging *st, size_t i) {
    const od_config *c = &en->model->config;
    const od_weight_spec *spec = &en->model->weights[i];
    const float *from = en->model->data + spec->offset;
    const size_t part = spec->count / 3;
    if (!st->n) {
        memset(st->together, OD_POISON_BYTE, st->room * sizeof *st->together);
        st->begin = en->place[i];
    }
    float *to = st->together + (en->place[i] - st->begin);
    st->n = en->place[i] - st->begin + spec->count;
    if (!is_ordered(en, spec->kind)) {
        memcpy(to, from, spec->count * sizeof *to);
        return;
    }
    for (size_t q = 0; q < 3; q++) order_features(to + q * part, from + q * part, c, part / c->d_model);
}

static enum od_status flush(od_engine *en, staging *st, od_error *e) {
    if (!st->n) return OD_OK;
    enum od_status status =
        en->ops->upload(en->dev, en->weights + st->begin, st->together, st->n * sizeof *st->together, e);
    st->n = 0;
    return status ? status : en->ops->sync(en->dev, e); /* the copy may still be reading */
}

static enum od_status upload_all(od_engine *en, staging *st, od_error *e) {
    const od_model *m = en->model;
    enum od_status status = OD_OK;
    for (size_t i = 0; i < m->n_weight && !status; i++) {
        const od_weight_spec *spec = &m->weights[i];
        if (is_in_head(en, spec->kind)) continue;
#ifdef OD_FAULTS
        const bool last = spec->kind == OD_W_MLP_OUT_BIAS && spec->layer + 1 == m->config.n_layer;
        static atomic_uint lives;
        if (OD_FAULT_WHEN(SECOND_LIFE, last && atomic_fetch_add(&lives, 1) > 0)) continue;
#endif
        if (st->n && en->place[i] - st->begin + spec->count > st->room) status = flush(en, st, e);
        if (status) break;
        if (spec->count <= st->room)
            put(en, st, i);
        else if (is_ordered(en, spec->kind))
            status = upload_ordered(en, st, i, e);
        else
            status = en->ops->upload(en->dev, en->weights + en->place[i], m->data + spec->offset,
                                     spec->count * sizeof(float), e);
    }
    return status ? status : flush(en, st, e);
}

static const enum od_weight heads[4] = {OD_W_DF, OD_W_LOC, OD_W_SCALE, OD_W_MIXTURE}; /* the order of HEADS */

static enum od_status fold_heads(od_engine *en, staging *st, od_error *e) {
    const od_model *m = en->model;
    const od_config *c = &m->config;
    const size_t d = c->d_model, n_head = c->mixture ? 4 : 3, k = c->n_component;
    const float *unembed = od_model_weight(m, OD_W_UNEMBED, 0), *bias = od_model_weight(m, OD_W_UNEMBED_BIAS, 0);
    enum od_status status = OD_OK;
    for (size_t h = 0; h < n_head && !status; h++) {
        status = en->ops->upload(en->dev, st->head[h], od_model_weight(m, heads[h], 0), k * d * sizeof(float), e);
        if (!status)
            status = en->ops->upload(en->dev, st->head_bias[h], od_model_weight(m, (enum od_weight)(heads[h] + 1), 0),
                                     k * sizeof(float), e);
    }
    for (size_t p = 0; p < c->patch && !status; p += CHUNK) {
        const size_t n = c->patch - p < CHUNK ? c->patch - p : CHUNK;
        od_fold_args args = {.out = en->head + p * n_head * k * d,
                             .out_bias = en->head_bias + p * n_head * k,
                             .unembed = st->unembed,
                             .unembed_bias = st->unembed_bias,
                             .patch = (uint32_t)n,
                             .n_head = (uint32_t)n_head,
                             .n_component = (uint32_t)k,
                             .width = (uint32_t)d};
        for (size_t h = 0; h < n_head; h++) {
            args.head[h] = st->head[h];
            args.head_bias[h] = st->head_bias[h];
        }
        status = en->ops->upload(en->dev, st->unembed, unembed + p * d * d, n * d * d * sizeof(float), e);
        if (!status) status = en->ops->upload(en->dev, st->unembed_bias, bias + p * d, n * d * sizeof(float), e);
        if (!status) status = en->ops->launch(en->dev, 0, OD_KERNEL_fold, od_fold_grid(&args), &args, sizeof args, e);
    }
    if (!status) status = en->ops->sync(en->dev, e);
    return status;
}

static enum od_status fold(od_engine *en, staging *st, od_error *e) {
    const od_config *c = &en->model->config;
    const size_t d = c->d_model, k = c->n_component, chunk = c->patch < CHUNK ? c->patch : CHUNK;
    od_slice slices[10] = {{(void **)&st->unembed, chunk * d * d * sizeof(float), "unembedding"},
                           {(void **)&st->unembed_bias, chunk * d * sizeof(float), "unembedding"}};
    size_t n = 2;
    for (size_t h = 0; h < (c->mixture ? 4u : 3u); h++) {
        slices[n++] = (od_slice){(void **)&st->head[h], k * d * sizeof(float), "head"};
        slices[n++] = (od_slice){(void **)&st->head_bias[h], k * sizeof(float), "head"};
    }
    enum od_status status = en->ops->alloc_many(en->dev, slices, n, e);
    if (status) return status;
    status = fold_heads(en, st, e);
    for (size_t i = 0; i < n; i++) {
        enum od_status freed = en->ops->free(en->dev, *slices[i].out, status ? NULL : e);
        if (!status) status = freed;
    }
    return status;
}

/* One below the other. */
static enum od_status upload_heads(od_engine *en, od_error *e) {
    const od_model *m = en->model;
    const size_t d = m->config.d_model, n_head = m->config.mixture ? 4 : 3, k = m->config.n_component;
    enum od_status status = OD_OK;
    for (size_t h = 0; h < n_head && !status; h++) {
        const float *w = od_model_weight(m, heads[h], 0), *bias = od_model_weight(m, (enum od_weight)(heads[h] + 1), 0);
        status = en->ops->upload(en->dev, en->head + h * k * d, w, k * d * sizeof(float), e);
        if (!status) status = en->ops->upload(en->dev, en->head_bias + h * k, bias, k * sizeof(float), e);
    }
    return status;
}

static enum od_status upload_model(od_engine *en, size_t total, od_error *e) {
    const od_model *m = en->model;
    const size_t d = m->config.d_model;
    const bool pinned = m->n_data >= LARGE && en->ops->pin(en->dev, m->data, m->n_data * sizeof *m->data);
    staging st = {.room = total < STAGED ? total : STAGED};
    enum od_status status = OD_OK;
    st.together = od_heap_alloc(&en->heap, st.room, sizeof *st.together, "weights", e);
    if (!st.together) status = OD_NO_MEMORY;
    if (!status && en->options.fused && 3 * d * d > st.room) {
        st.ordered = od_heap_alloc(&en->heap, d * d, sizeof *st.ordered, "QKV weights", e);
        if (!st.ordered) status = OD_NO_MEMORY;
    }
    if (!status) status = upload_all(en, &st, e);
    if (!status && en->options.fused) status = en->folded ? fold(en, &st, e) : upload_heads(en, e);
    enum od_status synced =
        en->ops->sync(en->dev, status ? NULL : e); /* also after a failure: copies may be under way */
    od_heap_free(&en->heap, st.together);
    od_heap_free(&en->heap, st.ordered);
    if (pinned) en->ops->unpin(en->dev, m->data);
    return status ? status : synced;
}

enum od_status od_engine_upload(od_engine *en, od_error *e) {
    const od_config *c = &en->model->config;
    en->folded = en->options.fused && folds(c);
    const size_t outs = head_outs(c) * (en->folded ? c->patch : 1);
    en->place = od_heap_alloc(&en->heap, en->model->n_weight, sizeof *en->place, "places of weights", e);
    if (!en->place) return OD_NO_MEMORY;
    const size_t total = lay_out(en);
    const od_slice slices[] = {{(void **)&en->weights, total * sizeof(float), "weights"},
                               {(void **)&en->call, od_call_bytes(en), "call block"},
                               {(void **)&en->replaced, sizeof(uint32_t), "counter"},
                               {(void **)&en->head, outs * c->d_model * sizeof(float), "heads"},
                               {(void **)&en->head_bias, outs * sizeof(float), "heads' biases"}};
    enum od_status status = en->ops->alloc_many(en->dev, slices, en->options.fused ? 5 : 3, e);
    const od_fill none_yet = {en->replaced, sizeof(uint32_t), 0};
    if (!status) status = en->ops->fill(en->dev, &none_yet, 1, e);
    return status ? status : upload_model(en, total, e);
}
