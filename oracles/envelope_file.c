/* The envelope's file: JSON, a line a key, so that two of them can be compared by eye and by diff. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/case_tree.h"
#include "model/file.h"
#include "model/json_memory.h"
#include "oracles/envelope.h"

enum { DIGITS = 5 };

static const char *const size_names[OD_ENVELOPE_SIZES] = {"1-4",      "5-16",      "17-64",      "65-256",
                                                          "257-1024", "1025-4096", "4097-16384", "16385-"};

/* ---- read -------------------------------------------------------------------------------------------------------- */

/* A finite number from `least` on, needed. */
static bool number(double *out, const od_tree *o, const char *key, double least) {
    *out = NAN;
    if (!od_tree_real(out, o, key)) return false;
    return (isfinite(*out) && *out >= least) ||
           od_tree_wrong(o, key, least == 0 ? "given, a number from 0 on" : "given, a number");
}

static bool class_of(int *cls, int *step, const od_tree *o) {
    const char *tensors[OD_TENSORS], *steps[OD_STEPS];
    for (int i = 0; i < OD_TENSORS; i++) tensors[i] = od_tensor_class_name((enum od_tensor_class)i);
    for (int i = 0; i < OD_STEPS; i++) steps[i] = od_step_class_name((enum od_step_class)i);
    return od_tree_choice(cls, o, "tensor", tensors, OD_TENSORS, true) &&
           od_tree_choice(step, o, "step", steps, OD_STEPS, true);
}

static bool parse_key(od_envelope *out, const od_tree *o) {
    static const char *const known[] = {"tensor",   "step",    "values",   "n", "mae_p50",
                                        "mae_p999", "max_p50", "max_p999", NULL};
    int cls = 0, step = 0, size = 0;
    if (!od_tree_known(o, known) || !class_of(&cls, &step, o) ||
        !od_tree_choice(&size, o, "values", size_names, OD_ENVELOPE_SIZES, true))
        return false;
    od_envelope_key *key = &out->key[cls][step][size];
    if (key->n) return od_tree_wrong(o, "values", "a key that stands once");
    return od_tree_size(&key->n, o, "n", INT64_MAX) && number(&key->mae_p50, o, "mae_p50", 0) &&
           number(&key->mae_p999, o, "mae_p999", 0) && number(&key->max_p50, o, "max_p50", 0) &&
           number(&key->max_p999, o, "max_p999", 0) &&
           (key->mae_p50 <= key->mae_p999 || od_tree_wrong(o, "mae_p999", "no less than mae_p50")) &&
           (key->max_p50 <= key->max_p999 || od_tree_wrong(o, "max_p999", "no less than max_p50"));
}

static bool parse_shift(od_envelope *out, const od_tree *o) {
    static const char *const known[] = {"tensor", "step", "cases", "mean", "sd", NULL};
    int cls = 0, step = 0;
    if (!od_tree_known(o, known) || !class_of(&cls, &step, o)) return false;
    od_envelope_shift *shift = &out->shift[cls][step];
    if (shift->cases) return od_tree_wrong(o, "step", "a class that stands once");
    return od_tree_size(&shift->cases, o, "cases", INT64_MAX) && number(&shift->mean, o, "mean", -HUGE_VAL) &&
           number(&shift->sd, o, "sd", 0);
}

static bool parse_list(od_envelope *out, const od_tree *o, const char *key,
                       bool (*parse)(od_envelope *, const od_tree *)) {
    const json_t *list = json_object_get(o->json, key);
    if (!json_is_array(list)) return od_tree_wrong(o, key, "given, an array of objects");
    for (size_t i = 0; i < json_array_size(list); i++) {
        od_tree entry = {.json = json_array_get(list, i), .e = o->e};
        snprintf(entry.path, sizeof entry.path, "%s[%zu]", key, i);
        if (!json_is_object(entry.json)) return od_tree_wrong(&entry, "tensor", "a key of an object");
        if (!parse(out, &entry)) return false;
    }
    return true;
}

