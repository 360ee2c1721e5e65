/* Proves: whatever a session has been through (contexts, long runs of decode steps, resets to another shape, new
 * captures, other sessions' calls in between), the fast path answers as the reference does, and as it would have
 * without all that.
 *
 * A schedule that decodes nothing, or a single step alone, gets more to do. Relations: those that speak of what a
 * session may not depend on. */
#include "fuzz/target_case.h"

static void narrow(od_case *c, uint64_t seed) {
    od_case_make_stateful(c, seed);
}

static void set_up(od_judge *j) {
    static const char *const names[] = {"graph", "cache", "aba", "sessions"};
    j->setup.oracles = od_oracles_fuzz();
    od_target_relate(j, names, sizeof names / sizeof *names);
}

const od_target od_this_target = {.name = "fuzz_session", .narrow = narrow, .set_up = set_up};
