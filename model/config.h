/* What a Toto 1.0 model is: the arguments of toto.model.backbone.TotoBackbone (PyPI toto-ts 0.2.0), checked.
 *
 * Letters used in every room: B batch, V variates, T steps of context, P patch size, S = T/P patches, D embed_dim,
 * H heads, d = D/H, M mlp_hidden_dim, L layers, K mixture components. */
#ifndef OD_MODEL_CONFIG_H
#define OD_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/status.h"

enum od_scaler { OD_SCALER_STD_MEAN, OD_SCALER_CAUSAL_STD_MEAN, OD_SCALER_CAUSAL_PATCH_STD_MEAN };

/* Where xPos puts its zero: at the middle of each call's positions (the official code, whose cached and uncached
 * answers therefore differ), or at position 0 (cached equals recomputed to rounding). */
enum od_xpos_center { OD_XPOS_CALL, OD_XPOS_ORIGIN };

typedef struct od_config {
    size_t patch;       /* P */
    size_t d_model;     /* D */
    size_t n_layer;     /* L */
    size_t n_head;      /* H */
    size_t d_mlp;       /* M */
    size_t space_every; /* one space-wise layer each so many layers; 0: none (the file's -1) */
    bool space_first;   /* the space-wise layer is the first of its block, else the last */
    enum od_scaler scaler;
    bool stabilize;        /* clamp causal scales by the global one (CausalPatchStdMeanScaler only) */
    double scale_exponent; /* e of that clamp: [g·10^-e, g·10^e] */
    bool mixture;          /* MixtureOfStudentTsOutput, else one StudentTOutput */
    size_t n_component;    /* K; 1 for one Student-T */
    enum od_xpos_center xpos;
} od_config;

/* Largest values that od_config_check lets through. */
enum {
    OD_MAX_PATCH = 512,
    OD_MAX_D_MODEL = 4096,
    OD_MAX_LAYER = 64,
    OD_MAX_HEAD = 64,
    OD_MAX_MLP = 16384,
    OD_MAX_COMPONENT = 64
};

/* Every number in its range, d even and more than 2, D a multiple of H, L a multiple of space_every, stabilize
 * only with CausalPatchStdMeanScaler, at most 2^30 parameters. OD_BAD_INPUT names the key as config.json spells it. */
enum od_status od_config_check(const od_config *config, od_error *e);

/* By name: "seed-tiny", "toto-open-base". OD_BAD_INPUT lists the names. */
enum od_status od_config_preset(od_config *config, const char *name, od_error *e);

/* Names of the presets in order; NULL past the end. */
const char *od_config_preset_name(size_t i);

/* Reads Toto's config.json (text, not a path), as the official constructor takes it. Unknown keys are ignored and the
 * first is named in warning (size >= 1; "" if none). stride must equal patch_size. A missing key without an official
 * default, a wrong type or a bad value is OD_BAD_INPUT. xpos is set to OD_XPOS_CALL, and may be changed after. */
enum od_status od_config_parse(od_config *config, const char *json, size_t size, char *warning, size_t warning_size,
                               od_error *e);

/* Is layer i space-wise (attention over variates), or time-wise (over patches)? */
bool od_config_is_space(const od_config *config, size_t layer);

/* Number of time-wise layers: those with a KV cache. */
size_t od_config_time_layers(const od_config *config);

/* Index of time-wise layer `layer` among the time-wise ones (its place in a cache). */
size_t od_config_time_index(const od_config *config, size_t layer);

const char *od_scaler_name(enum od_scaler scaler);  /* "StdMeanScaler", … */
const char *od_xpos_name(enum od_xpos_center xpos); /* "call", "origin" */

#endif
