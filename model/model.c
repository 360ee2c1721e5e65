/* The one weight table, and generated weights. model_load.c reads checkpoints. */
#include "model/model.h"
#include "model/heap.h"
#include "model/model_table.h"
#include "model/rng.h"
#include "model/share.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every extent is one of these sizes, so that a shape is two letters. */
enum extent { ONE, PATCH, D, D3, MLP, MLP2, PATCH_D, COMPONENT };

/* One row a kind, in the order of enum od_weight. cols ONE: a vector, which belongs to a matrix of `fan` columns. */
static const struct {
    const char *name; /* %zu: the layer */
    enum extent rows, cols, fan;
} kinds[OD_W_KINDS] = {
    [OD_W_PATCH] = {"patch_embed.projection.weight", D, PATCH, PATCH},
    [OD_W_PATCH_BIAS] = {"patch_embed.projection.bias", D, ONE, PATCH},
    [OD_W_NORM1] = {"norm1.scale", D, ONE, D},
    [OD_W_QKV] = {"attention.wQKV.weight", D3, D, D},
    [OD_W_QKV_BIAS] = {"attention.wQKV.bias", D3, ONE, D},
    [OD_W_OUT] = {"attention.wO.weight", D, D, D},
    [OD_W_OUT_BIAS] = {"attention.wO.bias", D, ONE, D},
    [OD_W_NORM2] = {"norm2.scale", D, ONE, D},
    [OD_W_MLP_IN] = {"mlp.0.weight", MLP2, D, D},
    [OD_W_MLP_IN_BIAS] = {"mlp.0.bias", MLP2, ONE, D},
    [OD_W_MLP_OUT] = {"mlp.2.weight", D, MLP, MLP},
    [OD_W_MLP_OUT_BIAS] = {"mlp.2.bias", D, ONE, MLP},
    [OD_W_UNEMBED] = {"unembed.weight", PATCH_D, D, D},
    [OD_W_UNEMBED_BIAS] = {"unembed.bias", PATCH_D, ONE, D},
    [OD_W_DF] = {"output_distribution.df.weight", COMPONENT, D, D},
    [OD_W_DF_BIAS] = {"output_distribution.df.bias", COMPONENT, ONE, D},
    [OD_W_LOC] = {"output_distribution.loc_proj.weight", COMPONENT, D, D},
    [OD_W_LOC_BIAS] = {"output_distribution.loc_proj.bias", COMPONENT, ONE, D},
    [OD_W_SCALE] = {"output_distribution.scale_proj.weight", COMPONENT, D, D},
    [OD_W_SCALE_BIAS] = {"output_distribution.scale_proj.bias", COMPONENT, ONE, D},
    [OD_W_MIXTURE] = {"output_distribution.mixture_weights.weight", COMPONENT, D, D},
    [OD_W_MIXTURE_BIAS] = {"output_distribution.mixture_weights.bias", COMPONENT, ONE, D},
};

#define FIRST_IN_LAYER OD_W_NORM1
#define LAST_IN_LAYER  OD_W_MLP_OUT_BIAS
#define FIRST_OF_HEAD  OD_W_UNEMBED
enum { N_IN_LAYER = OD_W_MLP_OUT_BIAS - OD_W_NORM1 + 1, ALIGN_FLOATS = 64 };

static size_t extent_size(enum extent x, const od_config *c) {
    switch (x) {
    case ONE: return 1;
    case PATCH: return c->patch;
    case D: return c->d_model;
    case D3: return 3 * c->d_model;
    case MLP: return c->d_mlp;
    case MLP2: return 2 * c->d_mlp;
    case PATCH_D: return c->patch * c->d_model;
    case COMPONENT: return c->n_component;
    }
    return 0;
}

static bool is_in_layer(enum od_weight kind) {
    return kind >= FIRST_IN_LAYER && kind <= LAST_IN_LAYER;
}

