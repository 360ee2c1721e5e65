/* Writes a case in canonical form, and moves its relative paths when it is copied. What a case says stands in a fixed
 * order, so that two cases differ in their text where they differ in meaning, and nowhere else. */
#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/case_internal.h"
#include "model/file.h"
#include "model/json_memory.h"

typedef struct printer {
    FILE *to; /* a memory stream: what fails there shows at fclose */
    const od_case *c;
    const char *new_path;
    bool identity;
    enum od_status status; /* of rewriting paths and of texts; the first one stays */
    od_error *e;
} printer;

/* Shortest of %.15g, %.16g, %.17g that reads back as the same double, with a point whatever the locale says. */
static void put_real(printer *p, double x) {
    char text[64];
    if (!isfinite(x)) {
        fputs(isnan(x) ? "\"nan\"" : (x > 0 ? "\"inf\"" : "\"-inf\""), p->to);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    const char *point = localeconv()->decimal_point;
    char *at = strcmp(point, ".") == 0 ? NULL : strstr(text, point);
    if (at) {
        fprintf(p->to, "%.*s.%s", (int)(at - text), text, at + strlen(point));
        return;
    }
    /* -0 alone would be read as an integer, which has no sign. */
    fprintf(p->to, "%s%s", text, strcmp(text, "-0") == 0 ? ".0" : "");
}

/* Quoted and escaped, by Jansson. */
static void put_text(printer *p, const char *text) {
    od_json_watch();
    json_t *json = json_string(text);
    char *quoted = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
    if (quoted)
        fputs(quoted, p->to);
    else if (!p->status)
        p->status = od_json_short() ? od_fail(p->e, OD_NO_MEMORY, "case: no memory for a text")
                                    : od_fail(p->e, OD_BAD_INPUT, "case: a text is no UTF-8");
    free(quoted);
    json_decref(json);
}

static void put_path(printer *p, const char *path) {
    char moved[OD_CASE_PATH];
    snprintf(moved, sizeof moved, "%s", path);
    if (p->new_path && !p->status) p->status = od_case_rebase(moved, p->c, path, p->new_path, p->e);
    put_text(p, moved);
}

static void put_digest(printer *p, const od_case_file *f) {
    fprintf(p->to, "\"bytes\": %" PRIu64 ", \"xxh64\": \"%016" PRIx64 "\"", f->bytes, f->xxh64);
}

/* ---- model ------------------------------------------------------------------------------------------------------- */

static void put_dims(printer *p, const od_config *m) {
    fprintf(p->to,
            "\"dims\": {\"patch_size\": %zu, \"embed_dim\": %zu, \"num_layers\": %zu, \"num_heads\": %zu, "
            "\"mlp_hidden_dim\": %zu,\n      \"spacewise_every_n_layers\": %d, \"spacewise_first\": %s,\n"
            "      \"scaler_cls\": \"%s\"",
            m->patch, m->d_model, m->n_layer, m->n_head, m->d_mlp, m->space_every ? (int)m->space_every : -1,
            m->space_first ? "true" : "false", od_scaler_name(m->scaler));
    if (m->scaler == OD_SCALER_CAUSAL_PATCH_STD_MEAN && !m->stabilize)
        fputs(", \"stabilize_with_global\": false", p->to);
    if (m->scale_exponent != 10) {
        fputs(", \"scale_factor_exponent\": ", p->to);
        put_real(p, m->scale_exponent);
    }
    fprintf(p->to, ",\n      \"output_distribution_classes\": [\"%s\"]",
            m->mixture ? "MixtureOfStudentTsOutput" : "StudentTOutput");
    if (m->mixture) fprintf(p->to, ", \"output_distribution_kwargs\": {\"k_components\": %zu}", m->n_component);
    fputc('}', p->to);
}

static void put_folder(printer *p) {
    fputs("\"folder\": {", p->to);
    if (!p->identity) {
        fputs("\"path\": ", p->to);
        put_path(p, p->c->model_folder);
        fputs(", ", p->to);
    }
    fputs("\"config\": {", p->to);
    put_digest(p, &p->c->model_config);
    fputs("}, \"weights\": {", p->to);
    put_digest(p, &p->c->model_weights);
    fputs("}}", p->to);
}

static void put_model(printer *p) {
    const od_case *c = p->c;
    bool folder = c->model_folder[0] != 0, one_line = c->preset[0] != 0;
    const char *gap = one_line ? ", " : ",\n    ";
    fputs(one_line ? "  \"model\": {" : "  \"model\": {\n    ", p->to);
    if (folder)
        put_folder(p);
    else if (c->preset[0])
        fprintf(p->to, "\"preset\": \"%s\"", c->preset);
    else
        put_dims(p, &c->config);
    if (c->config.xpos != OD_XPOS_CALL) fprintf(p->to, "%s\"xpos_center\": \"%s\"", gap, od_xpos_name(c->config.xpos));
    if (!folder) fprintf(p->to, "%s\"seed\": %" PRIu64, gap, c->weight_seed);
    if (!folder && c->gain != 1) {
        fprintf(p->to, "%s\"gain\": ", gap);
        put_real(p, c->gain);
    }
    fputs(one_line ? "},\n" : "\n  },\n", p->to);
}

/* ---- series ------------------------------------------------------------------------------------------------------ */

static void put_csv(printer *p) {
    const od_case *c = p->c;
    fputs(",\n    \"csv\": {", p->to);
    if (!p->identity) {
        fputs("\"path\": ", p->to);
        put_path(p, c->csv.path);
        fputs(", ", p->to);
    }
    put_digest(p, &c->csv);
    fputs(", \"columns\": [", p->to);
    for (unsigned i = 0; i < c->n_column; i++) {
        if (i) fputs(", ", p->to);
        put_text(p, c->column[i]);
    }
    fputc(']', p->to);
    if (c->csv_start) fprintf(p->to, ", \"start\": %u", c->csv_start);
    if (c->csv_stride) fprintf(p->to, ", \"stride\": %u", c->csv_stride);
    fputs("}\n  ", p->to);
}

static void put_series(printer *p) {
    const od_case *c = p->c;
    bool csv = c->generator == OD_GEN_CSV;
    fprintf(p->to, "  \"series\": {%s\"batch\": %u, \"variates\": %u, \"generator\": \"%s\", \"seed\": %" PRIu64,
            csv ? "\n    " : "", c->batch, c->variates, od_generator_name(c->generator), c->series_seed);
    if (c->scale != 1) {
        fputs(", \"scale\": ", p->to);
        put_real(p, c->scale);
    }
    if (c->missing != 0) {
        fputs(", \"missing\": ", p->to);
        put_real(p, c->missing);
    }
    if (c->left_padding) fprintf(p->to, ", \"left_padding\": %u", c->left_padding);
    if (c->padded_variate >= 0) fprintf(p->to, ", \"padded_variate\": %d", c->padded_variate);
    if (c->n_group) {
        fputs(", \"groups\": [", p->to);
        for (unsigned v = 0; v < c->n_group; v++) fprintf(p->to, "%s%d", v ? ", " : "", (int)c->group[v]);
        fputc(']', p->to);
    }
    if (csv) put_csv(p);
    fputs("},\n", p->to);
}

/* ---- schedule, options, the rest --------------------------------------------------------------------------------- */

static void put_op(printer *p, const od_op *op) {
    switch (op->kind) {
    case OD_OP_PREFILL:
        fprintf(p->to, "{\"op\": \"prefill\", \"session\": %u, \"steps\": %u}", op->session, op->steps);
        break;
    case OD_OP_DECODE:
        fprintf(p->to, "{\"op\": \"decode\", \"session\": %u, \"patches\": %u, \"feed\": \"%s\"}", op->session,
                op->patches, op->own ? "own" : "teacher");
        break;
    case OD_OP_RESET: fprintf(p->to, "{\"op\": \"reset\", \"session\": %u}", op->session); break;
    case OD_OP_RECAPTURE: fputs("{\"op\": \"recapture\"}", p->to); break;
    }
}

/* Those that differ from the defaults, in the table's order. */
static void put_options(printer *p) {
    const od_options defaults = od_options_default();
    bool any = false;
    const char *name;
    for (size_t i = 0; (name = od_options_name(i)) != NULL; i++) {
        char value[32], usual[32];
        od_options_value(&p->c->options, i, value, sizeof value);
        od_options_value(&defaults, i, usual, sizeof usual);
        if (strcmp(value, usual) == 0) continue;
        fprintf(p->to, any ? ", \"%s\": " : "  \"options\": {\"%s\": ", name);
        any = true;
        if (strcmp(name, "cache") == 0)
            fprintf(p->to, "\"%s\"", value);
        else
            fputs(strcmp(value, "on") == 0 ? "true" : (strcmp(value, "off") == 0 ? "false" : value), p->to);
    }
    if (any) fputs("},\n", p->to);
}

static void put_finding(printer *p) {
    const od_case *c = p->c;
    const struct {
        const char *key, *text;
    } texts[] = {{"verdict", c->found_verdict},
                 {"signature", c->found_signature},
                 {"pair", c->found_pair},
                 {"environment", c->found_environment}};
    fputs(",\n  \"finding\": {", p->to);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        fprintf(p->to, "\n    \"%s\": ", texts[i].key);
        put_text(p, texts[i].text);
        fputc(',', p->to);
    }
    fputs("\n    \"value\": ", p->to);
    put_real(p, c->found_value);
    fputs(",\n    \"bound\": ", p->to);
    put_real(p, c->found_bound);
    fputs("\n  }", p->to);
}

