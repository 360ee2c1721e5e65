/* What triage found out, kept: DIR/findings/<XXH64 of signature>-<XXH64 of case>.json and a line of the journal. One
 * file a signature; a finding that did not come again is kept as well, and says so. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "fuzz/night.h"
#include "oracles/finding.h"
#include "oracles/signature.h"

enum { EXAMPLES = 8 }; /* raw findings of one signature whose files stay */

static unsigned whole(const json_t *object, const char *key) {
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (unsigned)value : 0;
}

static double number(const json_t *result, const char *key, double otherwise) {
    const json_t *value = json_object_get(result, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* What was found, as the case's own part (od_finding_write's). */
static void mark(od_case *c, const od_night *n, const char *status, const char *signature, const json_t *result) {
    const json_t *again = json_object_get(result, "recheck");
    od_recheck r = {.judged = whole(again, "judged"),
                    .shown = whole(again, "shown"),
                    .process_judged = whole(again, "process_judged"),
                    .process_shown = whole(again, "process_shown")};
    char text[24] = "";
    if (strcmp(status, "unreproduced") == 0)
        snprintf(text, sizeof text, "flaky, seen once");
    else if (r.judged)
        od_recheck_mark(text, sizeof text, &r);
    snprintf(c->found_verdict, sizeof c->found_verdict, "%s%s%.22s",
             od_outcome_name(strcmp(status, "error") == 0 ? OD_ERROR : OD_FINDING), text[0] ? " " : "", text);
    if (!c->found_environment[0] || result)
        snprintf(c->found_environment, sizeof c->found_environment, "nightly on %.60s, %.150s", n->host,
                 n->fast_device);
    snprintf(c->found_signature, sizeof c->found_signature, "%s", signature);
    snprintf(c->found_pair, sizeof c->found_pair, "%s", n->pair);
    size_t i;
    json_t *ruling;
    if (result) c->found_value = c->found_bound = 0;
    json_array_foreach(json_object_get(result, "oracles"), i, ruling) {
        if (strcmp(od_night_text(ruling, "signature"), signature) != 0) continue;
        c->found_value = number(ruling, "value", 0);
        c->found_bound = number(ruling, "bound", 0);
    }
}

static enum od_status write_finding(char *name, size_t size, od_night *n, const char *folder, const char *signature,
                                    od_error *e) {
    od_case *c = &n->triage.c;
    char path[OD_NIGHT_PATH], *text = NULL;
    size_t length = 0;
    snprintf(name, size, "%016llx-%016llx.json", (unsigned long long)XXH64(signature, strlen(signature), 0),
             (unsigned long long)od_case_hash(c));
    enum od_status s = od_night_path(path, sizeof path, e, "%s/%s", n->o.out, folder);
    if (s == OD_OK) s = od_make_folder(path, e);
    if (s == OD_OK) s = od_night_path(path, sizeof path, e, "%s/%s/%s", n->o.out, folder, name);
    if (s == OD_OK) s = od_case_format(&text, &length, c, path, e);
    if (s == OD_OK) s = od_night_write(path, text, length, e);
    free(text);
    return s;
}

void od_night_keep(od_night *n, const char *status, const char *signature, const json_t *result) {
    od_night_triage *t = &n->triage;
    char name[OD_NIGHT_NAME] = "";
    od_error e;
    if (!signature[0]) signature = "-";
    bool again = json_object_get(n->totals.by_sign, signature) != NULL, known = strcmp(status, "known") == 0;
    if (again) {
        od_night_keep_duplicate(n, t->raw, signature);
        return;
    }
    if (!known) {
        mark(&t->c, n, status, signature, result);
        enum od_status s =
            write_finding(name, sizeof name, n, strcmp(status, "error") == 0 ? "errors" : "findings", signature, &e);
        if (s != OD_OK) {
            if (n->failed.status == OD_OK) n->failed = e;
            return;
        }
    }
    const char *reason = od_night_text(result, "reason");
    json_t *recheck = json_object_get(result, "recheck");
    od_night_say(n, "%s: %s%s%s (from %s)", strcmp(status, "new") == 0 ? "FINDING" : status, signature,
                 reason[0] ? ": " : "", reason, t->raw);
    od_night_event(n, "finding",
                   json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:O*}", "status", status, "signature", signature,
                             "kind", t->kind, "file", name, "raw", t->raw, "worker", t->slot->name, "reason", reason,
                             "recheck", recheck),
                   true);
}

/* Of a broken engine thousands come: behind the first few they are counted in lumps, and their files go. */
void od_night_keep_duplicate(od_night *n, const char *raw, const char *signature) {
    char path[OD_NIGHT_PATH];
    if (json_integer_value(json_object_get(n->totals.by_sign, signature)) < EXAMPLES) {
        od_night_event(
            n, "finding",
            json_pack("{s:s, s:s, s:s, s:s}", "status", "duplicate", "signature", signature, "raw", raw, "file", ""),
            false);
        return;
    }
    if (!n->lumps) n->lumps = json_object();
    json_int_t so_far = json_integer_value(json_object_get(n->lumps, signature));
    json_object_set_new(n->lumps, signature, json_integer(so_far + 1));
    if (od_night_path(path, sizeof path, NULL, "%s/%s", n->o.out, raw) == OD_OK) unlink(path);
}

void od_night_keep_lumps(od_night *n) {
    const char *signature;
    json_t *count;
    json_object_foreach(n->lumps, signature, count) {
        od_night_event(n, "finding",
                       json_pack("{s:s, s:s, s:s, s:s, s:O}", "status", "duplicate", "signature", signature, "raw", "",
                                 "file", "", "n", count),
                       false);
    }
    json_object_clear(n->lumps);
}

void od_night_keep_unreadable(od_night *n, const char *raw, const char *why) {
    char signature[OD_NIGHT_PATH];
    snprintf(signature, sizeof signature, "unreadable %.600s", raw);
    od_night_event(n, "finding",
                   json_pack("{s:s, s:s, s:s, s:s, s:s}", "status", "unreadable", "signature", signature, "raw", raw,
                             "file", "", "reason", why),
                   true);
}

/* One of each kind is shrunk: findings that differ in their shapes alone have one smallest case. */
bool od_night_keep_next_to_shrink(char *name, size_t size, const od_night *n) {
    const od_night_totals *t = &n->totals;
    for (size_t i = 0; i < json_array_size(t->findings); i++) {
        const json_t *one = json_array_get(t->findings, i);
        const char *file = od_night_text(one, "file"), *signature = od_night_text(one, "signature");
        if (strcmp(od_night_text(one, "status"), "new") != 0 || !file[0] || json_object_get(t->shrunk, file)) continue;
        if (strncmp(signature, "judge/", 6) == 0 || strncmp(signature, "target/", 7) == 0) continue;
        bool first = n->o.shrink_runs > 0;
        for (size_t k = 0; k < i && first; k++) {
            const json_t *other = json_array_get(t->findings, k);
            first = strcmp(od_night_text(other, "status"), "new") != 0 ||
                    !od_signature_same_kind(signature, od_night_text(other, "signature"));
        }
        if (!first) continue;
        snprintf(name, size, "%s", file);
        return true;
    }
    return false;
}
