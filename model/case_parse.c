/* Reads a case. Jansson parses (duplicate keys, NaN, trailing text and integers beyond 64 bits are refused there); the
 * functions here take the tree apart (case_tree.h) and refuse unknown keys.
 * Ranges that od_case_check looks at as well are checked here only as far as C types need it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/case_internal.h"
#include "model/case_tree.h"
#include "model/file.h"
#include "model/json_memory.h"

/* ---- model ------------------------------------------------------------------------------------------------------- */

static bool parse_distribution(od_config *m, const od_tree *o) {
    static const char *const kwargs_keys[] = {"k_components", NULL};
    const json_t *classes = json_object_get(o->json, "output_distribution_classes");
    const char *name = json_string_value(json_array_get(classes, 0));
    if (json_array_size(classes) != 1 || !name ||
        (strcmp(name, "StudentTOutput") != 0 && strcmp(name, "MixtureOfStudentTsOutput") != 0))
        return od_tree_wrong(o, "output_distribution_classes",
                             "[\"StudentTOutput\"] or [\"MixtureOfStudentTsOutput\"]");
    m->mixture = strcmp(name, "StudentTOutput") != 0;
    m->n_component = 1;
    od_tree kwargs;
    if (!od_tree_object(&kwargs, o, "output_distribution_kwargs", m->mixture)) return false;
    if (!kwargs.json) return true;
    if (!m->mixture) return od_tree_wrong(o, "output_distribution_kwargs", "left out with StudentTOutput");
    return od_tree_known(&kwargs, kwargs_keys) &&
           od_tree_size(&m->n_component, &kwargs, "k_components", OD_MAX_COMPONENT);
}

static bool parse_dims(od_config *m, const od_tree *o) {
    static const char *const keys[] = {"patch_size",
                                       "embed_dim",
                                       "num_layers",
                                       "num_heads",
                                       "mlp_hidden_dim",
                                       "spacewise_every_n_layers",
                                       "spacewise_first",
                                       "scaler_cls",
                                       "stabilize_with_global",
                                       "scale_factor_exponent",
                                       "output_distribution_classes",
                                       "output_distribution_kwargs",
                                       NULL};
    const char *const scalers[] = {od_scaler_name(OD_SCALER_STD_MEAN), od_scaler_name(OD_SCALER_CAUSAL_STD_MEAN),
                                   od_scaler_name(OD_SCALER_CAUSAL_PATCH_STD_MEAN)};
    int64_t every = 0;
    int scaler = 0;
    *m = (od_config){.scale_exponent = 10};
    if (!od_tree_known(o, keys) || !od_tree_size(&m->patch, o, "patch_size", OD_MAX_PATCH) ||
        !od_tree_size(&m->d_model, o, "embed_dim", OD_MAX_D_MODEL) ||
        !od_tree_size(&m->n_layer, o, "num_layers", OD_MAX_LAYER) ||
        !od_tree_size(&m->n_head, o, "num_heads", OD_MAX_HEAD) ||
        !od_tree_size(&m->d_mlp, o, "mlp_hidden_dim", OD_MAX_MLP) ||
        !od_tree_int(&every, o, "spacewise_every_n_layers", -1, OD_MAX_LAYER, true) ||
        !od_tree_bool(&m->space_first, o, "spacewise_first", true) ||
        !od_tree_choice(&scaler, o, "scaler_cls", scalers, 3, true) ||
        !od_tree_real(&m->scale_exponent, o, "scale_factor_exponent"))
        return false;
    if (every == 0) return od_tree_wrong(o, "spacewise_every_n_layers", "-1 (none) or at least 1");
    m->space_every = every < 0 ? 0 : (size_t)every;
    m->scaler = (enum od_scaler)scaler;
    bool causal_patch = m->scaler == OD_SCALER_CAUSAL_PATCH_STD_MEAN;
    m->stabilize = causal_patch;
    if (!causal_patch && json_object_get(o->json, "stabilize_with_global"))
        return od_tree_wrong(o, "stabilize_with_global", "left out unless the scaler is CausalPatchStdMeanScaler");
    return od_tree_bool(&m->stabilize, o, "stabilize_with_global", false) && parse_distribution(m, o);
}

static bool parse_digest(od_case_file *f, const od_tree *parent, const char *key) {
    static const char *const keys[] = {"bytes", "xxh64", NULL};
    od_tree o;
    return od_tree_object(&o, parent, key, true) && od_tree_known(&o, keys) &&
           od_tree_uint64(&f->bytes, &o, "bytes", true) && od_tree_hash(&f->xxh64, &o);
}