static void put_case(printer *p) {
    const od_case *c = p->c;
    fprintf(p->to, "{\n  \"format\": %d,\n", OD_CASE_FORMAT);
    if (c->note[0] && !p->identity) {
        fputs("  \"note\": ", p->to);
        put_text(p, c->note);
        fputs(",\n", p->to);
    }
    put_model(p);
    put_series(p);
    fputs("  \"schedule\": [\n", p->to);
    for (unsigned i = 0; i < c->n_op; i++) {
        fputs("    ", p->to);
        put_op(p, &c->op[i]);
        fputs(i + 1 < c->n_op ? ",\n" : "\n", p->to);
    }
    fputs("  ],\n  \"forecast\": \"mean\",\n", p->to);
    put_options(p);
    if (c->only_scaler) fputs("  \"compare\": \"scaler\",\n", p->to);
    fputs("  \"expect\": ", p->to);
    put_text(p, p->identity ? "pass" : c->expect);
    if (c->found_verdict[0] && !p->identity) put_finding(p);
    fputs("\n}\n", p->to);
}

enum od_status od_case_print(char **text, size_t *size, const od_case *c, const char *new_path, bool identity,
                             od_error *e) {
    printer p = {.c = c, .new_path = new_path, .identity = identity, .e = e};
    *text = NULL;
    *size = 0;
    p.to = open_memstream(text, size);
    if (!p.to) return od_fail(e, OD_NO_MEMORY, "case: no memory for its text");
    put_case(&p);
    if (!od_text_close(p.to, text) && !p.status) p.status = od_fail(e, OD_NO_MEMORY, "case: no memory for its text");
    if (!p.status) return OD_OK;
    free(*text);
    *text = NULL;
    *size = 0;
    return p.status;
}

