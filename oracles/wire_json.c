/* What messages are made of (wire.h): configurations, options, counters, tensors as JSON, and back with every member
 * checked. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/wire.h"

enum { MOST_ROWS = 1 << 30 };

static enum od_status wrong(od_error *e, const char *key, const json_t *v, const char *right) {
    return od_fail(e, OD_BAD_INPUT, "\"%s\" %s; %s would be right", key, v ? "has another type or range" : "is missing",
                   right);
}

enum od_status od_wire_size(size_t *out, const json_t *object, const char *key, size_t most, od_error *e) {
    const json_t *v = json_object_get(object, key);
    char right[64];
    snprintf(right, sizeof right, "a whole number from 0 to %zu", most);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > most)
        return wrong(e, key, v, right);
    *out = (size_t)json_integer_value(v);
    return OD_OK;
}

enum od_status od_wire_text(const char **out, const json_t *object, const char *key, od_error *e) {
    const json_t *v = json_object_get(object, key);
    *out = json_string_value(v);
    return *out ? OD_OK : wrong(e, key, v, "a text");
}

enum od_status od_wire_flag(bool *out, const json_t *object, const char *key, od_error *e) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_boolean(v)) return wrong(e, key, v, "true or false");
    *out = json_is_true(v);
    return OD_OK;
}

/* Which of n names stands there. */
static enum od_status pick(unsigned *out, const json_t *object, const char *key, const char *(*name)(unsigned),
                           unsigned n, od_error *e) {
    const char *text;
    enum od_status s = od_wire_text(&text, object, key, e);
    if (s != OD_OK) return s;
    for (*out = 0; *out < n; (*out)++)
        if (strcmp(name(*out), text) == 0) return OD_OK;
    return od_fail(e, OD_BAD_INPUT, "\"%s\" is '%.60s', which is none of its names", key, text);
}

static json_t *count(uint64_t n) {
    return json_integer((json_int_t)n);
}

/* ---- configuration ----------------------------------------------------------------------------------------------- */

static const char *scaler_name(unsigned i) {
    return od_scaler_name((enum od_scaler)i);
}

static const char *xpos_name(unsigned i) {
    return od_xpos_name((enum od_xpos_center)i);
}

/* Sizes by their names; the rest one by one. */
static const struct size_member {
    const char *key;
    size_t at;
} sizes[] = {
    {"patch", offsetof(od_config, patch)},
    {"d_model", offsetof(od_config, d_model)},
    {"n_layer", offsetof(od_config, n_layer)},
    {"n_head", offsetof(od_config, n_head)},
    {"d_mlp", offsetof(od_config, d_mlp)},
    {"space_every", offsetof(od_config, space_every)},
    {"n_component", offsetof(od_config, n_component)},
};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

json_t *od_wire_config(const od_config *c) {
    json_t *o = json_pack("{s:b,s:s,s:b,s:f,s:b,s:s}", "space_first", c->space_first, "scaler",
                          od_scaler_name(c->scaler), "stabilize", c->stabilize, "scale_exponent", c->scale_exponent,
                          "mixture", c->mixture, "xpos", od_xpos_name(c->xpos));
    for (size_t i = 0; i < SIZES; i++)
        json_object_set_new(o, sizes[i].key, count(*(const size_t *)(const void *)((const char *)c + sizes[i].at)));
    return o;
}

