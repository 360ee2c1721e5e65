/* Presets, limits and the meaning of a configuration; config_parse.c reads config.json. */
#include "model/config.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    od_config config;
} presets[] = {
    {"seed-tiny",
     {.patch = 4,
      .d_model = 32,
      .n_layer = 6,
      .n_head = 4,
      .d_mlp = 64,
      .space_every = 3,
      .space_first = true,
      .scaler = OD_SCALER_STD_MEAN,
      .stabilize = false,
      .scale_exponent = 10,
      .mixture = false,
      .n_component = 1,
      .xpos = OD_XPOS_CALL}},
    {"toto-open-base",
     {.patch = 64,
      .d_model = 768,
      .n_layer = 12,
      .n_head = 12,
      .d_mlp = 3072,
      .space_every = 12,
      .space_first = false,
      .scaler = OD_SCALER_CAUSAL_PATCH_STD_MEAN,
      .stabilize = true,
      .scale_exponent = 10,
      .mixture = true,
      .n_component = 24,
      .xpos = OD_XPOS_CALL}},
};
enum { N_PRESET = sizeof presets / sizeof presets[0] };

const char *od_config_preset_name(size_t i) {
    return i < N_PRESET ? presets[i].name : NULL;
}

enum od_status od_config_preset(od_config *config, const char *name, od_error *e) {
    char list[128] = "";
    for (size_t i = 0, used = 0; i < N_PRESET; i++) {
        if (strcmp(name, presets[i].name) == 0) {
            *config = presets[i].config;
            return OD_OK;
        }
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", presets[i].name);
    }
    return od_fail(e, OD_BAD_INPUT, "preset '%s' is none of %s", name, list);
}

static enum od_status check_range(const char *key, size_t value, size_t lo, size_t hi, od_error *e) {
    if (value >= lo && value <= hi) return OD_OK;
    return od_fail(e, OD_BAD_INPUT, "%s: %zu is not within %zu to %zu", key, value, lo, hi);
}

/* Parameters of a config whose numbers are in range: at most some 2^36, no overflow. */
static size_t count_parameters(const od_config *c) {
    size_t d = c->d_model, m = c->d_mlp;
    size_t layer = 2 * d + (3 * d + 1) * d + 2 * d + (d + 1) * d + (d + 1) * 2 * m + (m + 1) * d;
    size_t heads = (c->mixture ? 4 : 3) * c->n_component * (d + 1);
    return (c->patch + 1) * d + c->n_layer * layer + c->patch * d * (d + 1) + heads;
}

static enum od_status check_shape(const od_config *c, od_error *e) {
    if (c->d_model % c->n_head != 0)
        return od_fail(e, OD_BAD_INPUT, "embed_dim: %zu is no multiple of num_heads, %zu", c->d_model, c->n_head);
    size_t d = c->d_model / c->n_head;
    if (d % 2 != 0 || d <= 2)
        return od_fail(e, OD_BAD_INPUT, "embed_dim/num_heads: %zu/%zu = %zu, rotary pairs need an even number above 2",
                       c->d_model, c->n_head, d);
    if (c->space_every > 0 && c->n_layer % c->space_every != 0)
        return od_fail(e, OD_BAD_INPUT, "num_layers: %zu is no multiple of spacewise_every_n_layers, %zu", c->n_layer,
                       c->space_every);
    if (!c->mixture && c->n_component != 1)
        return od_fail(e, OD_BAD_INPUT, "output_distribution_kwargs.k_components: %zu, but StudentTOutput has one",
                       c->n_component);
    size_t n = count_parameters(c), limit = (size_t)1 << 30;
    if (n > limit) return od_fail(e, OD_BAD_INPUT, "the model has %zu parameters, at most %zu are allowed", n, limit);
    return OD_OK;
}

enum od_status od_config_check(const od_config *c, od_error *e) {
    const struct {
        const char *key;
        size_t value, lo, hi;
    } ranges[] = {
        {"patch_size", c->patch, 1, OD_MAX_PATCH},
        {"embed_dim", c->d_model, 1, OD_MAX_D_MODEL},
        {"num_layers", c->n_layer, 1, OD_MAX_LAYER},
        {"num_heads", c->n_head, 1, OD_MAX_HEAD},
        {"mlp_hidden_dim", c->d_mlp, 1, OD_MAX_MLP},
        {"spacewise_every_n_layers", c->space_every, 0, OD_MAX_LAYER},
        {"output_distribution_kwargs.k_components", c->n_component, 1, OD_MAX_COMPONENT},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        enum od_status status = check_range(ranges[i].key, ranges[i].value, ranges[i].lo, ranges[i].hi, e);
        if (status != OD_OK) return status;
    }
    if ((unsigned)c->scaler > OD_SCALER_CAUSAL_PATCH_STD_MEAN)
        return od_fail(e, OD_BAD_INPUT, "scaler_cls: there is no scaler number %u", (unsigned)c->scaler);
    if ((unsigned)c->xpos > OD_XPOS_ORIGIN)
        return od_fail(e, OD_BAD_INPUT, "xpos_center: there is no centre number %u", (unsigned)c->xpos);
    if (c->stabilize && c->scaler != OD_SCALER_CAUSAL_PATCH_STD_MEAN)
        return od_fail(e, OD_BAD_INPUT, "stabilize_with_global: %s is never stabilised", od_scaler_name(c->scaler));
    if (!(c->scale_exponent >= 0 && c->scale_exponent <= 300)) /* 10^e must be finite */
        return od_fail(e, OD_BAD_INPUT, "scale_factor_exponent: %g is not within 0 to 300", c->scale_exponent);
    return check_shape(c, e);
}

bool od_config_is_space(const od_config *config, size_t layer) {
    if (config->space_every == 0) return false;
    return layer % config->space_every == (config->space_first ? 0 : config->space_every - 1);
}

size_t od_config_time_index(const od_config *config, size_t layer) {
    size_t n = 0;
    for (size_t i = 0; i < layer; i++) n += !od_config_is_space(config, i);
    return n;
}

size_t od_config_time_layers(const od_config *config) {
    return od_config_time_index(config, config->n_layer);
}

const char *od_scaler_name(enum od_scaler scaler) {
    static const char *const names[] = {"StdMeanScaler", "CausalStdMeanScaler", "CausalPatchStdMeanScaler"};
    assert((unsigned)scaler <= OD_SCALER_CAUSAL_PATCH_STD_MEAN);
    return names[scaler];
}

const char *od_xpos_name(enum od_xpos_center xpos) {
    static const char *const names[] = {"call", "origin"};
    assert((unsigned)xpos <= OD_XPOS_ORIGIN);
    return names[xpos];
}
