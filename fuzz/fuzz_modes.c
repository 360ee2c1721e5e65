/* Proves: switches that must not change a bit change none: whatever libFuzzer makes of the corpus, the fast path played
 * under another setting of them answers bit for bit the same.
 *
 * The settings are those of the relations below (docs/consistency.md), so that a finding is a case like any other. The
 * other oracles of a fuzzing run that need further plays are left out: those are fuzz_forward's and fuzz_session's. */
#include "fuzz/target_case.h"

/* Decode steps without a cache would leave two of the settings nothing to compare. */
static void narrow(od_case *c, uint64_t seed) {
    for (unsigned i = 0; i < c->n_op && c->options.cache == OD_CACHE_OFF; i++)
        if (c->op[i].kind == OD_OP_DECODE) c->options.cache = seed & 1 ? OD_CACHE_DYNAMIC : OD_CACHE_FIXED;
}

static void set_up(od_judge *j) {
    static const char *const names[] = {"graph", "cache", "switches"};
    j->setup.oracles =
        od_oracle_bit(&od_oracle_engine) | od_oracle_bit(&od_oracle_accuracy) | od_oracle_bit(&od_oracle_finite);
    od_target_relate(j, names, sizeof names / sizeof *names);
}

const od_target od_this_target = {.name = "fuzz_modes", .narrow = narrow, .set_up = set_up};
