/* Fails when a contractual tensor leaves the envelope, where that is tighter than the contract: --policy envelope. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "oracles/oracle.h"
#include "oracles/tolerance.h"

/* Share of its bounds that a comparison uses; infinite where it is no number. */
static double share_of(const od_measure *m, const od_envelope_bound *b) {
    if (isnan(m->mae) || isnan(m->max_abs)) return INFINITY;
    return fmax(m->mae / b->mae, m->max_abs / b->max_abs);
}

static void report(od_ruling *out, const od_measure *m, const od_envelope_bound *b) {
    const bool by_mae = !od_within(m->mae, b->mae);
    const od_envelope_key *key = by_mae ? b->mae_key : b->max_key;
    const bool contract = od_within(m->mae, od_bounds.mae) && od_within(m->max_abs, od_bounds.max_abs);
    const double value = by_mae ? m->mae : m->max_abs, bound = by_mae ? b->mae : b->max_abs;
    char healthy[80] = "";
    if (key)
        snprintf(healthy, sizeof healthy, " (healthy: p50 %.2g, p99.9 %.2g)", by_mae ? key->mae_p50 : key->max_p50,
                 by_mae ? key->mae_p999 : key->max_p999);
    od_rule_finding(out, od_tensor_class_name(m->cls), od_step_class_name(m->step), value, bound,
                    "%.60s at op %u call %u session %u: %s %.3g exceeds the envelope's %.3g%s; %s; worst at [%zu]: "
                    "%.9g, reference %.9g",
                    m->name, m->at.op, m->at.call, m->at.session, by_mae ? "MAE" : "a difference of", value, bound,
                    healthy, contract ? "the contract holds" : "so does the contract's", m->worst, m->fast_worst,
                    m->ref_worst);
}

static void judge(od_ruling *out, const od_evidence *ev) {
    const od_envelope *envelope = ev->setup->envelope;
    char outside[120];
    if (!envelope) {
        od_rule(out, OD_SKIPPED, "there is no envelope");
        return;
    }
    if (ev->measures_lost) {
        od_rule(out, OD_ERROR, "no memory to keep every comparison");
        return;
    }
    const od_envelope_domain domain = od_evidence_domain(ev);
    od_envelope_outside(outside, sizeof outside, envelope, &domain);
    if (outside[0]) {
        od_rule(out, OD_SKIPPED, "outside of the envelope: %s", outside);
        return;
    }
    const od_measure *worst = NULL;
    double most = -1;
    for (size_t i = 0; i < ev->n_measure; i++) {
        const od_measure *m = &ev->measure[i];
        const od_envelope_bound b = od_envelope_bound_of(envelope, m->cls, m->step, m->n);
        const double share = share_of(m, &b);
        if (share > most) {
            worst = m;
            most = share;
        }
    }
    if (!worst) {
        od_rule(out, OD_INCONCLUSIVE, "no contractual tensor was compared");
        return;
    }
    const od_envelope_bound b = od_envelope_bound_of(envelope, worst->cls, worst->step, worst->n);
    if (!od_within(worst->mae, b.mae) || !od_within(worst->max_abs, b.max_abs)) {
        report(out, worst, &b);
        return;
    }
    od_rule(out, OD_PASS, "%s", "");
    out->value = worst->mae;
    out->bound = b.mae;
}

const od_oracle od_oracle_envelope = {
    .name = "envelope",
    .about = "with --policy envelope: MAE or a single difference exceeds 99.9 % of healthy ones by a margin",
    .in_fuzz = false,
    .required = false,
    .doubt = "nothing was compared",
    .needs = 0,
    .judge = judge,
};