enum od_status od_case_format(char **text, size_t *size, const od_case *c, const char *new_path, od_error *e) {
    *text = NULL;
    *size = 0;
    enum od_status st = od_case_check(c, e);
    if (!st) st = od_case_print(text, size, c, new_path, false, e);
    if (!st && *size > OD_CASE_MAX_BYTES) {
        st = od_fail(e, OD_BAD_INPUT, "case: its text has %zu bytes, at most %d are allowed", *size, OD_CASE_MAX_BYTES);
        free(*text);
        *text = NULL;
    }
    return st;
}

enum od_status od_case_write(const od_case *c, const char *path, od_error *e) {
    char *text;
    size_t size;
    enum od_status st = od_case_format(&text, &size, c, path, e);
    if (!st) st = od_file_write(path, text, size, e);
    free(text);
    return st;
}

/* ---- paths ------------------------------------------------------------------------------------------------------- */

/* The folder of a file's path, as an absolute path without links; malloc'd, NULL where it is not there. */
static char *real_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    char *real = folder ? realpath(folder, NULL) : NULL;
    free(folder);
    return real;
}

/* `to` as seen from the folder `from`; both absolute and without links. False where it does not fit. */
static bool relative(char *out, size_t size, const char *from, const char *to) {
    size_t same = 0; /* length of the common beginning that ends in whole names */
    for (size_t i = 0;; i++) {
        bool from_ends = from[i] == 0 || from[i] == '/', to_ends = to[i] == 0 || to[i] == '/';
        if (from_ends && to_ends) same = i;
        if (from[i] != to[i] || from[i] == 0) break;
    }
    if (strcmp(from, "/") == 0) same = 0;
    size_t used = 0;
    const char *rest = from + same;
    while (*rest == '/') rest++;
    while (*rest && used < size) { /* one step up for each name that is left */
        used += (size_t)snprintf(out + used, size - used, "../");
        rest += strcspn(rest, "/");
        while (*rest == '/') rest++;
    }
    const char *down = to + same;
    while (*down == '/') down++;
    if (used < size) used += (size_t)snprintf(out + used, size - used, "%s", *down ? down : (used ? "" : "."));
    if (used && used < size && out[used - 1] == '/') out[used - 1] = 0;
    return used < size;
}

enum od_status od_case_rebase(char *out, const od_case *c, const char *path, const char *new_path, od_error *e) {
    char beside[OD_CASE_PATH * 2];
    char *old_dir = NULL, *new_dir = NULL, *target = NULL;
    enum od_status st = OD_OK;
    snprintf(out, OD_CASE_PATH, "%s", path);
    if (path[0] == '/') return OD_OK;
    old_dir = real_folder(c->path);
    new_dir = real_folder(new_path);
    if (!old_dir || !new_dir) {
        st = od_fail(e, OD_BAD_INPUT, "%s: there is no such folder", old_dir ? new_path : c->path);
        goto out;
    }
    if (strcmp(old_dir, new_dir) == 0) goto out;
    st = od_path_beside(beside, sizeof beside, c->path, path, e);
    if (st) goto out;
    target = realpath(beside, NULL);
    if (!target)
        st = od_fail(e, OD_BAD_INPUT, "%s: cannot be found, so the case that names it cannot be moved", beside);
    else if (!relative(out, OD_CASE_MAX_FILE_PATH + 1, new_dir, target))
        st = od_fail(e, OD_BAD_INPUT, "%s: too far from %s for a path of %d bytes", target, new_dir,
                     OD_CASE_MAX_FILE_PATH);
out:
    free(old_dir);
    free(new_dir);
    free(target);
    return st;
}
