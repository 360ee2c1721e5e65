#include "oracles/report_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/file.h"
#include "model/json_memory.h"

enum { RESULT_MAX_BYTES = 1 << 30 };

const char *od_json_text(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

double od_json_number(const json_t *object, const char *key) {
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* Key and type: s text, n number or null, a array, o object, i integer, b boolean. */
static bool has_keys(const json_t *line, const char *const *keys, const char *types, const char **missing) {
    for (size_t i = 0; keys[i]; i++) {
        const json_t *v = json_object_get(line, keys[i]);
        bool ok = v && ((types[i] == 's' && json_is_string(v)) ||
                        (types[i] == 'n' && (json_is_number(v) || json_is_null(v))) ||
                        (types[i] == 'a' && json_is_array(v)) || (types[i] == 'o' && json_is_object(v)) ||
                        (types[i] == 'i' && json_is_integer(v)) || (types[i] == 'b' && json_is_boolean(v)));
        if (ok) continue;
        *missing = keys[i];
        return false;
    }
    return true;
}

static bool complete(const json_t *line, const char *type, const char **missing) {
    static const char *const run[] = {"version", "command", "time",    "pair",        "why",   "engines", "environment",
                                      "options", "weights", "oracles", "not_checked", "fault", NULL};
    static const char *const one[] = {"case",      "name",    "pair",    "gain",    "weights", "verdict",
                                      "signature", "reason",  "share",   "seconds", "oracles", "tensors",
                                      "engines",   "finding", "command", NULL};
    static const char *const sum[] = {"cases",        "pass",        "finding",  "known",     "skipped",
                                      "inconclusive", "error",       "compared", "worst_mae", "worst_share",
                                      "seconds",      "interrupted", "exit",     NULL};
    if (strcmp(type, "run") == 0) return has_keys(line, run, "sssssooasaas", missing);
    if (strcmp(type, "case") == 0) return has_keys(line, one, "sssnssssnnaaoss", missing);
    if (strcmp(type, "summary") == 0) return has_keys(line, sum, "iiiiiiiioonbi", missing);
    *missing = "type (run, case or summary)";
    return false;
}

static enum od_status keep_case(od_results *r, json_t *line, od_error *e) {
    if (r->n_case == r->cap_case) {
        size_t cap = r->cap_case ? r->cap_case * 2 : 64;
        json_t **lines = realloc(r->case_line, cap * sizeof *lines);
        if (lines) r->case_line = lines;
        size_t *files = realloc(r->case_file, cap * sizeof *files);
        if (files) r->case_file = files;
        if (!lines || !files) return od_fail(e, OD_NO_MEMORY, "no memory for %zu cases", cap);
        r->cap_case = cap;
    }
    r->case_line[r->n_case] = line;
    r->case_file[r->n_case++] = r->n_file - 1;
    return OD_OK;
}

static enum od_status keep_line(od_results *r, json_t *line, const char *path, size_t number, bool *headed,
                                od_error *e) {
    const char *type = od_json_text(line, "type"), *missing = "";
    if (!complete(line, type, &missing))
        return od_fail(e, OD_BAD_INPUT, "%s:%zu: no result line of format 1: wrong or missing key '%s'", path, number,
                       missing);
    if (strcmp(type, "run") == 0) {
        od_result_file *files = realloc(r->file, (r->n_file + 1) * sizeof *files);
        if (!files) return od_fail(e, OD_NO_MEMORY, "no memory for the header of %s", path);
        r->file = files;
        r->file[r->n_file++] = (od_result_file){.path = path, .run = line};
        *headed = true;
        return OD_OK;
    }
    if (!*headed) return od_fail(e, OD_BAD_INPUT, "%s:%zu: a %s stands before any header of a run", path, number, type);
    if (strcmp(type, "case") == 0) return keep_case(r, line, e);
    r->file[r->n_file - 1].summary = line;
    return OD_OK;
}

static enum od_status read_file(od_results *r, const char *path, od_error *e) {
    char *text;
    size_t size;
    enum od_status s = od_file_read(&text, &size, path, RESULT_MAX_BYTES, e);
    if (s != OD_OK) return s;
    bool headed = false;
    size_t number = 0;
    for (char *at = text, *end; s == OD_OK && at < text + size; at = end + 1) {
        end = memchr(at, '\n', (size_t)(text + size - at));
        if (!end) end = text + size;
        number++;
        json_error_t error;
        od_json_watch();
        json_t *line = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, &error);
        if (!line && od_json_short()) {
            s = od_fail(e, OD_NO_MEMORY, "%s:%zu: no memory to read %zu bytes", path, number, (size_t)(end - at));
            break;
        }
        if (!json_is_object(line)) {
            s = od_fail(e, OD_BAD_INPUT, "%s:%zu: no JSON object on a line of its own: %s", path, number,
                        line ? "another value" : error.text);
            json_decref(line);
            break;
        }
        if (json_array_append_new(r->lines, line) != 0)
            s = od_fail(e, OD_NO_MEMORY, "no memory for %s", path);
        else
            s = keep_line(r, line, path, number, &headed, e);
    }
    free(text);
    if (s == OD_OK && !headed) s = od_fail(e, OD_BAD_INPUT, "%s: holds no header of a run", path);
    return s;
}

enum od_status od_results_read(od_results *out, const char *const *paths, size_t n, od_error *e) {
    *out = (od_results){.lines = json_array()};
    enum od_status s = OD_OK;
    for (size_t i = 0; s == OD_OK && i < n; i++) s = read_file(out, paths[i], e);
    if (s == OD_OK && out->n_case == 0) s = od_fail(e, OD_BAD_INPUT, "%s: holds no case", n ? paths[0] : "nothing");
    if (s != OD_OK) od_results_free(out);
    return s;
}

void od_results_free(od_results *r) {
    json_decref(r->lines);
    free(r->file);
    free(r->case_line);
    free(r->case_file);
    *r = (od_results){0};
}
