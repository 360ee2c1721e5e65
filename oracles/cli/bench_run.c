/* bench's measurements: fresh engines' first calls, warm-up, then pairs of turns. A turn is one side's reset, prefill
 * and decode steps, each call timed by itself, and where asked a rollout timed as one. */
#include "oracles/cli/bench.h"

#include <stdlib.h>

#include "oracles/evidence.h"

/* Warm-up goes on until each side had so many turns and all of them took so long: clocks need time to rise. */
enum { WARM_TURNS = 3 };
static const double warm_at_least = 0.3;

size_t od_bench_rollout_decodes(size_t raw, size_t patch) {
    return raw ? (raw - 1) / patch : 0;
}

static size_t padded(size_t steps, size_t patch) {
    return (steps + patch - 1) / patch * patch;
}

static od_window window_of(const od_bench *b, size_t n_step) {
    const od_series *s = &b->series;
    return (od_window){.n_step = n_step, .stride = s->n_step, .value = s->value, .mask = s->mask, .id = s->id};
}

static enum od_status timed_prefill(double *seconds, const od_bench *b, od_bench_side *side, od_error *e) {
    const od_window w = window_of(b, b->context);
    enum od_status s = side->api->reset(side->session, e);
    double start = od_seconds();
    if (s == OD_OK) s = side->api->prefill(side->session, &w, e);
    *seconds = od_seconds() - start;
    return s;
}

static enum od_status timed_decode(double *seconds, od_bench_side *side, od_error *e) {
    double start = od_seconds();
    enum od_status s = side->api->decode(side->session, NULL, e);
    *seconds = od_seconds() - start;
    return s;
}

static enum od_status timed_rollout(double *seconds, const od_bench *b, od_bench_side *side, od_error *e) {
    const size_t n = od_bench_rollout_decodes(b->rollout, b->model->config.patch);
    const od_window w = window_of(b, b->context);
    enum od_status s = side->api->reset(side->session, e);
    double start = od_seconds();
    if (s == OD_OK) s = side->api->prefill(side->session, &w, e);
    for (size_t i = 0; s == OD_OK && i < n; i++) s = side->api->decode(side->session, NULL, e);
    *seconds = od_seconds() - start;
    return s;
}

/* One turn; pair < n_pair: its timings are kept there. */
static enum od_status turn(const od_bench *b, od_bench_side *side, size_t pair, od_error *e) {
    double unused, *at[OD_BENCH_WORKS];
    const bool keep = pair < b->n_pair;
    for (size_t w = 0; w < OD_BENCH_WORKS; w++)
        at[w] = keep && b->per_pair[w] ? side->seconds[w] + pair * b->per_pair[w] : &unused;
    enum od_status s = timed_prefill(at[OD_BENCH_PREFILL], b, side, e);
    for (size_t i = 0; s == OD_OK && i < b->steps; i++) s = timed_decode(at[OD_BENCH_DECODE] + (keep ? i : 0), side, e);
    if (s == OD_OK && b->rollout) s = timed_rollout(at[OD_BENCH_ROLLOUT], b, side, e);
    return s == OD_OK ? s : od_error_prefix(e, "%s (%s)", side->name, side->api->name);
}

/* A shorter context, so that buckets of shapes that the engine captures for are left: its first prefill against its
 * second. Tried from half the context down to one patch, until one made the engine capture. */
static enum od_status further_bucket(const od_bench *b, od_bench_side *side, od_error *e) {
    const od_engine_api *api = side->api;
    const size_t patch = b->model->config.patch;
    od_bench_first *f = &side->first;
    for (size_t n = b->context / 2; n > 0 && !f->further; n /= 4) {
        od_stats before = {0}, after = {0};
        od_session *session = NULL;
        const od_window w = window_of(b, n);
        api->stats(side->engine, &before);
        enum od_status s = api->session_open(&session, side->engine, b->batch, b->variates, padded(n, patch), e);
        double start = od_seconds();
        if (s == OD_OK) s = api->prefill(session, &w, e);
        f->further_first = od_seconds() - start;
        api->stats(side->engine, &after);
        if (s == OD_OK) s = api->reset(session, e);
        start = od_seconds();
        if (s == OD_OK) s = api->prefill(session, &w, e);
        f->further_again = od_seconds() - start;
        if (session) api->session_close(session);
        if (s != OD_OK) return s;
        f->further = after.captures > before.captures;
        f->further_context = n;
    }
    return OD_OK;
}

