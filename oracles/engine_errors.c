/* Fails when an engine's device faults (a guard band was overwritten, a call failed), when its process crashes or hangs
 * (worker.h), or when the fast path refuses what the reference answers, or the other way round. "Cannot" is not
 * "wrong": that skips the case. */
#include "oracles/oracle.h"

static const char *const names[] = {"the reference",
                                    "the fast path",
                                    "the fast path after a reset",
                                    "the fast path with new sessions",
                                    "a fresh engine of the fast path",
                                    "the fast path in a fresh process",
                                    "the plain path",
                                    "the arbiter",
                                    "the reference, being closed",
                                    "the fast path, being closed"};
enum { ATTEMPTS = sizeof names / sizeof names[0] };

static const od_attempt *attempt(const od_evidence *ev, int i) {
    const od_attempt *const runs[] = {&ev->ref_run,
                                      &ev->fast_run,
                                      &ev->rerun[OD_RERUN_RESET],
                                      &ev->rerun[OD_RERUN_REOPEN],
                                      &ev->rerun[OD_RERUN_FRESH],
                                      &ev->rerun[OD_RERUN_PROCESS],
                                      &ev->plain_run,
                                      &ev->arbiter_run,
                                      &ev->ref_end,
                                      &ev->fast_end_run};
    return runs[i];
}

/* What a finding of such a status is about; NULL: the status is none. */
static const char *subject_of(enum od_status status) {
    switch (status) {
    case OD_DEVICE_FAULT: return "fault";
    case OD_CRASHED: return "crash";
    case OD_HUNG: return "hang";
    default: return NULL;
    }
}

/* What goes wrong while everything is being closed belongs to no call. */
static const char *step_of(const od_attempt *run) {
    return run->closing ? "-" : od_step_class_name(run->at.step);
}

static void judge(od_ruling *out, const od_evidence *ev) {
    for (int i = 0; i < ATTEMPTS; i++) {
        const od_attempt *run = attempt(ev, i);
        if (!run->ran || run->status == OD_OK) continue;
        const char *text = run->error.text;
        if (subject_of(run->status)) {
            od_rule_finding(out, subject_of(run->status), step_of(run), 0, 0, "%s: %s", names[i], text);
            return;
        }
        if (run->status != OD_BAD_INPUT) {
            od_rule(out, run->status == OD_UNSUPPORTED ? OD_SKIPPED : OD_ERROR, "%s: %s", names[i], text);
            return;
        }
        if (i == 0 && ev->fast_run.ran && ev->fast_run.status == OD_BAD_INPUT) {
            od_rule(out, OD_ERROR, "both engines refuse the case: %s", text);
            return;
        }
        if (i == 0 && ev->fast_run.status != OD_OK) continue;
        od_rule_finding(out, "refusal", step_of(run), 0, 0, "only %s refuses: %s", names[i], text);
        return;
    }
    od_rule(out, OD_PASS, "%s", "");
}

const od_oracle od_oracle_engine = {
    .name = "engine",
    .about =
        "a device faults, a guard band is overwritten, a worker crashes or hangs, or only one engine refuses the case",
    .in_fuzz = true,
    .required = true,
    .needs = 0,
    .judge = judge,
};
