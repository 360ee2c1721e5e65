/* Timed pairs: fast, plain, plain, fast, … on warm engines, so that drift of the machine hits both alike. */
#include <time.h>

#include "oracles/evidence.h"

/* One measurement lasts at least so long (a timer tick and a scheduler's hiccup must be small against it), and so many
 * pairs are taken even where the budget is spent. */
static const double shortest = 2e-3;
enum { MIN_PAIR = 3, MAX_PER_PAIR = 256 };

double od_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Fetching the outputs waits for a device that computes behind the caller's back. */
static enum od_status look(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    return OD_OK;
}

static enum od_status measure(double *seconds, od_player *p, size_t plays, od_error *e) {
    double start = od_seconds();
    for (size_t i = 0; i < plays; i++) {
        enum od_status s = od_player_reset(p, e);
        if (s == OD_OK) s = od_player_play(p, look, NULL, NULL, e);
        if (s != OD_OK) return s;
    }
    *seconds = (od_seconds() - start) / (double)plays;
    return OD_OK;
}

enum od_status od_evidence_time(od_evidence *ev, od_player *fast, od_player *plain, od_error *e) {
    double start = od_seconds(), once;
    enum od_status s = measure(&once, plain, 1, e);
    if (s == OD_OK) s = measure(&once, fast, 1, e);
    if (s != OD_OK) return s;
    ev->per_pair = once >= shortest                  ? 1
                   : once * MAX_PER_PAIR <= shortest ? MAX_PER_PAIR
                                                     : (size_t)(shortest / once) + 1;
    for (size_t i = 0; i < OD_MAX_PAIR; i++) {
        if (i >= MIN_PAIR && od_seconds() - start > ev->setup->speed_seconds) break;
        bool fast_first = i % 2 == 0;
        for (int k = 0; k < 2 && s == OD_OK; k++) {
            bool is_fast = (k == 0) == fast_first;
            s = measure(is_fast ? &ev->fast_seconds[i] : &ev->plain_seconds[i], is_fast ? fast : plain, ev->per_pair,
                        e);
        }
        if (s != OD_OK) return s;
        ev->n_pair = i + 1;
    }
    return OD_OK;
}
