#include "oracles/baseline.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "model/case_tree.h"
#include "model/file.h"
#include "model/json_memory.h"
#include "model/safetensors.h"
#include "oracles/evidence.h"
#include "oracles/tolerance.h"

enum { FORMAT = 1, PATH = 2 * OD_CASE_PATH };

const char *od_origin_name(int fact) {
    static const char *const names[OD_ORIGIN_FACTS] = {"engine",   "device",  "math", "version", "build",
                                                       "compiler", "toolkit", "card", "driver",  "cpu",
                                                       "os",       "time",    "set"};
    return names[fact];
}

void od_baseline_free(od_baseline *b) {
    free(b->item);
    *b = (od_baseline){0};
}

enum od_status od_baseline_play(od_trace *out, const od_engine_api *api, const od_script *script, od_error *e) {
    od_trace_clear(out);
    return od_player_once(api, script, &script->c->options, od_trace_record, out, e);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void name_of(char name[OD_NAME_MAX], const od_call_at *at, const char *tensor) {
    snprintf(name, OD_NAME_MAX, "%u.%u.%.100s", at->op, at->call, tensor);
}

static enum od_status path_of(char *path, size_t size, const char *dir, const char *file, const char *ending,
                              od_error *e) {
    const int n = snprintf(path, size, "%s/%s%s", dir, file, ending);
    return n > 0 && (size_t)n < size ? OD_OK : od_fail(e, OD_BAD_INPUT, "%.200s: the folder's path is too long", dir);
}

/* Whatever the order of the tensors. */
static uint64_t digest_of(const od_tensor *list, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += XXH64(list[i].data, od_tensor_bytes(&list[i]), XXH64(list[i].name, strlen(list[i].name), 0));
    return sum;
}

/* Every tensor of the trace under its full name; the caller frees. */
static od_tensor *named_tensors(const od_trace *trace) {
    od_tensor *list = calloc(trace->n_tensor + 1, sizeof *list);
    for (size_t k = 0; list && k < trace->n_call; k++)
        for (size_t i = trace->call[k].first; i < trace->call[k].first + trace->call[k].n; i++) {
            list[i] = od_trace_view(trace, i);
            char name[OD_NAME_MAX];
            name_of(name, &trace->call[k].at, list[i].name);
            memcpy(list[i].name, name, sizeof name);
        }
    return list;
}

static enum od_status append(od_baseline *b, const od_baseline_case *item, od_error *e) {
    if (b->n == b->cap) {
        const size_t cap = b->cap ? 2 * b->cap : 64;
        od_baseline_case *grown = realloc(b->item, cap * sizeof *grown);
        if (!grown) return od_fail(e, OD_NO_MEMORY, "no memory for %zu cases", cap);
        b->item = grown;
        b->cap = cap;
    }
    b->item[b->n++] = *item;
    return OD_OK;
}

enum od_status od_baseline_file(char file[OD_CASE_PATH], const char *name, const od_case *c, od_error *e) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    snprintf(file, OD_CASE_PATH, "%.100s", name);
    for (char *p = file; *p; p++)
        if (!strchr(plain, *p)) *p = '_';
    const size_t n = strlen(file);
    const uint64_t hash = od_case_hash(c);
    if (!hash) return od_fail(e, OD_NO_MEMORY, "no memory for the text of %.200s", name);
    snprintf(file + n, OD_CASE_PATH - n, "-%016llx", (unsigned long long)hash);
    return OD_OK;
}

enum od_status od_baseline_keep(od_baseline *b, const char *dir, const char *name, const od_case *c,
                                const od_trace *trace, od_error *e) {
    char path[PATH];
    od_baseline_case item = {.n_tensor = trace->n_tensor};
    const enum od_status named = od_baseline_file(item.file, name, c, e);
    if (named != OD_OK) return named;
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->item[i].file, item.file) == 0)
            return od_fail(e, OD_BAD_INPUT, "%.200s: the case is there twice", item.file);
    od_tensor *list = named_tensors(trace);
    if (!list) return od_fail(e, OD_NO_MEMORY, "no memory for %zu tensors", trace->n_tensor);
    item.digest = digest_of(list, trace->n_tensor);
    enum od_status s = path_of(path, sizeof path, dir, item.file, ".safetensors", e);
    if (s == OD_OK) s = od_safetensors_write(path, list, trace->n_tensor, e);
    if (s == OD_OK) s = path_of(path, sizeof path, dir, item.file, ".json", e);
    if (s == OD_OK) s = od_case_write(c, path, e);
    free(list);
    return s == OD_OK ? append(b, &item, e) : s;
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

