/* A model: configuration and float32 weights. The ONE weight table: every room finds a tensor's name, shape and place
 * here and nowhere else. */
#ifndef OD_MODEL_MODEL_H
#define OD_MODEL_MODEL_H

#include "model/config.h"
#include "model/tensor.h"

/* Kinds of weight, in the order of the table. Shapes in Toto's spelling; y = x·Wᵀ + b everywhere. */
enum od_weight {
    OD_W_PATCH,
    OD_W_PATCH_BIAS, /* patch_embed.projection       [D, P]   [D] */
    OD_W_NORM1,      /* norm1.scale                  [D]          */
    OD_W_QKV,
    OD_W_QKV_BIAS, /* attention.wQKV               [3D, D]  [3D]: feature q·D + j·H + h */
    OD_W_OUT,
    OD_W_OUT_BIAS, /* attention.wO                 [D, D]   [D] */
    OD_W_NORM2,    /* norm2.scale                  [D]          */
    OD_W_MLP_IN,
    OD_W_MLP_IN_BIAS, /* mlp.0 (fused: mlp.0.w12)     [2M, D]  [2M]: gate, then up */
    OD_W_MLP_OUT,
    OD_W_MLP_OUT_BIAS, /* mlp.2 (fused: mlp.0.w3)      [D, M]   [D] */
    OD_W_UNEMBED,
    OD_W_UNEMBED_BIAS, /* unembed                      [P·D, D] [P·D] */
    OD_W_DF,
    OD_W_DF_BIAS, /* output_distribution.df       [K, D]   [K] */
    OD_W_LOC,
    OD_W_LOC_BIAS, /* output_distribution.loc_proj              */
    OD_W_SCALE,
    OD_W_SCALE_BIAS, /* output_distribution.scale_proj            */
    OD_W_MIXTURE,
    OD_W_MIXTURE_BIAS, /* output_distribution.mixture_weights, only with a mixture */
    OD_W_KINDS
};

typedef struct od_weight_spec {
    char name[OD_NAME_MAX]; /* the checkpoint's, without the prefix `model.` */
    enum od_weight kind;
    size_t layer; /* 0 for tensors outside the layers */
    size_t rank, shape[2];
    size_t offset, count; /* in floats within od_model.data; offsets are multiples of 64, gaps are zero */
    size_t fan_in;        /* columns of the matrix that the tensor belongs to; D for norm scales */
} od_weight_spec;

typedef struct od_model {
    od_config config;
    size_t n_weight;
    od_weight_spec *weights;
    float *data;    /* one block, aligned to 64 bytes */
    size_t n_data;  /* floats in data, gaps included */
    size_t n_param; /* floats that are parameters */
} od_model;

/* Builds the table for a checked config and allocates zero weights. The caller owns *out, od_model_destroy frees it. */
enum od_status od_model_create(od_model **out, const od_config *config, od_error *e);
void od_model_destroy(od_model *model); /* NULL is fine */

/* Generated weights: U(±gain/√fan_in) for weights and biases, norm scales 1 + 0.2·N(0,1) (gain does not touch them),
 * Philox keyed by (seed, XXH64 of the tensor's name), counter = element: so that the number of threads that share the
 * tensors (at least 1) changes no bit. */
void od_model_generate(od_model *model, uint64_t seed, double gain, unsigned n_thread);

/* Reads DIR/config.json and DIR/model.safetensors: both of Toto's spellings of the MLP, with or without the prefix
 * `model.`; F32 tensors only. Missing, unexpected or misshapen tensors, variate labels and non-finite weights are
 * OD_BAD_INPUT and name the tensor; buffers that are no weights (rotary tables) are skipped. */
enum od_status od_model_load(od_model **out, const char *dir, enum od_xpos_center xpos, char *warning,
                             size_t warning_size, od_error *e);

/* The same from memory (the fuzz target's door). */
enum od_status od_model_parse(od_model **out, const char *config_json, size_t config_size, const void *weights,
                              size_t weights_size, enum od_xpos_center xpos, char *warning, size_t warning_size,
                              od_error *e);

/* The spec of a kind (and layer, for the kinds inside layers). The tensor must exist: asking for OD_W_MIXTURE without
 * a mixture is a programmer's error. */
const od_weight_spec *od_model_spec(const od_model *model, enum od_weight kind, size_t layer);

/* Its data, at model->data + spec->offset. */
const float *od_model_weight(const od_model *model, enum od_weight kind, size_t layer);

#endif
