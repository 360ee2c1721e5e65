/* The sums of a night: its journal's lines, folded. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/night.h"

const char *od_night_lane_name(unsigned lane) {
    static const char *const names[OD_LANES] = {"random", "forward", "session", "modes", "canary"};
    return lane < OD_LANES ? names[lane] : "?";
}

const char *od_night_end_name(unsigned end) {
    static const char *const names[OD_ENDS] = {
        "ok",    "finding",       "stopped",   "cut off",      "nothing compared", "crash", "hang",
        "stall", "out of memory", "sanitizer", "device fault", "cannot start",     "other"};
    return end < OD_ENDS ? names[end] : "?";
}

const char *od_night_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */

void od_night_count_init(od_night_count *c) {
    *c = (od_night_count){.worst_mae = -1, .worst_share = -1};
}

/* NaN is worse than any number. */
static void worse(double *sum, double more) {
    if (!isnan(*sum) && !(more <= *sum)) *sum = more;
}

/* The fields that are plain sums, by name. */
typedef struct field {
    const char *name;
    size_t at;
} field;
#define FIELD(f)                                                                                                       \
    { #f, offsetof(od_night_count, f) }
static const field fields[] = {FIELD(slices),   FIELD(inputs),  FIELD(cases),      FIELD(unusable), FIELD(compared),
                               FIELD(captures), FIELD(replays), FIELD(cache_hits), FIELD(fallbacks)};
enum { N_FIELD = sizeof fields / sizeof *fields };

static uint64_t *number(od_night_count *c, size_t i) {
    return (uint64_t *)(void *)((char *)c + fields[i].at);
}

void od_night_count_add(od_night_count *sum, const od_night_count *more) {
    od_night_count other = *more;
    for (size_t i = 0; i < N_FIELD; i++) *number(sum, i) += *number(&other, i);
    for (size_t i = 0; i < OD_OUTCOMES; i++) sum->outcome[i] += more->outcome[i];
    for (size_t i = 0; i < OD_ORACLES; i++) sum->ruled[i] += more->ruled[i];
    for (size_t i = 0; i < OD_ENDS; i++) sum->end[i] += more->end[i];
    sum->seconds += more->seconds;
    worse(&sum->worst_mae, more->worst_mae);
    worse(&sum->worst_share, more->worst_share);
}

void od_night_count_record(od_night_count *c, const od_record *r) {
    od_night_count_init(c);
    if (!r) return;
    c->inputs = r->finished;
    c->cases = r->cases;
    memcpy(c->outcome, r->outcome, sizeof c->outcome);
    c->unusable = r->unusable;
    c->compared = r->compared;
    memcpy(c->ruled, r->ruled, sizeof c->ruled);
    c->captures = r->captures;
    c->replays = r->replays;
    c->cache_hits = r->cache_hits;
    c->fallbacks = r->fallbacks;
    c->worst_mae = r->worst_mae;
    c->worst_share = r->worst_share;
}

static json_t *pack_worst(double worst) {
    return isfinite(worst) ? json_real(worst) : json_string("nan"); /* -1: none */
}

static double unpack_worst(const json_t *j) {
    return json_is_number(j) ? json_number_value(j) : j ? (double)NAN : -1;
}

json_t *od_night_count_pack(const od_night_count *c) {
    od_night_count copy = *c;
    json_t *j = json_object(), *outcome = json_object(), *ruled = json_object();
    for (size_t i = 0; i < N_FIELD; i++)
        if (strcmp(fields[i].name, "slices") != 0)
            json_object_set_new(j, fields[i].name, json_integer((json_int_t)*number(&copy, i)));
    for (int i = 0; i < OD_OUTCOMES; i++)
        json_object_set_new(outcome, od_outcome_name((enum od_outcome)i), json_integer((json_int_t)c->outcome[i]));
    for (unsigned i = 0; i < OD_ORACLES; i++)
        json_object_set_new(ruled, od_oracle_at(i)->name, json_integer((json_int_t)c->ruled[i]));
    json_object_set_new(j, "verdicts", outcome);
    json_object_set_new(j, "oracles", ruled);
    json_object_set_new(j, "worst_mae", pack_worst(c->worst_mae));
    json_object_set_new(j, "worst_share", pack_worst(c->worst_share));
    return j;
}

static uint64_t whole(const json_t *object, const char *key) {
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

void od_night_count_unpack(od_night_count *c, const json_t *j) {
    od_night_count_init(c);
    for (size_t i = 0; i < N_FIELD; i++) *number(c, i) = whole(j, fields[i].name);
    for (int i = 0; i < OD_OUTCOMES; i++)
        c->outcome[i] = whole(json_object_get(j, "verdicts"), od_outcome_name((enum od_outcome)i));
    for (unsigned i = 0; i < OD_ORACLES; i++) c->ruled[i] = whole(json_object_get(j, "oracles"), od_oracle_at(i)->name);
    c->worst_mae = unpack_worst(json_object_get(j, "worst_mae"));
    c->worst_share = unpack_worst(json_object_get(j, "worst_share"));
}

/* ---- totals ------------------------------------------------------------------------------------------------------ */

enum od_status od_night_totals_init(od_night_totals *t, od_error *e) {
    *t = (od_night_totals){.findings = json_array(),
                           .by_sign = json_object(),
                           .raw = json_object(),
                           .shrunk = json_object(),
                           .broken = json_array(),
                           .canaries = json_array(),
                           .slices = json_object(),
                           .corpus = json_array(),
                           .nights = json_array()};
    if (t->findings && t->by_sign && t->raw && t->shrunk && t->broken && t->canaries && t->slices && t->corpus &&
        t->nights)
        return OD_OK;
    od_night_totals_free(t);
    return od_fail(e, OD_NO_MEMORY, "no memory for a night's sums");
}

void od_night_totals_free(od_night_totals *t) {
    json_t *all[] = {t->plan,   t->where,    t->raw,    t->findings, t->by_sign, t->shrunk,
                     t->broken, t->canaries, t->slices, t->corpus,   t->nights,  t->end};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) json_decref(all[i]);
    free(t->cell);
    *t = (od_night_totals){0};
}

static od_night_cell *cell_of(od_night_totals *t, const char *worker, const char *device, const char *lane) {
    for (size_t i = 0; i < t->n_cell; i++)
        if (strcmp(t->cell[i].worker, worker) == 0 && strcmp(t->cell[i].lane, lane) == 0) return &t->cell[i];
    if (t->n_cell == t->cap_cell) {
        size_t cap = t->cap_cell ? t->cap_cell * 2 : 16;
        od_night_cell *more = realloc(t->cell, cap * sizeof *more);
        if (!more) return NULL;
        t->cell = more;
        t->cap_cell = cap;
    }
    od_night_cell *c = &t->cell[t->n_cell++];
    *c = (od_night_cell){0};
    snprintf(c->worker, sizeof c->worker, "%.63s", worker);
    snprintf(c->device, sizeof c->device, "%.63s", device);
    snprintf(c->lane, sizeof c->lane, "%.15s", lane);
    od_night_count_init(&c->count);
    return c;
}

static void name_worker(char *out, size_t size, const json_t *line, const char *night) {
    snprintf(out, size, "%.40s%s%.20s", night, night[0] ? "/" : "", od_night_text(line, "worker"));
}

static enum od_status fold_slice(od_night_totals *t, const json_t *line, const char *night, od_error *e) {
    char worker[OD_NIGHT_NAME], key[OD_NIGHT_NAME + 32];
    od_night_count one;
    name_worker(worker, sizeof worker, line, night);
    snprintf(key, sizeof key, "%s/%lld", worker, (long long)json_integer_value(json_object_get(line, "number")));
    if (json_object_get(t->slices, key)) return OD_OK; /* a line twice counts once */
    json_object_set_new(t->slices, key, json_true());
    od_night_cell *cell = cell_of(t, worker, od_night_text(line, "device"), od_night_text(line, "lane"));
    if (!cell) return od_fail(e, OD_NO_MEMORY, "no memory for a night's sums");
    od_night_count_unpack(&one, json_object_get(line, "count"));
    one.slices = 1;
    one.seconds = json_number_value(json_object_get(line, "seconds"));
    for (unsigned i = 0; i < OD_ENDS; i++)
        if (strcmp(od_night_end_name(i), od_night_text(line, "end")) == 0) one.end[i] = 1;
    od_night_count_add(&cell->count, &one);
    return OD_OK;
}

static void fold_finding(od_night_totals *t, json_t *line) {
    const char *signature = od_night_text(line, "signature");
    json_int_t met = json_integer_value(json_object_get(t->by_sign, signature)),
               n = json_integer_value(json_object_get(line, "n")); /* raw findings that the line speaks of */
    if (n < 1) n = 1;
    json_object_set_new(t->by_sign, signature, json_integer(met + n));
    if (od_night_text(line, "raw")[0]) json_object_set_new(t->raw, od_night_text(line, "raw"), json_true());
    if (strcmp(od_night_text(line, "status"), "duplicate") == 0 || met > 0)
        t->duplicates += (uint64_t)n;
    else
        json_array_append(t->findings, line);
}

/* The last line of a target takes the place of those before. */
static void fold_corpus(od_night_totals *t, json_t *line) {
    for (size_t i = 0; i < json_array_size(t->corpus); i++) {
        if (strcmp(od_night_text(json_array_get(t->corpus, i), "target"), od_night_text(line, "target")) != 0) continue;
        json_array_set(t->corpus, i, line);
        return;
    }
    json_array_append(t->corpus, line);
}

enum od_status od_night_fold(od_night_totals *t, const json_t *from, const char *night, od_error *e) {
    const char *event = od_night_text(from, "event");
    enum od_status s = OD_OK;
    json_t *line = json_deep_copy(from);
    if (!line) return od_fail(e, OD_NO_MEMORY, "no memory for a night's sums");
    if (night[0]) {
        char worker[OD_NIGHT_NAME];
        json_object_set_new(line, "night", json_string(night));
        name_worker(worker, sizeof worker, line, night);
        if (json_object_get(line, "worker")) json_object_set_new(line, "worker", json_string(worker));
    }
    double spent = json_number_value(json_object_get(line, "spent"));
    if (spent > t->spent) t->spent = spent;
    if (strcmp(event, "start") == 0) {
        if (!t->plan) t->plan = json_incref(json_object_get(line, "plan"));
        if (!t->where) t->where = json_incref(json_object_get(line, "environment"));
        t->starts++;
    } else if (strcmp(event, "slice") == 0) {
        s = fold_slice(t, from, night, e);
    } else if (strcmp(event, "finding") == 0) {
        fold_finding(t, line);
    } else if (strcmp(event, "shrunk") == 0) {
        json_object_set(t->shrunk, od_night_text(line, "finding"), line);
    } else if (strcmp(event, "lane") == 0) {
        json_array_append(t->broken, line);
    } else if (strcmp(event, "canary") == 0) {
        json_array_append(t->canaries, line);
    } else if (strcmp(event, "corpus") == 0) {
        fold_corpus(t, line);
    } else if (strcmp(event, "night") == 0) {
        json_array_append(t->nights, line);
    } else if (strcmp(event, "stopped") == 0) {
        t->stops++;
    } else if (strcmp(event, "end") == 0) {
        t->untriaged = whole(line, "untriaged");
        json_decref(t->end);
        t->end = json_incref(line);
    }
    json_decref(line);
    return s;
}

void od_night_sum(od_night_count *sum, const od_night_totals *t) {
    od_night_count_init(sum);
    for (size_t i = 0; i < t->n_cell; i++)
        if (strcmp(t->cell[i].lane, od_night_lane_name(OD_LANE_CANARY)) != 0)
            od_night_count_add(sum, &t->cell[i].count);
}

unsigned od_night_plan_workers(const json_t *plan) {
    return (unsigned)json_array_size(json_object_get(plan, "workers"));
}