/* NULL where a text is no UTF-8, or for want of memory. */
static json_t *list_json(const od_baseline *b) {
    char hex[17];
    json_t *place = json_object(), *cases = json_array();
    bool ok = place && cases;
    for (int i = 0; i < OD_ORIGIN_FACTS && ok; i++)
        ok = json_object_set_new(place, od_origin_name(i), json_string(b->place.fact[i])) == 0;
    for (size_t i = 0; i < b->n && ok; i++) {
        snprintf(hex, sizeof hex, "%016llx", (unsigned long long)b->item[i].digest);
        ok = json_array_append_new(cases, json_pack("{s:s,s:I,s:s}", "file", b->item[i].file, "tensors",
                                                    (json_int_t)b->item[i].n_tensor, "xxh64", hex)) == 0;
    }
    if (ok) return json_pack("{s:i,s:o,s:o}", "format", FORMAT, "place", place, "cases", cases);
    json_decref(place);
    json_decref(cases);
    return NULL;
}

enum od_status od_baseline_write(const od_baseline *b, const char *dir, od_error *e) {
    char path[PATH];
    json_t *root = list_json(b);
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    enum od_status s = text ? path_of(path, sizeof path, dir, "baseline", ".json", e)
                            : od_fail(e, OD_NO_MEMORY, "the list of %zu cases cannot be made", b->n);
    if (s == OD_OK) s = od_file_write(path, text, strlen(text), e);
    free(text);
    return s;
}

static bool parse_case(od_baseline_case *item, const od_tree *o) {
    static const char *const keys[] = {"file", "tensors", "xxh64", NULL};
    int64_t tensors;
    if (!od_tree_known(o, keys) || !od_tree_text(item->file, sizeof item->file, o, "file", true) ||
        !od_tree_int(&tensors, o, "tensors", 0, OD_SAFETENSORS_MAX_TENSORS, true) || !od_tree_hash(&item->digest, o))
        return false;
    item->n_tensor = (size_t)tensors;
    return (item->file[0] && !strchr(item->file, '/')) || od_tree_wrong(o, "file", "the name of a file of the folder");
}

static bool parse_list(od_baseline *out, const od_tree *o) {
    static const char *const keys[] = {"format", "place", "cases", NULL};
    const char *facts[OD_ORIGIN_FACTS + 1] = {0};
    unsigned format;
    od_tree place;
    for (int i = 0; i < OD_ORIGIN_FACTS; i++) facts[i] = od_origin_name(i);
    if (!json_is_object(o->json)) return od_tree_wrong(o, "format", "a key of an object");
    if (!od_tree_known(o, keys) || !od_tree_unsigned(&format, o, "format", FORMAT, FORMAT, true) ||
        !od_tree_object(&place, o, "place", true) || !od_tree_known(&place, facts))
        return false;
    for (int i = 0; i < OD_ORIGIN_FACTS; i++) {
        const bool later = i == OD_ORIGIN_CARD || i == OD_ORIGIN_DRIVER; /* older baselines lack them */
        if (!od_tree_text(out->place.fact[i], OD_BASELINE_TEXT, &place, facts[i], !later)) return false;
        if (!out->place.fact[i][0] && later) snprintf(out->place.fact[i], OD_BASELINE_TEXT, "not known");
    }
    const json_t *list = json_object_get(o->json, "cases");
    if (!json_is_array(list)) return od_tree_wrong(o, "cases", "an array of objects");
    for (size_t i = 0; i < json_array_size(list); i++) {
        od_tree entry = {.json = json_array_get(list, i), .e = o->e};
        od_baseline_case item = {0};
        snprintf(entry.path, sizeof entry.path, "cases[%zu]", i);
        if (!json_is_object(entry.json)) return od_tree_wrong(&entry, "file", "a key of an object");
        if (!parse_case(&item, &entry)) return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(out->item[k].file, item.file) == 0)
                return od_tree_wrong(&entry, "file", "another one for each case");
        if (append(out, &item, o->e) != OD_OK) return false;
    }
    return true;
}

enum od_status od_baseline_read(od_baseline *out, const char *dir, od_error *e) {
    char path[PATH], *text;
    size_t size;
    od_error local;
    json_t *json;
    *out = (od_baseline){0};
    if (!e) e = &local;
    enum od_status s = path_of(path, sizeof path, dir, "baseline", ".json", e);
    if (s == OD_OK) s = od_file_read(&text, &size, path, OD_BASELINE_MAX_BYTES, e);
    if (s != OD_OK) return s;
    s = od_json_load(&json, text, size, path, e);
    free(text);
    if (s != OD_OK) return s;
    *e = (od_error){0};
    const bool ok = parse_list(out, &(od_tree){.json = json, .e = e});
    json_decref(json);
    if (ok) return OD_OK;
    od_baseline_free(out);
    return od_error_prefix(e, "%.300s", path);
}

