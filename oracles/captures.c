/* Fails when graphs are captured again and again: more of them than the limit allows, or new ones for a schedule that
 * was played before. A schedule that asks for re-captures may have that many times as many. Shapes beyond the limit
 * leave the fast path instead; vacuity tells of them. */
#include "oracles/oracle.h"

static uint64_t recaptures(const od_case *c) {
    uint64_t n = 0;
    for (unsigned i = 0; i < c->n_op; i++) n += c->op[i].kind == OD_OP_RECAPTURE;
    return n;
}

static void judge(od_ruling *out, const od_evidence *ev) {
    const od_case *c = ev->script->c;
    if (!c->options.graph || !ev->setup->fast->recapture) {
        od_rule(out, OD_SKIPPED, c->options.graph ? "the engine has no graphs" : "the case asks for plain launches");
        return;
    }
    const uint64_t first = ev->fast_stats.captures, all = ev->fast_end.captures, asked = recaptures(c);
    const uint64_t plays = ev->n_played > 0 ? ev->n_played : 1; /* each was followed by a reset that was noted */
    const uint64_t limit = c->options.captures;
    const uint64_t most = limit * (1 + asked * plays), again = asked ? first * (plays - 1) : 0;
    if (all > most)
        od_rule_finding(out, "limit", "-", (double)all, (double)most,
                        "%llu graphs were captured, %llu may be: a limit of %llu, %llu re-captures asked for",
                        (unsigned long long)all, (unsigned long long)most, (unsigned long long)limit,
                        (unsigned long long)(asked * plays));
    else if (all - first > again)
        od_rule_finding(out, "again", "-", (double)(all - first), (double)again,
                        "%llu graphs were captured for a schedule that was played before",
                        (unsigned long long)(all - first));
    else if (ev->n_live < 2)
        od_rule(out, OD_INCONCLUSIVE, "the schedule was not played again");
    else
        od_rule(out, OD_PASS, "%s", "");
}

const od_oracle od_oracle_captures = {
    .name = "captures",
    .about = "more graphs are captured than the limit allows, or again for shapes seen before",
    .in_fuzz = true,
    .required = true,
    .needs = OD_NEED_RERUN,
    .judge = judge,
};