static bool parse_engine(char *device, size_t device_size, char *math, size_t math_size, const od_tree *o,
                         const char *key) {
    static const char *const known[] = {"device", "math_mode", NULL};
    od_tree engine;
    return od_tree_object(&engine, o, key, true) && od_tree_known(&engine, known) &&
           od_tree_text(device, device_size, &engine, "device", true) &&
           od_tree_text(math, math_size, &engine, "math_mode", true);
}

static bool parse_domain(od_envelope_domain *d, const od_tree *o) {
    static const char *const known[] = {"layers", "width", "patches", "own", "gain", NULL};
    uint64_t own = 0;
    od_tree domain;
    if (!od_tree_object(&domain, o, "domain", true) || !od_tree_known(&domain, known) ||
        !od_tree_size(&d->layers, &domain, "layers", INT32_MAX) ||
        !od_tree_size(&d->width, &domain, "width", INT32_MAX) ||
        !od_tree_size(&d->patches, &domain, "patches", INT32_MAX) || !od_tree_uint64(&own, &domain, "own", true) ||
        !number(&d->gain, &domain, "gain", 0))
        return false;
    d->own = (size_t)own;
    return true;
}

static bool parse_all(od_envelope *out, const od_tree *o) {
    static const char *const known[] = {"format",  "pair",  "ref",    "fast", "made_by", "time",
                                        "command", "cases", "domain", "keys", "shifts",  NULL};
    unsigned format;
    if (!json_is_object(o->json)) return od_tree_wrong(o, "format", "a key of an object");
    return od_tree_known(o, known) &&
           od_tree_unsigned(&format, o, "format", OD_ENVELOPE_FORMAT, OD_ENVELOPE_FORMAT, true) &&
           od_tree_text(out->pair, sizeof out->pair, o, "pair", true) &&
           parse_engine(out->ref_device, sizeof out->ref_device, out->ref_math, sizeof out->ref_math, o, "ref") &&
           parse_engine(out->fast_device, sizeof out->fast_device, out->fast_math, sizeof out->fast_math, o, "fast") &&
           od_tree_text(out->version, sizeof out->version, o, "made_by", true) &&
           od_tree_text(out->time, sizeof out->time, o, "time", true) &&
           od_tree_text(out->command, sizeof out->command, o, "command", true) &&
           od_tree_size(&out->cases, o, "cases", INT64_MAX) && parse_domain(&out->domain, o) &&
           parse_list(out, o, "keys", parse_key) && parse_list(out, o, "shifts", parse_shift);
}

enum od_status od_envelope_parse(od_envelope *out, const char *text, size_t size, const char *name, od_error *e) {
    json_t *json;
    od_error local;
    if (!e) e = &local;
    *out = (od_envelope){0};
    const enum od_status s = od_json_load(&json, text, size, name, e);
    if (s != OD_OK) return s;
    const bool ok = parse_all(out, &(od_tree){.json = json, .e = e});
    json_decref(json);
    return ok ? OD_OK : od_error_prefix(e, "%s", name);
}

enum od_status od_envelope_read(od_envelope *out, const char *path, od_error *e) {
    char *text;
    size_t size;
    enum od_status s = od_file_read(&text, &size, path, OD_ENVELOPE_MAX_BYTES, e);
    if (s != OD_OK) return s;
    s = od_envelope_parse(out, text, size, path, e);
    free(text);
    return s;
}

/* ---- write ------------------------------------------------------------------------------------------------------- */

/* A value on its place in the text; takes the value over. False: no memory. */
static bool put(FILE *f, const char *before, json_t *value) {
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS)) : NULL;
    json_decref(value);
    const bool ok = text && fprintf(f, "%s%s", before, text) > 0;
    free(text);
    return ok;
}

static json_t *key_json(const od_envelope_key *k, int cls, int step, int size) {
    return json_pack("{s:s,s:s,s:s,s:I,s:f,s:f,s:f,s:f}", "tensor", od_tensor_class_name((enum od_tensor_class)cls),
                     "step", od_step_class_name((enum od_step_class)step), "values", size_names[size], "n",
                     (json_int_t)k->n, "mae_p50", k->mae_p50, "mae_p999", k->mae_p999, "max_p50", k->max_p50,
                     "max_p999", k->max_p999);
}