/* ---- what has changed -------------------------------------------------------------------------------------------- */

static bool same_bits(const od_tensor *a, const od_tensor *b) {
    const size_t bytes = od_tensor_bytes(a);
    return a->dtype == b->dtype && od_same_shape(a, b) && (bytes == 0 || memcmp(a->data, b->data, bytes) == 0);
}

static void note_structure(od_changes *sum, const od_baseline_case *item, const char *name, const char *what) {
    if (!sum->structure[0]) snprintf(sum->structure, OD_BASELINE_TEXT, "%.100s: %.100s %s", item->file, name, what);
}

static void compare_tensor(od_changes *sum, const od_baseline_case *item, const od_tensor *was, const od_tensor *is,
                           enum od_tensor_class cls, double unit, bool contract) {
    od_change *change = &sum->of[cls];
    od_comparison cmp;
    change->n++;
    sum->n++;
    if (same_bits(was, is)) return;
    change->changed++;
    sum->changed++;
    if (was->dtype != is->dtype || od_compare(&cmp, was, is, unit, true, NULL) != OD_OK) {
        note_structure(sum, item, was->name, "has another type or shape");
        return;
    }
    const double share = od_contract_share(cmp.mae, cmp.max_abs);
    const bool bad = contract && !(share <= 1);
    change->bad += bad;
    sum->bad += bad;
    if (change->changed > 1 && !(share > change->share)) return;
    change->worst = cmp;
    change->share = share;
    change->at = sum->n_case;
    memcpy(change->name, was->name, sizeof change->name);
}

/* The mean scale of a prefill, which is the unit of its session from then on. */
static double unit_of(const od_safetensors *saved, const od_call_at *at, double before) {
    char name[OD_NAME_MAX];
    if (at->step != OD_STEP_PREFILL) return before;
    name_of(name, at, "scaler_scale");
    const od_tensor *scale = od_safetensors_find(saved, name);
    const double mean = scale ? od_tensor_mean(scale) : 0;
    return mean > 0 && isfinite(mean) ? mean : 1;
}

static void compare_all(od_changes *sum, const od_baseline_case *item, const od_safetensors *saved, const od_case *c,
                        const od_trace *trace) {
    double unit[OD_CASE_MAX_SESSIONS];
    size_t found = 0;
    for (unsigned i = 0; i < OD_CASE_MAX_SESSIONS; i++) unit[i] = 1;
    for (size_t k = 0; k < trace->n_call; k++) {
        const od_trace_call *call = &trace->call[k];
        double *own = &unit[call->at.session];
        *own = unit_of(saved, &call->at, *own);
        for (size_t i = call->first; i < call->first + call->n; i++) {
            od_tensor is = od_trace_view(trace, i);
            const enum od_tensor_class cls = trace->tensor[i].cls;
            char name[OD_NAME_MAX];
            name_of(name, &call->at, is.name);
            const od_tensor *was = od_safetensors_find(saved, name);
            found += was != NULL;
            if (!was)
                note_structure(sum, item, name, "is new");
            else if (cls < OD_TENSORS)
                compare_tensor(sum, item, was, &is, cls, od_tensor_in_data_space(cls) ? *own : 1,
                               od_is_contractual(c, &call->at));
        }
    }
    if (found < saved->n_tensor) note_structure(sum, item, "a tensor", "of the baseline is missing");
}

enum od_status od_baseline_compare(od_changes *sum, const char *dir, const od_baseline_case *item, const od_case *c,
                                   const od_trace *trace, od_error *e) {
    char path[PATH];
    od_safetensors saved = {0};
    enum od_status s = path_of(path, sizeof path, dir, item->file, ".safetensors", e);
    if (s == OD_OK) s = od_safetensors_open(&saved, path, e);
    if (s != OD_OK) return s;
    if (saved.n_tensor != item->n_tensor || digest_of(saved.tensors, saved.n_tensor) != item->digest)
        s = od_fail(e, OD_BAD_INPUT, "%.300s: not the answers that baseline.json was made with: make the baseline anew",
                    path);
    else
        compare_all(sum, item, &saved, c, trace);
    sum->n_case++;
    od_safetensors_close(&saved);
    return s;
}

bool od_changes_hold(const od_changes *sum) {
    return sum->bad == 0 && !sum->structure[0];
}
