/* Fails when an engine's device faults (a guard band was overwritten, a call failed), or when the fast path refuses
 * what the reference answers, or the other way round. "Cannot" is not "wrong": that skips the case. */
#include "oracles/oracle.h"

static const struct attempt_name {
    const char *what;
    bool fast;
} names[] = {{"the reference", false},
             {"the fast path", true},
             {"the fast path after a reset", true},
             {"the fast path with new sessions", true},
             {"a fresh engine of the fast path", true},
             {"the plain path", true},
             {"the arbiter", false}};

static const od_attempt *attempt(const od_evidence *ev, int i) {
    const od_attempt *const runs[] = {&ev->ref_run,
                                      &ev->fast_run,
                                      &ev->rerun[OD_RERUN_RESET],
                                      &ev->rerun[OD_RERUN_REOPEN],
                                      &ev->rerun[OD_RERUN_FRESH],
                                      &ev->plain_run,
                                      &ev->arbiter_run};
    return runs[i];
}

static void judge(od_ruling *out, const od_evidence *ev) {
    for (int i = 0; i < 7; i++) {
        const od_attempt *run = attempt(ev, i);
        if (!run->ran || run->status == OD_OK) continue;
        const char *text = run->error.text;
        if (run->status == OD_DEVICE_FAULT) {
            od_rule_finding(out, "fault", od_step_class_name(run->at.step), 0, 0, "%s: %s", names[i].what, text);
            return;
        }
        if (run->status != OD_BAD_INPUT) {
            od_rule(out, run->status == OD_UNSUPPORTED ? OD_SKIPPED : OD_ERROR, "%s: %s", names[i].what, text);
            return;
        }
        if (i == 0 && ev->fast_run.ran && ev->fast_run.status == OD_BAD_INPUT) {
            od_rule(out, OD_ERROR, "both engines refuse the case: %s", text);
            return;
        }
        if (i == 0 && ev->fast_run.status != OD_OK) continue;
        od_rule_finding(out, "refusal", od_step_class_name(run->at.step), 0, 0, "only %s refuses: %s", names[i].what,
                        text);
        return;
    }
    od_rule(out, OD_PASS, "%s", "");
}

const od_oracle od_oracle_engine = {
    .name = "engine",
    .about = "a device faults, a guard band is overwritten, or only one engine refuses the case",
    .in_fuzz = true,
    .required = true,
    .needs = 0,
    .judge = judge,
};