static bool parse_folder(od_case *c, const od_tree *o) {
    static const char *const keys[] = {"path", "config", "weights", NULL};
    if (!od_tree_known(o, keys) || !od_tree_text(c->model_folder, OD_CASE_MAX_FILE_PATH + 1, o, "path", true) ||
        !parse_digest(&c->model_config, o, "config") || !parse_digest(&c->model_weights, o, "weights"))
        return false;
    if (!c->model_folder[0]) return od_tree_wrong(o, "path", "a folder's path");
    snprintf(c->model_config.path, OD_CASE_PATH, "%.*s/config.json", OD_CASE_MAX_FILE_PATH, c->model_folder);
    snprintf(c->model_weights.path, OD_CASE_PATH, "%.*s/model.safetensors", OD_CASE_MAX_FILE_PATH, c->model_folder);
    return true;
}

static bool parse_model(od_case *c, const od_tree *top) {
    static const char *const keys[] = {"preset", "dims", "folder", "xpos_center", "seed", "gain", NULL};
    const char *const centers[] = {od_xpos_name(OD_XPOS_CALL), od_xpos_name(OD_XPOS_ORIGIN)};
    od_tree o, dims, folder;
    if (!od_tree_object(&o, top, "model", true) || !od_tree_known(&o, keys) ||
        !od_tree_object(&dims, &o, "dims", false) || !od_tree_object(&folder, &o, "folder", false))
        return false;
    bool preset = json_object_get(o.json, "preset") != NULL;
    if (preset + !!dims.json + !!folder.json != 1)
        return od_case_refuse(o.e, "model: exactly one of preset, dims, folder must be given");
    c->preset[0] = 0;
    c->config = (od_config){0};
    if (preset) {
        if (!od_tree_text(c->preset, sizeof c->preset, &o, "preset", true)) return false;
        if (od_config_preset(&c->config, c->preset, o.e)) return od_error_prefix(o.e, "model.preset") == OD_OK;
    }
    if (dims.json && !parse_dims(&c->config, &dims)) return false;
    if (folder.json && !parse_folder(c, &folder)) return false;
    if (folder.json && (json_object_get(o.json, "seed") || json_object_get(o.json, "gain")))
        return od_case_refuse(o.e, "model: seed and gain say how weights are generated; leave them out with a folder");
    int center = OD_XPOS_CALL;
    if (!od_tree_choice(&center, &o, "xpos_center", centers, 2, false)) return false;
    c->config.xpos = (enum od_xpos_center)center;
    return od_tree_uint64(&c->weight_seed, &o, "seed", false) && od_tree_real(&c->gain, &o, "gain");
}

/* ---- series ------------------------------------------------------------------------------------------------------ */

static bool parse_groups(od_case *c, const od_tree *o) {
    const json_t *list = json_object_get(o->json, "groups");
    if (!list) return true;
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 1 || n > OD_CASE_MAX_VARIATES)
        return od_tree_wrong(o, "groups", "a list of one id for each variate");
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        json_int_t id = json_integer_value(v);
        if (!json_is_integer(v) || id < 0 || id > OD_CASE_MAX_GROUP)
            return od_tree_wrong(o, "groups", "a list of whole numbers within 0 to 127");
        c->group[i] = (int32_t)id;
    }
    c->n_group = (unsigned)n;
    return true;
}

static bool parse_columns(od_case *c, const od_tree *o) {
    const json_t *list = json_object_get(o->json, "columns");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 1 || n > OD_CASE_MAX_COLUMNS)
        return od_tree_wrong(o, "columns", "a list of 1 to 16 names");
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_string(v) || json_string_length(v) < 1 || json_string_length(v) >= sizeof c->column[i])
            return od_tree_wrong(o, "columns", "a list of names of 1 to 63 bytes");
        memcpy(c->column[i], json_string_value(v), json_string_length(v) + 1);
    }
    c->n_column = (unsigned)n;
    return true;
}

static bool parse_csv(od_case *c, const od_tree *series) {
    static const char *const keys[] = {"path", "bytes", "xxh64", "columns", "start", "stride", NULL};
    od_tree o;
    if (!od_tree_object(&o, series, "csv", false)) return false;
    if (!o.json) return true;
    return od_tree_known(&o, keys) && od_tree_text(c->csv.path, OD_CASE_MAX_FILE_PATH + 1, &o, "path", true) &&
           od_tree_uint64(&c->csv.bytes, &o, "bytes", true) && od_tree_hash(&c->csv.xxh64, &o) &&
           parse_columns(c, &o) && od_tree_unsigned(&c->csv_start, &o, "start", 0, OD_CSV_MAX_ROWS, false) &&
           od_tree_unsigned(&c->csv_stride, &o, "stride", 0, OD_CSV_MAX_ROWS, false);
}