/* Appends the tensor to the table, behind all that is there. */
static void add_weight(od_model *m, enum od_weight kind, size_t layer) {
    od_weight_spec *w = &m->weights[m->n_weight++];
    const char *name = kinds[kind].name;
    if (is_in_layer(kind))
        snprintf(w->name, sizeof w->name, "transformer.layers.%zu.%s", layer, name);
    else
        snprintf(w->name, sizeof w->name, "%s", name);
    w->kind = kind;
    w->layer = layer;
    w->shape[0] = extent_size(kinds[kind].rows, &m->config);
    w->shape[1] = extent_size(kinds[kind].cols, &m->config);
    w->rank = kinds[kind].cols == ONE ? 1 : 2;
    w->count = w->shape[0] * w->shape[1];
    w->fan_in = extent_size(kinds[kind].fan, &m->config);
    w->offset = m->n_data;
    m->n_data += (w->count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    m->n_param += w->count;
}

static void build_table(od_model *m) {
    for (enum od_weight k = 0; k < FIRST_IN_LAYER; k++) add_weight(m, k, 0);
    for (size_t layer = 0; layer < m->config.n_layer; layer++)
        for (enum od_weight k = FIRST_IN_LAYER; k <= LAST_IN_LAYER; k++) add_weight(m, k, layer);
    enum od_weight end = m->config.mixture ? OD_W_KINDS : OD_W_MIXTURE;
    for (enum od_weight k = FIRST_OF_HEAD; k < end; k++) add_weight(m, k, 0);
}

enum od_status od_model_create_table(od_model **out, const od_config *config, od_error *e) {
    *out = NULL;
    enum od_status status = od_config_check(config, e);
    if (status != OD_OK) return status;
    od_model *m = calloc(1, sizeof *m);
    if (m) m->weights = calloc(OD_W_KINDS - N_IN_LAYER + config->n_layer * N_IN_LAYER, sizeof *m->weights);
    if (!m || !m->weights) {
        od_model_destroy(m);
        return od_fail(e, OD_NO_MEMORY, "no memory for the weight table of %zu layers", config->n_layer);
    }
    m->config = *config;
    build_table(m); /* sizes cannot overflow: od_config_check lets at most 2^30 parameters through */
    *out = m;
    return OD_OK;
}

enum od_status od_model_allocate(od_model *m, bool zero, od_error *e) {
    m->data = aligned_alloc(ALIGN_FLOATS, m->n_data * sizeof(float));
    if (!m->data) return od_fail(e, OD_NO_MEMORY, "no memory for a model of %zu parameters", m->n_param);
    od_heap_hint(m->data, m->n_data * sizeof(float));
    if (zero) {
        memset(m->data, 0, m->n_data * sizeof(float));
        return OD_OK;
    }
    for (size_t i = 0; i < m->n_weight; i++) {
        size_t end = m->weights[i].offset + m->weights[i].count;
        size_t next = i + 1 < m->n_weight ? m->weights[i + 1].offset : m->n_data;
        memset(m->data + end, 0, (next - end) * sizeof(float));
    }
    return OD_OK;
}

enum od_status od_model_create(od_model **out, const od_config *config, od_error *e) {
    enum od_status status = od_model_create_table(out, config, e);
    if (status == OD_OK) status = od_model_allocate(*out, true, e);
    if (status != OD_OK) {
        od_model_destroy(*out);
        *out = NULL;
    }
    return status;
}

void od_model_destroy(od_model *model) {
    if (!model) return;
    free(model->data);
    free(model->weights);
    free(model);
}

/* Pieces of a tensor that a thread draws at a time: the unembedding alone is a quarter of a model. */
enum { PIECE = 1 << 18 };

struct drawing {
    od_model *model;
    uint64_t seed;
    double gain;
};

static void draw_weight(const struct drawing *g, const od_weight_spec *w, size_t first, size_t count) {
    float *data = g->model->data + w->offset;
    const uint64_t key = od_rng_name_key(w->name);
    if (w->kind != OD_W_NORM1 && w->kind != OD_W_NORM2)
        od_rng_fill_uniform(data + first, first, count, g->gain / sqrt((double)w->fan_in), g->seed, key);
    else if (first == 0) /* a vector: whole */
        od_rng_fill_normal(data, w->count, 1, 0.2, g->seed, key);
}

static void draw_piece(void *arg, size_t piece) {
    const struct drawing *g = arg;
    for (size_t i = 0; i < g->model->n_weight; i++) {
        const od_weight_spec *w = &g->model->weights[i];
        const size_t n = (w->count + PIECE - 1) / PIECE, first = piece * PIECE;
        if (piece < n) {
            draw_weight(g, w, first, w->count - first < PIECE ? w->count - first : PIECE);
            return;
        }
        piece -= n;
    }
}

void od_model_generate(od_model *model, uint64_t seed, double gain, unsigned n_thread) {
    assert(gain > 0 && n_thread >= 1);
    enum { WORTH = 1 << 20 }; /* a thread costs more than it saves on a small model */
    struct drawing g = {model, seed, gain};
    size_t n = 0;
    for (size_t i = 0; i < model->n_weight; i++) n += (model->weights[i].count + PIECE - 1) / PIECE;
    if (n_thread > model->n_param / WORTH + 1) n_thread = (unsigned)(model->n_param / WORTH + 1);
    od_share(draw_piece, &g, n, n_thread);
}

const od_weight_spec *od_model_spec(const od_model *model, enum od_weight kind, size_t layer) {
    size_t i = kind;
    assert(kind < OD_W_KINDS);
    if (is_in_layer(kind)) {
        assert(layer < model->config.n_layer);
        i += layer * N_IN_LAYER;
    } else if (kind >= FIRST_OF_HEAD) {
        i += (model->config.n_layer - 1) * N_IN_LAYER;
    }
    assert(i < model->n_weight && model->weights[i].kind == kind);
    return &model->weights[i];
}

const float *od_model_weight(const od_model *model, enum od_weight kind, size_t layer) {
    return model->data + od_model_spec(model, kind, layer)->offset;
}
