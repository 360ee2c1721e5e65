/* Proves: whatever context libFuzzer makes of the corpus, the fast path answers a forward pass over it as the reference
 * does, bit for bit alike twice, in bounded memory, really on the fast path, and as it does when played another way.
 *
 * Contexts alone, of one or several sessions: decode steps are fuzz_session's, and left out here. Relations: those that
 * a context can be in, one a case. */
#include "fuzz/target_case.h"

static void narrow(od_case *c, uint64_t seed) {
    od_case_keep_prefills(c);
}

static void set_up(od_judge *j) {
    static const char *const names[] = {"graph",    "aba",    "batch",    "groups", "sessions",
                                        "switches", "chunks", "variates", "later"};
    j->setup.oracles = od_oracles_fuzz();
    od_target_relate(j, names, sizeof names / sizeof *names);
}

const od_target od_this_target = {.name = "fuzz_forward", .narrow = narrow, .set_up = set_up, .in_turn = true};