static bool parse_series(od_case *c, const od_tree *top) {
    static const char *const keys[] = {"batch",        "variates",       "generator", "seed", "scale", "missing",
                                       "left_padding", "padded_variate", "groups",    "csv",  NULL};
    const char *names[OD_GENERATORS];
    for (int i = 0; i < OD_GENERATORS; i++) names[i] = od_generator_name((enum od_generator)i);
    od_tree o;
    int generator = 0;
    int64_t padded = -1;
    if (!od_tree_object(&o, top, "series", true) || !od_tree_known(&o, keys) ||
        !od_tree_unsigned(&c->batch, &o, "batch", 1, OD_CASE_MAX_BATCH, false) ||
        !od_tree_unsigned(&c->variates, &o, "variates", 1, OD_CASE_MAX_VARIATES, false) ||
        !od_tree_choice(&generator, &o, "generator", names, OD_GENERATORS, true) ||
        !od_tree_uint64(&c->series_seed, &o, "seed", false) || !od_tree_real(&c->scale, &o, "scale") ||
        !od_tree_real(&c->missing, &o, "missing") ||
        !od_tree_unsigned(&c->left_padding, &o, "left_padding", 0, OD_CASE_MAX_STEPS, false) ||
        !od_tree_int(&padded, &o, "padded_variate", 0, OD_CASE_MAX_VARIATES - 1, false) || !parse_groups(c, &o))
        return false;
    c->generator = (enum od_generator)generator;
    c->padded_variate = (int)padded;
    return parse_csv(c, &o);
}

/* ---- schedule, options, the rest --------------------------------------------------------------------------------- */

static bool parse_op(od_op *op, const od_tree *o) {
    static const char *const kinds[] = {"prefill", "decode", "reset", "recapture"};
    static const char *const feeds[] = {"teacher", "own"};
    static const char *const keys[][5] = {{"op", "session", "steps", NULL},
                                          {"op", "session", "patches", "feed", NULL},
                                          {"op", "session", NULL},
                                          {"op", NULL}};
    int kind = 0, feed = 0;
    if (!od_tree_choice(&kind, o, "op", kinds, 4, true) || !od_tree_known(o, keys[kind])) return false;
    op->kind = (enum od_op_kind)kind;
    if (op->kind == OD_OP_RECAPTURE) return true;
    if (!od_tree_unsigned(&op->session, o, "session", 0, OD_CASE_MAX_SESSIONS - 1, true)) return false;
    if (op->kind == OD_OP_PREFILL) return od_tree_unsigned(&op->steps, o, "steps", 1, OD_CASE_MAX_STEPS, true);
    if (op->kind == OD_OP_RESET) return true;
    if (!od_tree_unsigned(&op->patches, o, "patches", 1, OD_CASE_MAX_PATCHES, true) ||
        !od_tree_choice(&feed, o, "feed", feeds, 2, true))
        return false;
    op->own = feed == 1;
    return true;
}

static bool parse_schedule(od_case *c, const od_tree *top) {
    const json_t *list = json_object_get(top->json, "schedule");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 1 || n > OD_CASE_MAX_OPS)
        return od_tree_wrong(top, "schedule", "a list of 1 to 64 operations");
    for (size_t i = 0; i < n; i++) {
        od_tree o = {.json = json_array_get(list, i), .e = top->e};
        snprintf(o.path, sizeof o.path, "schedule[%zu]", i);
        if (!json_is_object(o.json)) return od_case_refuse(top->e, "%s: must be an object", o.path);
        if (!parse_op(&c->op[i], &o)) return false;
    }
    c->n_op = (unsigned)n;
    return true;
}

/* Through od_options_set, so that switches and their ranges stand in one place. The type in JSON must be that of the
 * default: true or false, a whole number, or a text. */
