/* Fails when any bit differs between the first play and a further one: same engine after a reset, same engine with new
 * sessions, while all that a call must not depend on is overwritten before it (stale scratch, arguments, staging),
 * fresh engine, fresh process (where the setup has one). */
#include "oracles/oracle.h"

static const char *const rerun_names[OD_RERUNS] = {"after a reset", "with new sessions over overwritten memory",
                                                   "on a fresh engine", "in a fresh process"};

static void judge(od_ruling *out, const od_evidence *ev) {
    for (int i = 0; i < OD_RERUNS; i++) {
        const od_difference *d = &ev->difference[i];
        if (!d->differs) continue;
        od_rule_finding(out, d->cls < OD_TENSORS ? od_tensor_class_name(d->cls) : "answer",
                        od_step_class_name(d->at.step), d->is, d->was,
                        "%.60s at op %u call %u session %u differs %s: [%zu] was %.9g, is %.9g", d->name, d->at.op,
                        d->at.call, d->at.session, rerun_names[i], d->index, d->was, d->is);
        return;
    }
    for (int i = 0; i < OD_RERUNS; i++)
        if (i == OD_RERUN_PROCESS && !ev->setup->process)
            continue;
        else if (ev->rerun[i].ran && ev->rerun[i].status == OD_OK && ev->difference[i].call == ev->fast.n_call)
            continue;
        else {
            od_rule(out, OD_INCONCLUSIVE, "no play %s came to its end", rerun_names[i]);
            return;
        }
    od_rule(out, OD_PASS, "%s", "");
}

const od_oracle od_oracle_determinism = {
    .name = "determinism",
    .about = "any bit differs between reruns: same engine, new sessions over overwritten memory, fresh engine, fresh "
             "process",
    .in_fuzz = true,
    .required = true,
    .needs = OD_NEED_RERUN | OD_NEED_FRESH,
    .judge = judge,
};
