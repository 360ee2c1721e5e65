/* Several nights, of one machine or many, made one: its journal holds their lines (workers get their night's name), its
 * findings one file a signature, its corpus the cover of theirs. A night that is unfinished, red, without its canary or
 * whose folder is broken makes the merged one red, and is named. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/night.h"
#include "oracles/finding.h"

typedef struct one_night {
    const char *folder;
    char name[OD_NIGHT_NAME];
    od_night_totals totals;
    bool there; /* its journal can be read, and has a plan */
    int code;
    const char *state;
    json_t *reasons;
} one_night;

/* ---- read -------------------------------------------------------------------------------------------------------- */

static void look(one_night *x) {
    char path[OD_NIGHT_PATH];
    size_t whole;
    od_error e;
    enum od_status s = od_night_totals_init(&x->totals, &e);
    if (s == OD_OK) s = od_night_path(path, sizeof path, &e, "%s/night.jsonl", x->folder);
    if (s == OD_OK) s = od_night_journal_read(&x->totals, &whole, path, "", &e);
    if (s == OD_OK && !x->totals.plan) s = od_fail(&e, OD_BAD_INPUT, "%.300s: says nothing of a night", path);
    x->there = s == OD_OK;
    x->code = OD_NIGHT_BLIND;
    x->reasons = NULL;
    if (!x->there) {
        x->state = "broken";
        x->reasons = json_pack("[s]", e.text);
        return;
    }
    int computed = od_night_verdict(&x->reasons, &x->totals);
    if (!x->totals.end) {
        x->state = "unfinished";
        x->code = computed == OD_NIGHT_FINDING ? computed : OD_NIGHT_BLIND;
        json_array_insert_new(x->reasons, 0, json_string("unfinished"));
        return;
    }
    int said = (int)json_integer_value(json_object_get(x->totals.end, "exit"));
    if (said != OD_NIGHT_GREEN) { /* it knew more than its sums say (a merge, of its nights) */
        json_decref(x->reasons);
        x->reasons = json_deep_copy(json_object_get(x->totals.end, "reasons"));
        computed = said;
    }
    x->code = computed;
    x->state = computed == OD_NIGHT_GREEN ? "green" : x->code == OD_NIGHT_FINDING ? "findings" : "red";
}

static void name_nights(one_night *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char copy[OD_NIGHT_PATH];
        snprintf(copy, sizeof copy, "%s", x[i].folder);
        size_t length = strlen(copy);
        while (length > 1 && copy[length - 1] == '/') copy[--length] = '\0';
        char *slash = strrchr(copy, '/');
        snprintf(x[i].name, sizeof x[i].name, "%.40s", slash && slash[1] ? slash + 1 : copy);
        for (size_t k = 0; k < i; k++)
            if (strcmp(x[k].name, x[i].name) == 0)
                snprintf(x[i].name, sizeof x[i].name, "%.30s-%zu", slash ? slash + 1 : copy, i);
    }
}

/* ---- one plan of many -------------------------------------------------------------------------------------------- */

static void add_lanes(json_t *lanes, const json_t *more) {
    for (size_t i = 0; i < json_array_size(more); i++) {
        bool there = false;
        for (size_t k = 0; k < json_array_size(lanes); k++)
            there = there || json_equal(json_array_get(lanes, k), json_array_get(more, i));
        if (!there) json_array_append(lanes, json_array_get(more, i));
    }
}