static bool parse_options(od_case *c, const od_tree *top) {
    const od_options defaults = od_options_default();
    const char *names[32] = {0};
    od_tree o;
    if (!od_tree_object(&o, top, "options", false)) return false;
    if (!o.json) return true;
    for (size_t i = 0; i < 31 && od_options_name(i); i++) names[i] = od_options_name(i);
    if (!od_tree_known(&o, names)) return false;
    for (size_t i = 0; names[i]; i++) {
        const json_t *v = json_object_get(o.json, names[i]);
        char value[32], assignment[96];
        if (!v) continue;
        od_options_value(&defaults, i, value, sizeof value);
        bool number = value[0] >= '0' && value[0] <= '9';
        bool text = strcmp(names[i], "cache") == 0, flag = !number && !text;
        if (flag && !json_is_boolean(v)) return od_tree_wrong(&o, names[i], "true or false");
        if (number && !json_is_integer(v)) return od_tree_wrong(&o, names[i], "a whole number");
        if (text && !json_is_string(v)) return od_tree_wrong(&o, names[i], "a text");
        if (number)
            snprintf(assignment, sizeof assignment, "%s=%" JSON_INTEGER_FORMAT, names[i], json_integer_value(v));
        else
            snprintf(assignment, sizeof assignment, "%s=%.32s", names[i],
                     text ? json_string_value(v) : (json_is_true(v) ? "on" : "off"));
        if (od_options_set(&c->options, assignment, o.e)) return od_error_prefix(o.e, "options") == OD_OK;
    }
    return true;
}

static bool parse_finding(od_case *c, const od_tree *top) {
    static const char *const keys[] = {"verdict", "signature", "pair", "environment", "value", "bound", NULL};
    od_tree o;
    if (!od_tree_object(&o, top, "finding", false)) return false;
    if (!o.json) return true;
    if (!od_tree_known(&o, keys) || !od_tree_text(c->found_verdict, sizeof c->found_verdict, &o, "verdict", true) ||
        !od_tree_text(c->found_signature, sizeof c->found_signature, &o, "signature", true) ||
        !od_tree_text(c->found_pair, sizeof c->found_pair, &o, "pair", true) ||
        !od_tree_text(c->found_environment, sizeof c->found_environment, &o, "environment", true) ||
        !od_tree_measure(&c->found_value, &o, "value") || !od_tree_measure(&c->found_bound, &o, "bound"))
        return false;
    return c->found_verdict[0] ? true : od_tree_wrong(&o, "verdict", "a verdict's name");
}

static bool parse_case(od_case *c, const od_tree *top) {
    static const char *const keys[] = {"format",  "note",    "model",  "series",  "schedule", "forecast",
                                       "options", "compare", "expect", "finding", NULL};
    static const char *const forecasts[] = {"mean"};
    static const char *const compared[] = {"all", "scaler"};
    int64_t format = 0;
    int forecast = 0, compare = 0;
    if (!json_is_object(top->json)) return od_case_refuse(top->e, "a case must be an object");
    if (!od_tree_choice(&compare, top, "compare", compared, 2, false)) return false;
    c->only_scaler = compare == 1;
    return od_tree_known(top, keys) && od_tree_int(&format, top, "format", OD_CASE_FORMAT, OD_CASE_FORMAT, true) &&
           od_tree_text(c->note, sizeof c->note, top, "note", false) && parse_model(c, top) && parse_series(c, top) &&
           parse_schedule(c, top) && od_tree_choice(&forecast, top, "forecast", forecasts, 1, false) &&
           parse_options(c, top) && od_tree_text(c->expect, sizeof c->expect, top, "expect", false) &&
           parse_finding(c, top) && od_case_check(c, top->e) == OD_OK;
}

enum od_status od_case_parse(od_case *c, const char *text, size_t size, const char *path, od_error *e) {
    const char *what = path[0] ? path : "case";
    od_error local;
    if (!e) e = &local; /* messages are prefixed, so there must be one */
    od_case_init(c);
    if (strlen(path) >= sizeof c->path)
        return od_fail(e, OD_BAD_INPUT, "%.80s…: the path has more than %zu bytes", path, sizeof c->path - 1);
    strcpy(c->path, path);
    if (size > OD_CASE_MAX_BYTES)
        return od_fail(e, OD_BAD_INPUT, "%s: %zu bytes, a case has at most %d", what, size, OD_CASE_MAX_BYTES);
    json_t *json;
    const enum od_status s = od_json_load(&json, text, size, what, e);
    if (s != OD_OK) return s;
    bool ok = parse_case(c, &(od_tree){.json = json, .e = e});
    json_decref(json);
    if (!ok && od_json_short()) return od_fail(e, OD_NO_MEMORY, "%.300s: no memory for what its JSON says", what);
    return ok ? OD_OK : od_error_prefix(e, "%s", what);
}

enum od_status od_case_read(od_case *c, const char *path, od_error *e) {
    char *text;
    size_t size;
    enum od_status st = od_file_read(&text, &size, path, OD_CASE_MAX_BYTES, e);
    if (st) return st;
    st = od_case_parse(c, text, size, path, e);
    free(text);
    return st;
}
