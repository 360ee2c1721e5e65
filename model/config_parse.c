/* Toto's config.json, as the official constructor takes it: the same keys, the same defaults, the same refusals. */
#include "model/config.h"

#include "model/json_memory.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "faults/fault.h"

/* What the official constructor takes; the last one is read by its checkpoint loader alone (it names a spelling of
 * the MLP's weights, and od_model_load takes both). */
static const char *const known_keys[] = {"patch_size",
                                         "stride",
                                         "embed_dim",
                                         "num_layers",
                                         "num_heads",
                                         "mlp_hidden_dim",
                                         "dropout",
                                         "spacewise_every_n_layers",
                                         "scaler_cls",
                                         "output_distribution_classes",
                                         "spacewise_first",
                                         "output_distribution_kwargs",
                                         "use_memory_efficient_attention",
                                         "stabilize_with_global",
                                         "scale_factor_exponent",
                                         "pre_xformers_checkpoint"};

/* The first failure sticks: later reads do nothing. */
typedef struct reader {
    const json_t *root;
    enum od_status status;
    od_error *e;
} reader;

static const char *type_name(const json_t *v) {
    static const char *const names[] = {"an object", "a list", "a string", "a whole number",
                                        "a number",  "true",   "false",    "null"};
    return names[json_typeof(v)];
}

static bool fails(reader *r, const char *key, const json_t *value, const char *wanted) {
    if (value)
        r->status = od_fail(r->e, OD_BAD_INPUT, "config.json: %s: is %s, %s is needed", key, type_name(value), wanted);
    else
        r->status = od_fail(r->e, OD_BAD_INPUT, "config.json: %s: is missing, %s is needed", key, wanted);
    return false;
}

/* The value of a key, or NULL where it is absent; after a failure always NULL. */
static const json_t *look(const reader *r, const char *key) {
    return r->status == OD_OK ? json_object_get(r->root, key) : NULL;
}

static bool read_integer(reader *r, const char *key, const json_t *v, json_int_t *out) {
    if (r->status != OD_OK) return false;
    if (!json_is_integer(v)) return fails(r, key, v, "a whole number");
    *out = json_integer_value(v);
    return true;
}

static void read_size(reader *r, const char *key, const json_t *v, size_t *out) {
    json_int_t n = 0;
    if (!read_integer(r, key, v, &n)) return;
    if (n < 0)
        r->status = od_fail(r->e, OD_BAD_INPUT, "config.json: %s: %lld is negative", key, (long long)n);
    else
        *out = (size_t)n;
}

static bool read_flag(reader *r, const char *key, bool absent) {
    const json_t *v = look(r, key);
    if (!v) return absent;
    if (!json_is_boolean(v)) return fails(r, key, v, "true or false");
    return json_is_true(v);
}

static double read_number(reader *r, const char *key, const json_t *v) {
    if (r->status != OD_OK) return 0;
    if (!json_is_number(v)) fails(r, key, v, "a number");
    return json_number_value(v);
}

/* "<class 'model.scaler.StdMeanScaler'>", "toto.model.scaler.StdMeanScaler" and "StdMeanScaler" name one class: its
 * name is what follows the last dot. Index in names, or a failure that lists them. */
static unsigned read_class(reader *r, const char *key, const json_t *v, const char *const *names, unsigned n) {
    static const char head[] = "<class '", tail[] = "'>";
    if (r->status != OD_OK) return 0;
    if (!json_is_string(v)) {
        fails(r, key, v, "the name of a class");
        return 0;
    }
    const char *text = json_string_value(v);
    size_t length = json_string_length(v), h = sizeof head - 1, t = sizeof tail - 1;
    if (length >= h && memcmp(text, head, h) == 0) {
        text += h;
        length -= h;
        if (length >= t && memcmp(text + length - t, tail, t) == 0)
            length -= t;
        else
            length = 0; /* half a wrapping: no name */
    }
    const char *dot = memrchr(text, '.', length);
    if (dot) {
        length -= (size_t)(dot + 1 - text);
        text = dot + 1;
    }
    char list[128] = "";
    for (unsigned i = 0; i < n; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0) return i;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    r->status = od_fail(r->e, OD_BAD_INPUT, "config.json: %s: '%.100s' is none of %s", key, json_string_value(v), list);
    return 0;
}