/* Workers in a row, lanes together, minimums of counts added, of the others the largest. */
static json_t *merge_plans(const one_night *x, size_t n) {
    double seconds = 0;
    json_t *plan = NULL, *workers = json_array(), *lanes = json_array(), *least = json_object();
    for (size_t i = 0; i < n; i++) {
        if (!x[i].there) continue;
        const json_t *p = x[i].totals.plan, *list = json_object_get(p, "workers");
        if (!plan) plan = json_copy((json_t *)(uintptr_t)p);
        if (strcmp(od_night_text(p, "canary"), "off") == 0) json_object_set_new(plan, "canary", json_string("off"));
        for (size_t k = 0; k < json_array_size(list); k++) {
            char name[OD_NIGHT_NAME * 2];
            snprintf(name, sizeof name, "%.40s/%.20s", x[i].name, od_night_text(json_array_get(list, k), "worker"));
            json_array_append_new(workers, json_pack("{s:s, s:s}", "worker", name, "device",
                                                     od_night_text(json_array_get(list, k), "device")));
        }
        seconds += json_number_value(json_object_get(p, "seconds"));
        add_lanes(lanes, json_object_get(p, "lanes"));
        for (unsigned k = 0; k < OD_LEASTS; k++) {
            const char *key = od_night_least_name(k);
            json_int_t sum = json_integer_value(json_object_get(least, key)),
                       more = json_integer_value(json_object_get(json_object_get(p, "at_least"), key));
            bool counts = k <= OD_LEAST_REPLAYS;
            json_object_set_new(least, key, json_integer(counts ? sum + more : sum > more ? sum : more));
        }
    }
    if (!plan) plan = json_object();
    json_object_set_new(plan, "seconds", json_real(seconds));
    json_object_set_new(plan, "workers", workers);
    json_object_set_new(plan, "lanes", lanes);
    json_object_set_new(plan, "at_least", least);
    json_object_set_new(plan, "merged", json_true());
    return plan;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* The lines of a night that count, with its name. */
static enum od_status take_lines(od_night *n, const one_night *x, od_error *e) {
    static const char *const taken[] = {"slice", "finding", "shrunk", "lane", "canary"};
    char path[OD_NIGHT_PATH], *text = NULL;
    size_t room = 0;
    enum od_status s = od_night_path(path, sizeof path, e, "%s/night.jsonl", x->folder);
    FILE *f = s == OD_OK ? fopen(path, "re") : NULL;
    if (s == OD_OK && !f) s = od_fail(e, OD_IO, "%.300s: cannot be read: %s", path, strerror(errno));
    for (ssize_t size; s == OD_OK && (size = getline(&text, &room, f)) > 0 && text[size - 1] == '\n';) {
        json_t *line = json_loadb(text, (size_t)size, 0, NULL);
        bool counts = false;
        for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
            counts = counts || strcmp(od_night_text(line, "event"), taken[i]) == 0;
        if (counts) {
            char worker[OD_NIGHT_NAME * 2];
            snprintf(worker, sizeof worker, "%.40s/%.20s", x->name, od_night_text(line, "worker"));
            json_object_set_new(line, "night", json_string(x->name));
            if (json_object_get(line, "worker")) json_object_set_new(line, "worker", json_string(worker));
            json_object_del(line, "spent");
            s = od_night_journal_append(&n->journal, line, false, e);
            if (s == OD_OK) s = od_night_fold(&n->totals, line, "", e);
        }
        json_decref(line);
    }
    free(text);
    if (f) fclose(f);
    return s;
}

/* The findings' files, and what they were shrunk to; paths in them stay true. */
static void take_findings(od_night *n, const one_night *x, size_t n_night, json_t *reasons) {
    static od_case c;
    for (size_t i = 0; i < json_array_size(n->totals.findings); i++) {
        const json_t *one = json_array_get(n->totals.findings, i);
        const char *file = od_night_text(one, "file"), *night = od_night_text(one, "night"), *folder = NULL;
        for (size_t k = 0; k < n_night; k++)
            if (strcmp(x[k].name, night) == 0) folder = x[k].folder;
        const char *const parts[] = {strcmp(od_night_text(one, "status"), "error") == 0 ? "errors" : "findings",
                                     "shrunk"};
        for (int p = 0; p < 2 && file[0] && folder; p++) {
            char from[OD_NIGHT_PATH], to[OD_NIGHT_PATH], said[600];
            od_error e;
            enum od_status s = od_night_path(from, sizeof from, &e, "%s/%s/%s", folder, parts[p], file);
            if (p == 1 && (s != OD_OK || access(from, F_OK) != 0)) continue;
            if (s == OD_OK) s = od_night_path(to, sizeof to, &e, "%s/%s", n->o.out, parts[p]);
            if (s == OD_OK) s = od_make_folder(to, &e);
            if (s == OD_OK) s = od_night_path(to, sizeof to, &e, "%s/%s/%s", n->o.out, parts[p], file);
            if (s == OD_OK) s = od_case_read(&c, from, &e);
            if (s == OD_OK) s = od_case_write(&c, to, &e);
            if (s == OD_OK) continue;
            snprintf(said, sizeof said, "night %.40s: broken: %.480s", night, e.text);
            json_array_append_new(reasons, json_string(said));
        }
    }
}

/* ---- corpus ------------------------------------------------------------------------------------------------------ */

static void add_home(od_night_pool *pool, const char *format, const char *folder, const char *name) {
    char path[OD_NIGHT_PATH];
    if (od_night_path(path, sizeof path, NULL, format, folder, name) != OD_OK) return;
    if (pool->n == pool->cap) {
        size_t cap = pool->cap ? pool->cap * 2 : 16;
        char **more = realloc(pool->path, cap * sizeof *more);
        if (!more) return;
        pool->path = more;
        pool->cap = cap;
    }
    pool->path[pool->n] = strdup(path);
    pool->n += pool->path[pool->n] != NULL;
}

/* Their corpora; of a night that did not come to its end also what its workers kept. */
static bool merge_corpus(od_night *n, const one_night *x, size_t n_night) {
    od_night_pool homes = {0};
    for (size_t i = 0; i < n_night; i++) {
        char path[OD_NIGHT_PATH], **name;
        size_t count;
        add_home(&homes, "%s%s", x[i].folder, "");
        if (x[i].there && x[i].totals.end && json_is_true(json_object_get(x[i].totals.end, "merged"))) continue;
        if (od_night_path(path, sizeof path, NULL, "%s/workers", x[i].folder) != OD_OK) continue;
        od_night_list(&name, &count, path);
        for (size_t k = 0; k < count; k++) add_home(&homes, "%s/%s", path, name[k]);
        od_night_list_free(name, count);
    }
    od_error e;
    bool done = od_night_programs(n, &e) == OD_OK && od_night_corpus(n, &homes, od_seconds() + 3600);
    for (size_t i = 0; i < homes.n; i++) free(homes.path[i]);
    free(homes.path);
    return done;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

/* A night given twice would count twice; a merge into one of them would read what it writes. */
static enum od_status check_folders(const char *out, const one_night *x, size_t n, od_error *e) {
    for (size_t i = 0; i < n; i++) {
        struct stat one, other;
        if (stat(x[i].folder, &one) != 0) continue;
        if (stat(out, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino)
            return od_fail(e, OD_BAD_INPUT, "%.300s: is to be merged into itself; --out needs another folder", out);
        for (size_t k = 0; k < i; k++)
            if (stat(x[k].folder, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino)
                return od_fail(e, OD_BAD_INPUT, "%.300s: is given twice", x[i].folder);
    }
    return OD_OK;
}

/* A folder of its own: new, or of an earlier merge, which this one replaces. */
static enum od_status begin(od_night *n, od_error *e) {
    char path[OD_NIGHT_PATH], lock[OD_NIGHT_PATH];
    size_t whole;
    enum od_status s = od_make_folder(n->o.out, e);
    if (s == OD_OK) s = od_night_path(lock, sizeof lock, e, "%s/lock", n->o.out);
    if (s == OD_OK) s = od_night_path(path, sizeof path, e, "%s/night.jsonl", n->o.out);
    if (s != OD_OK) return s;
    n->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (n->lock < 0) return od_fail(e, OD_IO, "%.300s: cannot be written: %s", lock, strerror(errno));
    if (flock(n->lock, LOCK_EX | LOCK_NB) != 0)
        return od_fail(e, OD_BAD_INPUT, "%.300s: another supervisor works in this folder", n->o.out);
    if (access(path, F_OK) == 0) {
        od_night_totals old;
        s = od_night_totals_init(&old, e);
        if (s == OD_OK && od_night_journal_read(&old, &whole, path, "", e) == OD_OK && old.plan &&
            !json_is_true(json_object_get(old.plan, "merged")))
            s = od_fail(e, OD_BAD_INPUT, "%.300s: holds a night of its own; a merge needs another folder", n->o.out);
        od_night_totals_free(&old);
        if (s != OD_OK) return s;
    }
    unlink(path);
    static const char *const parts[] = {"findings", "errors", "shrunk"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts && s == OD_OK; i++) {
        s = od_night_path(path, sizeof path, e, "%s/%s", n->o.out, parts[i]);
        if (s == OD_OK) s = od_night_remove(path, e);
    }
    if (s == OD_OK) s = od_night_path(path, sizeof path, e, "%s/log.txt", n->o.out);
    if (s == OD_OK && !(n->log = fopen(path, "ae")))
        s = od_fail(e, OD_IO, "%.300s: cannot be written: %s", path, strerror(errno));
    if (s == OD_OK) s = od_night_totals_init(&n->totals, e);
    if (s == OD_OK) s = od_night_path(path, sizeof path, e, "%s/night.jsonl", n->o.out);
    return s == OD_OK ? od_night_journal_open(&n->journal, &n->totals, path, e) : s;
}

/* What the nights say of themselves goes before what their sums say. */
static int judge(od_night *n, const one_night *x, size_t n_night, json_t *broken, bool merged, json_t **out) {
    json_t *reasons = NULL, *all = json_array();
    char text[600];
    int code = od_night_verdict(&reasons, &n->totals);
    bool blind = json_array_size(broken) > 0, poor = false;
    for (size_t i = 0; i < n_night; i++) {
        if (x[i].code == OD_NIGHT_GREEN) continue;
        const char *why = json_string_value(json_array_get(x[i].reasons, 0));
        snprintf(text, sizeof text, "night %.40s: %s%s%.400s", x[i].name, x[i].state, why ? ": " : "", why ? why : "");
        json_array_append_new(all, json_string(text));
        blind = blind || x[i].code == OD_NIGHT_BLIND || !x[i].there || !x[i].totals.end;
        poor = poor || x[i].code == OD_NIGHT_ENVIRONMENT;
    }
    if (!merged) json_array_append_new(all, json_string("the corpus of some target could not be merged here"));
    json_array_extend(all, broken);
    json_array_extend(all, reasons);
    json_decref(reasons);
    *out = all;
    if (code == OD_NIGHT_FINDING) return code;
    if (code == OD_NIGHT_ENVIRONMENT || poor || !merged) return OD_NIGHT_ENVIRONMENT;
    return blind ? OD_NIGHT_BLIND : code;
}

/* Says of each night whose programs are not the first's: their corpora are covered by one build alone. */
static void compare_builds(one_night *x, size_t n) {
    const one_night *first = NULL;
    for (size_t i = 0; i < n; i++) {
        const char *key, *said = NULL;
        char text[300];
        json_t *hash;
        if (!x[i].there) continue;
        if (!first) first = &x[i];
        json_object_foreach(json_object_get(x[i].totals.plan, "programs"), key, hash) {
            const json_t *other = json_object_get(json_object_get(first->totals.plan, "programs"), key);
            if (other && !json_equal(other, hash)) said = key;
        }
        snprintf(text, sizeof text, "another build of %.60s than %.60s had", said ? said : "", first->name);
        if (said) json_array_append_new(x[i].reasons, json_string(text));
    }
}

static enum od_status merge(od_night *n, one_night *x, size_t n_night, int *code, od_error *e) {
    json_t *broken = json_array(), *reasons = NULL, *plan = merge_plans(x, n_night);
    const char *colon = strchr(od_night_text(plan, "pair"), ':');
    compare_builds(x, n_night);
    if (!n->o.fast[0]) snprintf(n->o.fast, sizeof n->o.fast, "%s", colon ? colon + 1 : "twin");
    n->o.lanes = 0;
    for (unsigned lane = 0; lane < OD_LANE_CANARY; lane++)
        for (size_t i = 0; i < json_array_size(json_object_get(plan, "lanes")); i++)
            if (strcmp(od_night_lane_name(lane),
                       json_string_value(json_array_get(json_object_get(plan, "lanes"), i))) == 0)
                n->o.lanes |= 1u << lane;
    od_night_event(n, "start", json_pack("{s:o, s:{s:s}}", "plan", plan, "environment", "host", n->host), false);
    enum od_status s = OD_OK;
    double spent = 0;
    for (size_t i = 0; i < n_night && s == OD_OK; i++) {
        od_night_event(n, "night",
                       json_pack("{s:s, s:s, s:s, s:i, s:O}", "name", x[i].name, "folder", x[i].folder, "state",
                                 x[i].state, "exit", x[i].code, "reasons", x[i].reasons),
                       false);
        spent += x[i].totals.spent;
        if (x[i].there) s = take_lines(n, &x[i], e);
    }
    n->before = n->totals.spent = spent;
    if (s == OD_OK) take_findings(n, x, n_night, broken);
    bool targets = (n->o.lanes & ~(1u << OD_LANE_RANDOM)) != 0, merged = true;
    if (s == OD_OK && targets) merged = merge_corpus(n, x, n_night);
    *code = judge(n, x, n_night, broken, merged, &reasons);
    od_night_event(
        n, "end",
        json_pack("{s:i, s:O, s:b, s:i}", "exit", *code, "reasons", reasons, "merged", merged, "untriaged", 0), true);
    if (s == OD_OK && n->failed.status != OD_OK) {
        *e = n->failed;
        s = e->status;
    }
    if (s == OD_OK) s = od_night_metrics(n, e);
    if (s == OD_OK) s = od_night_report(&n->totals, "Merged nights", n->o.out, e);
    for (size_t i = 0; i < json_array_size(reasons); i++)
        od_night_say(n, "%s", json_string_value(json_array_get(reasons, i)));
    json_decref(broken);
    json_decref(reasons);
    return s;
}

static one_night *read_all(char **folder, size_t n) {
    one_night *x = calloc(n, sizeof *x);
    for (size_t i = 0; x && i < n; i++) {
        x[i].folder = folder[i];
        look(&x[i]);
    }
    if (x) name_nights(x, n);
    return x;
}

static void free_all(one_night *x, size_t n) {
    for (size_t i = 0; x && i < n; i++) {
        od_night_totals_free(&x[i].totals);
        json_decref(x[i].reasons);
    }
    free(x);
}

int od_night_merge(const od_night_options *o, char **folder, size_t n_night) {
    static od_night night;
    static const volatile int never = 0;
    static const char *const words[] = {"green", "FINDINGS", "", "not what was asked for", "RED: blind"};
    od_night *n = &night;
    od_error e = {0};
    int code = OD_NIGHT_ENVIRONMENT;
    n->o = *o;
    n->stop = &never;
    gethostname(n->host, sizeof n->host - 1);
    one_night *x = read_all(folder, n_night);
    enum od_status s =
        x ? check_folders(o->out, x, n_night, &e) : od_fail(&e, OD_NO_MEMORY, "no memory for %zu nights", n_night);
    if (s == OD_OK) s = begin(n, &e);
    if (s == OD_OK) s = merge(n, x, n_night, &code, &e);
    if (s != OD_OK) {
        fprintf(stderr, "nightly: %s\n", e.text);
        code = s == OD_BAD_INPUT ? OD_NIGHT_USAGE : OD_NIGHT_ENVIRONMENT;
    } else {
        od_night_say(n, "%zu nights merged: %s (exit %d)", n_night, words[code], code);
    }
    free_all(x, n_night);
    od_night_totals_free(&n->totals);
    if (n->log) fclose(n->log);
    return code;
}

/* One night: its report. Several: each one's part, one behind the other, in one file, by way of a merged journal. */
int od_night_report_command(const od_night_options *o, char **folder, size_t n) {
    od_error e = {0};
    int code = OD_NIGHT_GREEN;
    one_night *x = read_all(folder, n);
    enum od_status s = x ? od_make_folder(o->out, &e) : od_fail(&e, OD_NO_MEMORY, "no memory for %zu nights", n);
    for (size_t i = 0; i < n && s == OD_OK; i++) {
        char dir[OD_NIGHT_PATH];
        if (x[i].code != OD_NIGHT_GREEN && (code == OD_NIGHT_GREEN || x[i].code < code)) code = x[i].code;
        const char *why = x[i].there ? NULL : json_string_value(json_array_get(x[i].reasons, 0));
        printf("%s: %s%s%s\n", x[i].folder, x[i].state, why ? ": " : "", why ? why : "");
        if (!x[i].there) continue;
        s = n == 1 ? od_night_path(dir, sizeof dir, &e, "%s", o->out)
                   : od_night_path(dir, sizeof dir, &e, "%s/%s", o->out, x[i].name);
        if (s == OD_OK) s = od_make_folder(dir, &e);
        if (s == OD_OK) s = od_night_report(&x[i].totals, x[i].name, dir, &e);
    }
    free_all(x, n);
    if (s == OD_OK) return code;
    fprintf(stderr, "nightly: %s\n", e.text);
    return s == OD_BAD_INPUT ? OD_NIGHT_USAGE : OD_NIGHT_ENVIRONMENT;
}
