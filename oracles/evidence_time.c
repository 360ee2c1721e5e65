/* Timed pairs: plays of fast and plain in turn on warm engines, so that drift of the machine hits both alike. */
#include "oracles/evidence.h"
#include "oracles/tolerance.h"

/* A measurement is the median of several plays, so that a scheduler's hiccup in one of them does not count; it lasts
 * about so long, and at least MIN_PLAYS are taken where they are short against the budget. MIN_PAIR pairs are taken
 * even where the budget is spent, and PATIENCE times the budget is allowed where they would make a finding. */
static const double about = 5e-3;
enum { MIN_PAIR = 3, MIN_PLAYS = 5, MAX_PLAYS = 128, PATIENCE = 20 };

/* Fetching the outputs waits for a device that computes behind the caller's back. */
static enum od_status look(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    return OD_OK;
}

static enum od_status one_play(double *seconds, od_player *p, od_call_at *at, od_error *e) {
    double start = od_seconds();
    enum od_status s = od_player_reset(p, e);
    if (s == OD_OK) s = od_player_play(p, look, NULL, at, e);
    *seconds = od_seconds() - start;
    return s;
}

static double median(double *x, size_t n) {
    for (size_t i = 1; i < n; i++) {
        double v = x[i];
        size_t k = i;
        for (; k > 0 && x[k - 1] > v; k--) x[k] = x[k - 1];
        x[k] = v;
    }
    return (x[(n - 1) / 2] + x[n / 2]) / 2;
}

/* One pair: plays in turn, the first by fast or plain. */
static enum od_status measure(double *fast_seconds, double *plain_seconds, od_player *fast, od_player *plain,
                              size_t plays, bool fast_first, od_call_at *at, od_error *e) {
    double f[MAX_PLAYS], p[MAX_PLAYS];
    enum od_status s = OD_OK;
    for (size_t i = 0; s == OD_OK && i < plays; i++) {
        if (!fast_first) s = one_play(&p[i], plain, at, e);
        if (s == OD_OK) s = one_play(&f[i], fast, at, e);
        if (s == OD_OK && fast_first) s = one_play(&p[i], plain, at, e);
    }
    if (s != OD_OK) return s;
    *fast_seconds = median(f, plays);
    *plain_seconds = median(p, plays);
    return OD_OK;
}

static size_t plays_of(double once, double budget) {
    if (once * 2 * MIN_PLAYS * MIN_PAIR > budget) return 1;
    double plays = about / once;
    return plays < MIN_PLAYS ? MIN_PLAYS : plays > MAX_PLAYS ? MAX_PLAYS : (size_t)plays;
}

/* Would the pairs so far be a finding? Then more are taken: a finding is looked at again before it is reported. */
static bool looks_slow(const od_evidence *ev) {
    for (size_t i = 0; i < ev->n_pair; i++)
        if (od_within(ev->fast_seconds[i] / ev->plain_seconds[i], od_bounds.speed_ratio)) return false;
    return true;
}

enum od_status od_evidence_time(od_evidence *ev, od_player *fast, od_player *plain, od_error *e) {
    double start = od_seconds(), once, budget = ev->setup->speed_seconds;
    od_call_at *at = &ev->plain_run.at;               /* where it fails, if it does */
    enum od_status s = one_play(&once, plain, at, e); /* warms it up */
    if (s == OD_OK) s = one_play(&once, fast, at, e);
    if (s != OD_OK) return s;
    ev->per_pair = plays_of(once, budget);
    for (size_t i = 0; i < OD_MAX_PAIR; i++) {
        const double spent = od_seconds() - start;
        if (i >= MIN_PAIR && spent > (looks_slow(ev) ? PATIENCE * budget : budget)) break;
        s = measure(&ev->fast_seconds[i], &ev->plain_seconds[i], fast, plain, ev->per_pair, i % 2 == 0, at, e);
        if (s != OD_OK) return s;
        ev->n_pair = i + 1;
    }
    return OD_OK;
}