enum od_status od_wire_read_config(od_config *c, const json_t *o, od_error *e) {
    unsigned scaler = 0, xpos = 0;
    enum od_status s = OD_OK;
    *c = (od_config){0};
    for (size_t i = 0; s == OD_OK && i < SIZES; i++)
        s = od_wire_size((size_t *)(void *)((char *)c + sizes[i].at), o, sizes[i].key, MOST_ROWS, e);
    if (s == OD_OK) s = od_wire_flag(&c->space_first, o, "space_first", e);
    if (s == OD_OK) s = od_wire_flag(&c->stabilize, o, "stabilize", e);
    if (s == OD_OK) s = od_wire_flag(&c->mixture, o, "mixture", e);
    if (s == OD_OK) s = pick(&scaler, o, "scaler", scaler_name, OD_SCALER_CAUSAL_PATCH_STD_MEAN + 1, e);
    if (s == OD_OK) s = pick(&xpos, o, "xpos", xpos_name, OD_XPOS_ORIGIN + 1, e);
    const json_t *exponent = json_object_get(o, "scale_exponent");
    if (s == OD_OK && !json_is_number(exponent)) s = wrong(e, "scale_exponent", exponent, "a number");
    if (s != OD_OK) return s;
    c->scale_exponent = json_number_value(exponent);
    c->scaler = (enum od_scaler)scaler;
    c->xpos = (enum od_xpos_center)xpos;
    return od_config_check(c, e);
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

json_t *od_wire_options(const od_options *options) {
    json_t *o = json_pack("{s:b,s:b}", "hidden", options->hidden, "last_head", options->last_head);
    char value[64];
    for (size_t i = 0; od_options_name(i); i++)
        json_object_set_new(o, od_options_name(i), json_string(od_options_value(options, i, value, sizeof value)));
    return o;
}

enum od_status od_wire_read_options(od_options *options, const json_t *o, od_error *e) {
    *options = od_options_default();
    enum od_status s = od_wire_flag(&options->hidden, o, "hidden", e);
    if (s == OD_OK) s = od_wire_flag(&options->last_head, o, "last_head", e);
    for (size_t i = 0; s == OD_OK && od_options_name(i); i++) {
        const char *value;
        char assignment[128];
        s = od_wire_text(&value, o, od_options_name(i), e);
        if (s != OD_OK) break;
        snprintf(assignment, sizeof assignment, "%s=%.60s", od_options_name(i), value);
        s = od_options_set(options, assignment, e);
    }
    return s;
}

/* ---- counters ---------------------------------------------------------------------------------------------------- */

static const struct counter {
    const char *key;
    size_t at;
} counters[] = {
    {"launches", offsetof(od_stats, launches)},       {"captures", offsetof(od_stats, captures)},
    {"replays", offsetof(od_stats, replays)},         {"cache_hits", offsetof(od_stats, cache_hits)},
    {"fallbacks", offsetof(od_stats, fallbacks)},     {"replaced", offsetof(od_stats, replaced)},
    {"host_live", offsetof(od_stats, host_live)},     {"host_peak", offsetof(od_stats, host_peak)},
    {"device_live", offsetof(od_stats, device_live)}, {"device_peak", offsetof(od_stats, device_peak)},
    {"device_used", offsetof(od_stats, device_used)}, {"waits", offsetof(od_stats, waits)},
    {"copied", offsetof(od_stats, copied)},
};
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "counters are read and written as 64 bits");
enum { COUNTERS = sizeof counters / sizeof counters[0] };

json_t *od_wire_stats(const od_stats *stats) {
    json_t *o =
        json_pack("{s:s,s:s,s:b,s:b}", "math_mode", stats->math_mode ? stats->math_mode : "", "device",
                  stats->device ? stats->device : "", "rolled_back", stats->rolled_back, "emulated", stats->emulated);
    for (size_t i = 0; i < COUNTERS; i++)
        json_object_set_new(o, counters[i].key,
                            count(*(const uint64_t *)(const void *)((const char *)stats + counters[i].at)));
    return o;
}

