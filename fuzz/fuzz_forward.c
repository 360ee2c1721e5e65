/* Proves: whatever context libFuzzer makes of the corpus, the fast path answers a forward pass over it as the reference
 * does, bit for bit alike twice, in bounded memory, and really on the fast path.
 *
 * Contexts alone, of one or several sessions: decode steps are fuzz_session's, and left out here. */
#include "fuzz/target_case.h"

static void narrow(od_case *c, uint64_t seed) {
    od_case_keep_prefills(c);
}

static void set_up(od_judge *j) {
    j->setup.oracles = od_oracles_fuzz();
}

const od_target od_this_target = {"fuzz_forward", narrow, set_up};
