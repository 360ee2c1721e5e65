/* Values out of a JSON tree, for the reader of cases (case_tree.h). */
#include "model/case_tree.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/case_internal.h"

static const char *dot(const od_tree *o) {
    return o->path[0] ? "." : "";
}

bool od_tree_wrong(const od_tree *o, const char *key, const char *wanted) {
    return od_case_refuse(o->e, "%s%s%s: must be %s", o->path, dot(o), key, wanted);
}

bool od_tree_known(const od_tree *o, const char *const *known) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)o->json, key, value) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) i++;
        if (known[i]) continue;
        char list[320] = "";
        for (size_t k = 0, used = 0; known[k] && used < sizeof list; k++)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", k ? ", " : "", known[k]);
        return od_case_refuse(o->e, "%s%s%.40s: unknown key, known here: %s", o->path, dot(o), key, list);
    }
    return true;
}

bool od_tree_object(od_tree *child, const od_tree *o, const char *key, bool needed) {
    child->json = json_object_get(o->json, key);
    child->e = o->e;
    snprintf(child->path, sizeof child->path, "%.40s%s%.40s", o->path, dot(o), key);
    if (!child->json) return !needed || od_tree_wrong(o, key, "given, an object");
    return json_is_object(child->json) || od_tree_wrong(o, key, "an object");
}

bool od_tree_int(int64_t *out, const od_tree *o, const char *key, int64_t lo, int64_t hi, bool needed) {
    const json_t *v = json_object_get(o->json, key);
    if (!v && !needed) return true;
    if (!json_is_integer(v)) return od_tree_wrong(o, key, v ? "a whole number" : "given, a whole number");
    int64_t n = json_integer_value(v);
    if (n < lo || n > hi)
        return od_case_refuse(o->e, "%s%s%s: %" PRId64 " is not within %" PRId64 " to %" PRId64, o->path, dot(o), key,
                              n, lo, hi);
    *out = n;
    return true;
}

bool od_tree_unsigned(unsigned *out, const od_tree *o, const char *key, unsigned lo, unsigned hi, bool needed) {
    int64_t n = *out;
    if (!od_tree_int(&n, o, key, lo, hi, needed)) return false;
    *out = (unsigned)n;
    return true;
}

bool od_tree_size(size_t *out, const od_tree *o, const char *key, int64_t hi) {
    int64_t n = 0;
    if (!od_tree_int(&n, o, key, 1, hi, true)) return false;
    *out = (size_t)n;
    return true;
}

bool od_tree_uint64(uint64_t *out, const od_tree *o, const char *key, bool needed) {
    int64_t n = (int64_t)*out;
    if (!od_tree_int(&n, o, key, 0, INT64_MAX, needed)) return false;
    *out = (uint64_t)n;
    return true;
}

bool od_tree_real(double *out, const od_tree *o, const char *key) {
    const json_t *v = json_object_get(o->json, key);
    if (!v) return true;
    if (!json_is_number(v)) return od_tree_wrong(o, key, "a number");
    *out = json_number_value(v);
    return true;
}

bool od_tree_bool(bool *out, const od_tree *o, const char *key, bool needed) {
    const json_t *v = json_object_get(o->json, key);
    if (!v && !needed) return true;
    if (!json_is_boolean(v)) return od_tree_wrong(o, key, v ? "true or false" : "given, true or false");
    *out = json_is_true(v);
    return true;
}

bool od_tree_text(char *out, size_t size, const od_tree *o, const char *key, bool needed) {
    const json_t *v = json_object_get(o->json, key);
    if (!v && !needed) return true;
    if (!json_is_string(v)) return od_tree_wrong(o, key, v ? "a text" : "given, a text");
    if (json_string_length(v) >= size)
        return od_case_refuse(o->e, "%s%s%s: %zu bytes, at most %zu are allowed", o->path, dot(o), key,
                              json_string_length(v), size - 1);
    memcpy(out, json_string_value(v), json_string_length(v) + 1);
    return true;
}

bool od_tree_choice(int *out, const od_tree *o, const char *key, const char *const *names, int n, bool needed) {
    char text[64] = "", list[160] = "";
    if (!json_object_get(o->json, key) && !needed) return true;
    if (!od_tree_text(text, sizeof text, o, key, true)) return false;
    for (int i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
    for (size_t i = 0, used = 0; i < (size_t)n && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    return od_case_refuse(o->e, "%s%s%s: '%s' is none of %s", o->path, dot(o), key, text, list);
}

bool od_tree_hash(uint64_t *out, const od_tree *o) {
    char text[17] = "";
    if (!od_tree_text(text, sizeof text, o, "xxh64", true)) return false;
    if (strspn(text, "0123456789abcdef") != 16) return od_tree_wrong(o, "xxh64", "16 lower-case hexadecimal digits");
    *out = strtoull(text, NULL, 16);
    return true;
}

bool od_tree_measure(double *out, const od_tree *o, const char *key) {
    const json_t *v = json_object_get(o->json, key);
    const char *text = json_string_value(v);
    if (json_is_number(v))
        *out = json_number_value(v);
    else if (text && strcmp(text, "nan") == 0)
        *out = NAN;
    else if (text && strcmp(text, "inf") == 0)
        *out = INFINITY;
    else if (text && strcmp(text, "-inf") == 0)
        *out = -INFINITY;
    else
        return od_tree_wrong(o, key, "a number, \"nan\", \"inf\" or \"-inf\"");
    return true;
}