enum od_status od_wire_read_stats(od_stats *stats, const json_t *o, od_error *e) {
    *stats = (od_stats){0};
    enum od_status s = od_wire_text(&stats->math_mode, o, "math_mode", e);
    if (s == OD_OK) s = od_wire_text(&stats->device, o, "device", e);
    if (s == OD_OK) s = od_wire_flag(&stats->rolled_back, o, "rolled_back", e);
    if (s == OD_OK) s = od_wire_flag(&stats->emulated, o, "emulated", e);
    for (size_t i = 0; s == OD_OK && i < COUNTERS; i++)
        s = od_wire_size((size_t *)(void *)((char *)stats + counters[i].at), o, counters[i].key, INT64_MAX, e);
    return s;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

json_t *od_wire_tensor(const od_tensor *t, size_t offset) {
    json_t *shape = json_array();
    for (size_t i = 0; i < t->rank; i++) json_array_append_new(shape, count(t->shape[i]));
    return json_pack("{s:s,s:s,s:o,s:o}", "name", t->name, "dtype", od_dtype_name(t->dtype), "shape", shape, "offset",
                     count(offset));
}

static const char *dtype_name(unsigned i) {
    return od_dtype_name((enum od_dtype)i);
}

enum od_status od_wire_read_tensor(od_tensor *t, od_wire *w, const json_t *o, od_error *e) {
    const char *name = NULL;
    unsigned dtype = 0;
    size_t offset = 0, n = 0, shape[OD_RANK_MAX] = {0};
    enum od_status s = od_wire_text(&name, o, "name", e);
    if (s == OD_OK && (!name[0] || strlen(name) >= OD_NAME_MAX))
        s = od_fail(e, OD_BAD_INPUT, "\"name\" of a tensor is empty, or has more than %d bytes", OD_NAME_MAX - 1);
    if (s == OD_OK) s = pick(&dtype, o, "dtype", dtype_name, OD_I64 + 1, e);
    if (s == OD_OK) s = od_wire_size(&offset, o, "offset", SIZE_MAX / 2, e);
    const json_t *list = json_object_get(o, "shape");
    const size_t rank = json_array_size(list);
    if (s == OD_OK && (!json_is_array(list) || rank > OD_RANK_MAX))
        s = wrong(e, "shape", list, "a list of 0 to 6 sizes");
    for (size_t i = 0; s == OD_OK && i < rank; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0) return wrong(e, "shape", v, "a list of sizes");
        shape[i] = (size_t)json_integer_value(v);
    }
    if (s != OD_OK) return s;
    od_tensor_set(t, name, (enum od_dtype)dtype, rank, shape, NULL);
    s = od_tensor_count(&n, t, e);
    if (s != OD_OK) return s;
    t->data = od_wire_at(w, offset, n * od_dtype_size(t->dtype));
    if (!t->data)
        return od_fail(e, OD_BAD_INPUT, "tensor %s: its %zu values at %zu lie outside of the shared memory", t->name, n,
                       offset);
    return OD_OK;
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

json_t *od_wire_words(const char *bytes, size_t n) {
    json_t *text = json_stringn(bytes, n);
    char *ascii = text ? NULL : malloc(n + 1);
    if (!ascii) return text;
    for (size_t i = 0; i < n; i++) ascii[i] = (unsigned char)bytes[i] < 128 ? bytes[i] : '?';
    text = json_stringn(ascii, n);
    free(ascii);
    return text;
}

json_t *od_wire_status(enum od_status status, const od_error *e) {
    if (status == OD_OK) return json_pack("{s:s}", "status", "ok");
    return json_pack("{s:s,s:o}", "status", od_status_name(status), "text", od_wire_words(e->text, strlen(e->text)));
}

enum od_status od_wire_read_status(bool *broken, const json_t *answer, od_error *e) {
    const char *name = NULL, *text = "";
    *broken = od_wire_text(&name, answer, "status", e) != OD_OK;
    if (*broken) return e->status;
    if (strcmp(name, od_status_name(OD_OK)) == 0) return OD_OK;
    *broken = od_wire_text(&text, answer, "text", e) != OD_OK;
    if (*broken) return e->status;
    for (unsigned s = OD_BAD_INPUT; s <= OD_UNSUPPORTED; s++)
        if (strcmp(name, od_status_name((enum od_status)s)) == 0) return od_fail(e, (enum od_status)s, "%.400s", text);
    *broken = true;
    return od_fail(e, OD_BAD_INPUT, "\"status\" is '%.60s', which is none of its names", name);
}
