/* What makes a fast path slow, counted and not timed. Fails when graphs are captured again and again: more of them than
 * the limit allows, or new ones for a schedule that was played before. A schedule that asks for re-captures may have
 * that many times as many. Shapes beyond the limit leave the fast path instead; vacuity tells of them. Fails as well
 * when a play of what was played before waits for the device, or copies to it, more than its calls need: once a layer,
 * or the weights. An engine that does not count these is not judged by them. */
#include "oracles/oracle.h"
#include "oracles/tolerance.h"

static uint64_t recaptures(const od_case *c) {
    uint64_t n = 0;
    for (unsigned i = 0; i < c->n_op; i++) n += c->op[i].kind == OD_OP_RECAPTURE;
    return n;
}

/* The windows that a play gives to the engine, in bytes: a value, a mask and an id a step, contexts in whole patches.
 */
static double window_bytes(const od_evidence *ev) {
    const od_case *c = ev->script->c;
    const size_t patch = ev->script->model->config.patch, rows = (size_t)c->batch * c->variates;
    size_t steps = 0;
    for (unsigned i = 0; i < c->n_op; i++) {
        const od_op *op = &c->op[i];
        if (op->kind == OD_OP_PREFILL) steps += (op->steps + patch - 1) / patch * patch;
        if (op->kind == OD_OP_DECODE && !op->own) steps += op->patches * patch;
    }
    return (double)(steps * rows * (sizeof(float) + sizeof(uint8_t) + sizeof(int32_t)));
}

/* The second play and its reset, by the readings around them, each of which may have waited once. */
static bool is_wasteful(od_ruling *out, const od_evidence *ev) {
    if (ev->n_live < 2) return false;
    const double calls = (double)ev->fast.n_call, waits = (double)(ev->waits[1] - ev->waits[0]),
                 copied = (double)(ev->copied[1] - ev->copied[0]), most_waits = od_bounds.waits_call * calls + 1,
                 most_copied = od_bounds.copied_call * calls + od_bounds.copied_windows * window_bytes(ev);
    if (!od_within(waits, most_waits)) {
        od_rule_finding(
            out, "waits", "-", waits, most_waits,
            "%.0f calls waited %.0f times for the device, at most %.0f may be: is it waited for once a layer?", calls,
            waits, most_waits);
        return true;
    }
    if (od_within(copied, most_copied)) return false;
    od_rule_finding(out, "copies", "-", copied, most_copied,
                    "%.0f calls copied %.0f bytes to the device, what they are given needs at most %.0f: is it the "
                    "weights?",
                    calls, copied, most_copied);
    return true;
}

static void judge(od_ruling *out, const od_evidence *ev) {
    const od_case *c = ev->script->c;
    if (is_wasteful(out, ev)) return;
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
    .about = "more graphs are captured than the limit allows, or again for shapes seen before; or calls wait for the "
             "device, or copy to it, more than they need",
    .in_fuzz = true,
    .required = true,
    .needs = OD_NEED_RERUN,
    .judge = judge,
};