static json_t *shift_json(const od_envelope_shift *s, int cls, int step) {
    return json_pack("{s:s,s:s,s:I,s:f,s:f}", "tensor", od_tensor_class_name((enum od_tensor_class)cls), "step",
                     od_step_class_name((enum od_step_class)step), "cases", (json_int_t)s->cases, "mean", s->mean, "sd",
                     s->sd);
}

static bool put_head(FILE *f, const od_envelope *x) {
    const od_envelope_domain *d = &x->domain;
    return put(f, "{\n  \"format\": ", json_integer(OD_ENVELOPE_FORMAT)) &&
           put(f, ",\n  \"pair\": ", json_string(x->pair)) &&
           put(f, ",\n  \"ref\": ", json_pack("{s:s,s:s}", "device", x->ref_device, "math_mode", x->ref_math)) &&
           put(f, ",\n  \"fast\": ", json_pack("{s:s,s:s}", "device", x->fast_device, "math_mode", x->fast_math)) &&
           put(f, ",\n  \"made_by\": ", json_string(x->version)) && put(f, ",\n  \"time\": ", json_string(x->time)) &&
           put(f, ",\n  \"command\": ", json_string(x->command)) &&
           put(f, ",\n  \"cases\": ", json_integer((json_int_t)x->cases)) &&
           put(f, ",\n  \"domain\": ",
               json_pack("{s:I,s:I,s:I,s:I,s:f}", "layers", (json_int_t)d->layers, "width", (json_int_t)d->width,
                         "patches", (json_int_t)d->patches, "own", (json_int_t)d->own, "gain", d->gain));
}

static bool put_all(FILE *f, const od_envelope *x) {
    bool ok = put_head(f, x) && fputs(",\n  \"keys\": [", f) >= 0;
    const char *before = "\n    ";
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++)
            for (int i = 0; i < OD_ENVELOPE_SIZES; i++) {
                if (!ok || x->key[t][s][i].n == 0) continue;
                ok = put(f, before, key_json(&x->key[t][s][i], t, s, i));
                before = ",\n    ";
            }
    ok = ok && fputs("\n  ],\n  \"shifts\": [", f) >= 0;
    before = "\n    ";
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++) {
            if (!ok || x->shift[t][s].cases == 0) continue;
            ok = put(f, before, shift_json(&x->shift[t][s], t, s));
            before = ",\n    ";
        }
    return ok && fputs("\n  ]\n}\n", f) >= 0;
}

enum od_status od_envelope_format(char **text, size_t *size, const od_envelope *x, od_error *e) {
    *text = NULL;
    od_json_watch();
    FILE *f = open_memstream(text, size);
    const bool ok = f && put_all(f, x) && !od_json_short();
    if (f && od_text_close(f, text) && ok) return OD_OK;
    free(*text);
    *text = NULL;
    return od_fail(e, OD_NO_MEMORY, "no memory for the text of an envelope");
}

enum od_status od_envelope_write(const od_envelope *x, const char *path, od_error *e) {
    char *text;
    size_t size;
    enum od_status s = od_envelope_format(&text, &size, x, e);
    if (s == OD_OK) s = od_file_write(path, text, size, e);
    free(text);
    return s;
}

/* ---- may it be used? --------------------------------------------------------------------------------------------- */

enum od_status od_envelope_fits(const od_envelope *x, const char *name, const char *pair, const char *ref_math,
                                const char *fast_math, od_error *e) {
    const int colon = (int)strcspn(pair, ":");
    char how[160];
    snprintf(how, sizeof how, "`oracle-diff calibrate --ref %.*s --fast %.40s --out FILE` makes another", colon, pair,
             pair + colon + (pair[colon] == ':'));
    if (strcmp(x->pair, pair) != 0)
        return od_fail(e, OD_BAD_INPUT, "%.200s: measured on %s, and this run is %s; %s", name, x->pair, pair, how);
    if (strcmp(x->ref_math, ref_math) != 0 || strcmp(x->fast_math, fast_math) != 0)
        return od_fail(e, OD_BAD_INPUT, "%.200s: measured with %s against %s, and this run is %s against %s; %s", name,
                       x->ref_math, x->fast_math, ref_math, fast_math, how);
    return OD_OK;
}
