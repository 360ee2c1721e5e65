/* Is a night green? Not if it found something, and not if it could not have. */
#include <math.h>
#include <string.h>

#include "fuzz/night.h"
#include "oracles/oracle.h"

const char *od_night_least_name(unsigned least) {
    static const char *const names[OD_LEASTS] = {"inputs",  "cases",         "compared",   "replays",
                                                 "oracles", "inputs-worker", "inputs-lane"};
    return least < OD_LEASTS ? names[least] : "?";
}

/* A minimum tells a night that looked from one that did not; it is no figure of speed. The slowest healthy lane,
 * session under ASan and UBSan, plays 1.4 inputs a second on a core that five other processes share; on a GPU cases of
 * all lanes come at some tens a second. Less than a tenth of that, over the whole budget. Half of the inputs are usable
 * cases at least; each compares a tensor at least; an eighth as many replays as inputs, where healthy nights have
 * several an input. Seven oracles belong to a fuzzing run, of which captures and memory may have nothing to say; the
 * modes lane alone asks engine, accuracy and finite of every case. */
uint64_t od_night_least_default(unsigned least, double seconds, unsigned workers, const char *fast, unsigned lanes) {
    double rate = strcmp(fast, "gpu") == 0 ? 1 : 0.1, inputs = floor(rate * seconds * workers);
    if (inputs < 4) inputs = 4;
    switch (least) {
    case OD_LEAST_INPUTS: return (uint64_t)inputs;
    case OD_LEAST_CASES: return (uint64_t)(inputs / 2);
    case OD_LEAST_COMPARED: return (uint64_t)(inputs / 2);
    case OD_LEAST_REPLAYS: return (uint64_t)(1 + inputs / 8);
    case OD_LEAST_ORACLES: return lanes == 1u << OD_LANE_MODES ? 3 : 5;
    case OD_LEAST_WORKER:
    case OD_LEAST_LANE: return 1;
    default: return 0;
    }
}

static uint64_t of_cells(const od_night_totals *t, const char *worker, const char *lane) {
    uint64_t inputs = 0;
    for (size_t i = 0; i < t->n_cell; i++) {
        const od_night_cell *c = &t->cell[i];
        if (strcmp(c->lane, od_night_lane_name(OD_LANE_CANARY)) == 0) continue;
        if ((worker && strcmp(c->worker, worker) != 0) || (lane && strcmp(c->lane, lane) != 0)) continue;
        inputs += c->count.inputs;
    }
    return inputs;
}

/* The poorest worker, or lane, of the plan. */
static uint64_t poorest(const od_night_totals *t, bool workers) {
    const json_t *list = json_object_get(t->plan, workers ? "workers" : "lanes");
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        uint64_t n =
            workers ? of_cells(t, od_night_text(one, "worker"), NULL) : of_cells(t, NULL, json_string_value(one));
        if (n < least) least = n;
    }
    return least == UINT64_MAX ? 0 : least;
}

void od_night_least_value(uint64_t *value, uint64_t *least, unsigned number, const od_night_totals *t) {
    od_night_count sum;
    od_night_sum(&sum, t);
    uint64_t oracles = 0;
    for (unsigned i = 0; i < OD_ORACLES; i++) oracles += sum.ruled[i] > 0;
    const uint64_t values[OD_LEASTS] = {sum.inputs, sum.cases, sum.compared, sum.replays, oracles, 0, 0};
    *value =
        number == OD_LEAST_WORKER || number == OD_LEAST_LANE ? poorest(t, number == OD_LEAST_WORKER) : values[number];
    json_int_t asked =
        json_integer_value(json_object_get(json_object_get(t->plan, "at_least"), od_night_least_name(number)));
    *least = asked > 0 ? (uint64_t)asked : 0;
}

static void add(json_t *reasons, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(json_t *reasons, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_array_append_new(reasons, json_string(text));
}

static size_t findings(const od_night_totals *t, bool errors) {
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(t->findings); i++) {
        const char *status = od_night_text(json_array_get(t->findings, i), "status");
        n += errors ? strcmp(status, "error") == 0 : strcmp(status, "error") != 0 && strcmp(status, "known") != 0;
    }
    return n;
}

static void blind_reasons(json_t *reasons, const od_night_totals *t) {
    unsigned asked, found;
    const char *canary = od_night_text(t->plan, "canary");
    if (!canary[0] || strcmp(canary, "off") == 0) {
        add(reasons, "there was no canary");
    } else if (!od_night_canary_found(t, NULL, &asked, &found)) {
        add(reasons, "the canary %s was found %u of %u times", canary, found, asked);
    } else {
        const json_t *workers = json_object_get(t->plan, "workers");
        for (size_t i = 0; i < json_array_size(workers); i++) {
            const char *worker = od_night_text(json_array_get(workers, i), "worker");
            if (!od_night_canary_found(t, worker, &asked, &found)) add(reasons, "worker %s had no canary", worker);
        }
    }
    for (unsigned i = 0; i < OD_LEASTS; i++) {
        uint64_t value, least;
        od_night_least_value(&value, &least, i, t);
        if (value < least)
            add(reasons, "%s: %llu of at least %llu", od_night_least_name(i), (unsigned long long)value,
                (unsigned long long)least);
    }
    if (t->untriaged) add(reasons, "%llu raw findings were not judged again", (unsigned long long)t->untriaged);
}

int od_night_verdict(json_t **out, const od_night_totals *t) {
    json_t *reasons = json_array();
    size_t found = findings(t, false), errors = findings(t, true), broken = json_array_size(t->broken);
    int code = OD_NIGHT_GREEN;
    *out = reasons;
    if (found) add(reasons, "%zu finding%s", found, found == 1 ? "" : "s");
    if (broken) {
        const json_t *first = json_array_get(t->broken, 0);
        add(reasons, "lane %s could not run (worker %s%s)", od_night_text(first, "lane"),
            od_night_text(first, "worker"), broken > 1 ? ", and others" : "");
    }
    if (errors) add(reasons, "%zu case%s ended in ERROR", errors, errors == 1 ? "" : "s");
    size_t before = json_array_size(reasons);
    blind_reasons(reasons, t);
    if (json_array_size(reasons) > before) code = OD_NIGHT_BLIND;
    if (broken || errors) code = OD_NIGHT_ENVIRONMENT;
    return found ? OD_NIGHT_FINDING : code;
}