/* Creates the side's engine and times its first calls. */
static enum od_status first_calls(const od_bench *b, od_bench_side *side, od_error *e) {
    const size_t patch = b->model->config.patch, decodes = od_bench_rollout_decodes(b->rollout, patch);
    const size_t most = b->steps > decodes ? b->steps : decodes;
    od_bench_first *f = &side->first;
    double start = od_seconds();
    enum od_status s = side->api->create(&side->engine, b->model, &side->options, e);
    f->create = od_seconds() - start;
    start = od_seconds();
    if (s == OD_OK)
        s = side->api->session_open(&side->session, side->engine, b->batch, b->variates,
                                    padded(b->context, patch) + (most + 1) * patch, e);
    f->open = od_seconds() - start;
    if (s == OD_OK) s = timed_prefill(&f->prefill, b, side, e);
    if (s == OD_OK) s = timed_decode(&f->decode, side, e);
    if (s == OD_OK) s = further_bucket(b, side, e);
    return s == OD_OK ? s : od_error_prefix(e, "%s (%s)", side->name, side->api->name);
}

static enum od_status warm_up(od_bench *b, od_error *e) {
    double start = od_seconds();
    for (size_t k = 0; k < WARM_TURNS || od_seconds() - start < warm_at_least; k++)
        for (size_t i = 0; i < b->n_side; i++) {
            od_bench_side *side = &b->side[i];
            double begin = od_seconds();
            enum od_status s = turn(b, side, SIZE_MAX, e);
            if (s != OD_OK) return s;
            double took = od_seconds() - begin;
            side->warm_turns++;
            side->warm_seconds += took;
            if (took > side->warm_slowest) side->warm_slowest = took;
        }
    return OD_OK;
}

static enum od_status reserve(od_bench *b, od_error *e) {
    for (size_t i = 0; i < b->n_side; i++)
        for (size_t w = 0; w < OD_BENCH_WORKS; w++) {
            if (b->per_pair[w] == 0) continue;
            b->side[i].seconds[w] = calloc(b->n_pair, b->per_pair[w] * sizeof(double));
            if (!b->side[i].seconds[w])
                return od_fail(e, OD_NO_MEMORY, "no memory for %zu timings", b->n_pair * b->per_pair[w]);
        }
    return OD_OK;
}

static enum od_status measure_pairs(od_bench *b, od_error *e) {
    enum od_status s = OD_OK;
    for (size_t p = 0; s == OD_OK && p < b->n_pair; p++) {
        const size_t first = b->n_side == 2 && !od_pair_first(p);
        for (size_t i = 0; s == OD_OK && i < b->n_side; i++) s = turn(b, &b->side[i ^ first], p, e);
    }
    return s;
}

enum od_status od_bench_measure(od_bench *b, od_error *e) {
    b->per_pair[OD_BENCH_PREFILL] = 1;
    b->per_pair[OD_BENCH_DECODE] = b->steps;
    b->per_pair[OD_BENCH_ROLLOUT] = b->rollout ? 1 : 0;
    enum od_status s = reserve(b, e);
    od_card_read(&b->before);
    for (size_t i = 0; s == OD_OK && i < b->n_side; i++) s = first_calls(b, &b->side[i], e);
    if (s == OD_OK) s = warm_up(b, e);
    od_card_watch *watch = b->before.read ? od_card_watch_start() : NULL;
    if (s == OD_OK) s = measure_pairs(b, e);
    if (s == OD_OK) od_card_read(&b->after);
    od_card_watch_stop(&b->load, watch);
    for (size_t i = 0; s == OD_OK && i < b->n_side; i++) b->side[i].api->stats(b->side[i].engine, &b->side[i].stats);
    return s;
}

void od_bench_close(od_bench *b) {
    for (size_t i = 0; i < b->n_side; i++) {
        od_bench_side *side = &b->side[i];
        if (side->session) side->api->session_close(side->session);
        if (side->engine) side->api->destroy(side->engine);
        for (size_t w = 0; w < OD_BENCH_WORKS; w++) free(side->seconds[w]);
    }
    od_series_free(&b->series);
    od_model_destroy(b->model);
}
