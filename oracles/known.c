#include "oracles/known.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/case_tree.h"
#include "model/file.h"
#include "model/json_memory.h"
#include "oracles/oracle.h"
#include "oracles/signature.h"

enum { FORMAT = 1 };

static bool has_fields(const char *signature) {
    unsigned n = 1;
    for (const char *p = signature; *p; p++) {
        if (*p == '/' && (p == signature || p[-1] == '/')) return false;
        n += *p == '/';
    }
    return n == OD_SIGNATURE_FIELDS && signature[strlen(signature) - 1] != '/';
}

/* "*" stands for a whole field. */
static bool has_whole_stars(const char *signature) {
    for (const char *p = strchr(signature, '*'); p; p = strchr(p + 1, '*'))
        if ((p > signature && p[-1] != '/') || (p[1] && p[1] != '/')) return false;
    return true;
}

static bool names_oracle(const char *signature) {
    char name[64];
    unsigned unused;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(signature, "/"), signature);
    return strcmp(name, "*") == 0 || od_oracle_find(&unused, name, NULL) == OD_OK;
}

static bool is_day(const char *text) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    char end;
    if (strlen(text) != OD_KNOWN_DAY - 1 || text[4] != '-' || text[7] != '-' ||
        strspn(text, "0123456789-") != OD_KNOWN_DAY - 1 ||
        sscanf(text, "%4d-%2d-%2d%c", &year, &month, &day, &end) != 3 || month < 1 || month > 12)
        return false;
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

static bool text_of(char *out, size_t size, const od_tree *o, const char *key) {
    return od_tree_text(out, size, o, key, true) && (out[0] || od_tree_wrong(o, key, "a text that is not empty"));
}

static bool parse_issue(od_known_issue *issue, const od_tree *o, const char *today) {
    static const char *const keys[] = {"signature", "reason", "link", "expires", NULL};
    if (!json_is_object(o->json)) return od_tree_wrong(o, "signature", "a key of an object");
    if (!od_tree_known(o, keys) || !text_of(issue->signature, sizeof issue->signature, o, "signature") ||
        !text_of(issue->reason, sizeof issue->reason, o, "reason") ||
        !text_of(issue->link, sizeof issue->link, o, "link") ||
        !text_of(issue->expires, sizeof issue->expires, o, "expires"))
        return false;
    if (!has_fields(issue->signature))
        return od_tree_wrong(o, "signature", "oracle/subject/step/shape/pair, \"*\" for a field that may be any");
    if (!has_whole_stars(issue->signature)) return od_tree_wrong(o, "signature", "\"*\" for a whole field, or none");
    if (!names_oracle(issue->signature))
        return od_tree_wrong(o, "signature", "one that begins with an oracle's name (`list --oracles`), or \"*\"");
    if (!is_day(issue->expires)) return od_tree_wrong(o, "expires", "a day of the calendar as YYYY-MM-DD");
    issue->expired = strcmp(today, issue->expires) > 0;
    return true;
}

static bool parse_list(od_known *out, const od_tree *o, const char *today) {
    static const char *const keys[] = {"format", "issues", NULL};
    unsigned format;
    if (!json_is_object(o->json)) return od_tree_wrong(o, "format", "a key of an object");
    if (!od_tree_known(o, keys) || !od_tree_unsigned(&format, o, "format", FORMAT, FORMAT, true)) return false;
    const json_t *list = json_object_get(o->json, "issues");
    if (!json_is_array(list)) return od_tree_wrong(o, "issues", "an array of objects");
    out->issue = calloc(json_array_size(list) + 1, sizeof *out->issue);
    if (!out->issue) {
        od_fail(o->e, OD_NO_MEMORY, "no memory for %zu known issues", json_array_size(list));
        return false;
    }
    for (; out->n < json_array_size(list); out->n++) {
        od_tree entry = {.json = json_array_get(list, out->n), .e = o->e};
        snprintf(entry.path, sizeof entry.path, "issues[%zu]", out->n);
        if (!parse_issue(&out->issue[out->n], &entry, today)) return false;
        out->n_expired += out->issue[out->n].expired;
    }
    return true;
}

enum od_status od_known_read(od_known *out, const char *path, const char *today, od_error *e) {
    char *text, day[OD_KNOWN_DAY];
    size_t size;
    od_error local;
    json_t *json;
    *out = (od_known){0};
    if (!e) e = &local;
    enum od_status s = od_file_read(&text, &size, path, OD_KNOWN_MAX_BYTES, e);
    if (s != OD_OK) return s;
    if (!today) {
        const time_t now = time(NULL);
        strftime(day, sizeof day, "%Y-%m-%d", gmtime(&now));
        today = day;
    }
    s = od_json_load(&json, text, size, path, e);
    free(text);
    if (s != OD_OK) return s;
    const bool ok = parse_list(out, &(od_tree){.json = json, .e = e}, today);
    json_decref(json);
    if (ok) return OD_OK;
    od_known_free(out);
    return od_error_prefix(e, "%s", path);
}

void od_known_free(od_known *known) {
    free(known->issue);
    *known = (od_known){0};
}

const od_known_issue *od_known_find(const od_known *known, const char *signature) {
    const od_known_issue *expired = NULL;
    for (size_t i = 0; known && i < known->n; i++) {
        if (!od_signature_matches(signature, known->issue[i].signature)) continue;
        if (!known->issue[i].expired) return &known->issue[i];
        if (!expired) expired = &known->issue[i];
    }
    return expired;
}