static void read_dimensions(reader *r, od_config *c) {
    size_t stride = 0;
    json_int_t every = -1;
    read_size(r, "patch_size", look(r, "patch_size"), &c->patch);
    read_size(r, "stride", look(r, "stride"), &stride);
    read_size(r, "embed_dim", look(r, "embed_dim"), &c->d_model);
    read_size(r, "num_layers", look(r, "num_layers"), &c->n_layer);
    read_size(r, "num_heads", look(r, "num_heads"), &c->n_head);
    read_size(r, "mlp_hidden_dim", look(r, "mlp_hidden_dim"), &c->d_mlp);
    read_number(r, "dropout", look(r, "dropout")); /* inference drops nothing */
    read_integer(r, "spacewise_every_n_layers", look(r, "spacewise_every_n_layers"), &every);
    c->space_first = read_flag(r, "spacewise_first", true);
    read_flag(r, "use_memory_efficient_attention", true); /* a layout in memory, the same maths */
    if (r->status != OD_OK) return;
    if (stride != c->patch)
        r->status =
            od_fail(r->e, OD_BAD_INPUT, "config.json: stride: %zu is not patch_size, %zu; patches may not overlap",
                    stride, c->patch);
    else if (every == 0 || every < -1)
        r->status =
            od_fail(r->e, OD_BAD_INPUT, "config.json: spacewise_every_n_layers: %lld is neither -1 (none) nor above 0",
                    (long long)every);
    else
        c->space_every = every == -1 ? 0 : (size_t)every;
}

/* Only CausalPatchStdMeanScaler is given the two stabilisation arguments; the others are made with their defaults. */
static void read_scaler(reader *r, od_config *c) {
    static const enum od_scaler kinds[] = {OD_SCALER_STD_MEAN, OD_SCALER_CAUSAL_STD_MEAN,
                                           OD_SCALER_CAUSAL_PATCH_STD_MEAN};
    const char *names[3];
    for (unsigned i = 0; i < 3; i++) names[i] = od_scaler_name(kinds[i]);
    c->scaler = kinds[read_class(r, "scaler_cls", look(r, "scaler_cls"), names, 3)];
    bool stabilize = read_flag(r, "stabilize_with_global", true);
    c->stabilize = stabilize && c->scaler == OD_SCALER_CAUSAL_PATCH_STD_MEAN;
    const json_t *exponent = look(r, "scale_factor_exponent");
    const double absent = OD_FAULT_ON(CONFIG_DEFAULT) ? 1 : 10;
    c->scale_exponent = exponent ? read_number(r, "scale_factor_exponent", exponent) : absent;
}

static void read_distribution(reader *r, od_config *c) {
    static const char *const names[] = {"StudentTOutput", "MixtureOfStudentTsOutput"};
    static const char list_key[] = "output_distribution_classes", kwargs_key[] = "output_distribution_kwargs",
                      k_key[] = "output_distribution_kwargs.k_components";
    const json_t *list = look(r, list_key), *kwargs = look(r, kwargs_key);
    if (r->status != OD_OK) return;
    if (!json_is_array(list) || json_array_size(list) != 1) {
        fails(r, list_key, list, "a list of one class");
        return;
    }
    c->mixture = read_class(r, list_key, json_array_get(list, 0), names, 2) == 1;
    c->n_component = 1;
    if (kwargs && !json_is_object(kwargs) && !json_is_null(kwargs)) {
        if (r->status == OD_OK) fails(r, kwargs_key, kwargs, "an object or null");
        return;
    }
    const json_t *k = json_object_get(kwargs, "k_components"); /* NULL also where kwargs is no object */
    if (c->mixture)
        read_size(r, k_key, k, &c->n_component);
    else if (k && r->status == OD_OK)
        r->status = od_fail(r->e, OD_BAD_INPUT, "config.json: %s: StudentTOutput takes none", k_key);
}

static void warn_of_unknown(const json_t *root, char *warning, size_t size) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)root, key, value) {
        size_t i = 0, n = sizeof known_keys / sizeof known_keys[0];
        while (i < n && strcmp(key, known_keys[i]) != 0) i++;
        if (i < n) continue;
        od_error w; /* for its cleaning of control characters */
        od_fail(&w, OD_OK, "config.json: the unknown key '%.100s' is ignored", key);
        snprintf(warning, size, "%s", w.text);
        return;
    }
}

enum od_status od_config_parse(od_config *config, const char *json, size_t size, char *warning, size_t warning_size,
                               od_error *e) {
    json_t *root;
    warning[0] = 0;
    memset(config, 0, sizeof *config);
    const enum od_status read = od_json_load(&root, json, size, "config.json", e);
    if (read != OD_OK) return read;
    reader r = {root, OD_OK, e};
    if (!json_is_object(root))
        r.status = od_fail(e, OD_BAD_INPUT, "config.json: is %s, an object is needed", type_name(root));
    read_dimensions(&r, config);
    read_scaler(&r, config);
    read_distribution(&r, config);
    config->xpos = OD_XPOS_CALL;
    if (r.status == OD_OK && (r.status = od_config_check(config, e)) != OD_OK && e) od_error_prefix(e, "config.json");
    if (r.status == OD_OK) warn_of_unknown(root, warning, warning_size);
    json_decref(root);
    return r.status;
}
