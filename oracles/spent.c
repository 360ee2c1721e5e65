#include "oracles/spent.h"

#include <time.h>

double od_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void od_spent_add(od_spent *sum, const od_spent *more) {
    sum->engines += more->engines;
    sum->arbiter += more->arbiter;
    sum->generation += more->generation;
    sum->judging += more->judging;
}

double od_spent_share(const od_spent *s) {
    return s->engines > 0 ? s->judging / s->engines : 0;
}
