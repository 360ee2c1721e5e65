/* Fails when a contractual tensor leaves the contract at any step: its mean absolute error, or one single value. */
#include <math.h>
#include <string.h>

#include "oracles/oracle.h"
#include "oracles/tolerance.h"

static void judge(od_ruling *out, const od_evidence *ev) {
    if (ev->structure_differs) {
        enum od_tensor_class cls = ev->structure_cls;
        od_rule_finding(out, cls < OD_TENSORS ? od_tensor_class_name(cls) : "answer",
                        od_step_class_name(ev->structure_at.step), 0, 0, "%s", ev->structure);
        return;
    }
    const od_row *row = od_evidence_worst(ev, false);
    if (!row) {
        od_rule(out, OD_INCONCLUSIVE, "no contractual tensor was compared");
        return;
    }
    const od_comparison *w = &row->worst;
    bool mae_ok = od_within(w->mae, od_bounds.mae), max_ok = od_within(w->max_abs, od_bounds.max_abs);
    if (mae_ok && max_ok) {
        od_rule(out, OD_PASS, "%s", "");
        out->value = w->mae;
        out->bound = od_bounds.mae;
        return;
    }
    const char *step = od_step_class_name(row->at.step), *cls = od_tensor_class_name(row->cls);
    if (!mae_ok)
        od_rule_finding(out, cls, step, w->mae, od_bounds.mae,
                        "%s at op %u call %u session %u: MAE %.3g exceeds %.3g; worst at [%zu]: %.9g, reference %.9g",
                        row->name, row->at.op, row->at.call, row->at.session, w->mae, od_bounds.mae, w->worst,
                        w->fast_worst, w->ref_worst);
    else
        od_rule_finding(out, cls, step, w->max_abs, od_bounds.max_abs,
                        "%s at op %u call %u session %u: a difference of %.3g at [%zu] exceeds %.3g: %.9g, reference "
                        "%.9g",
                        row->name, row->at.op, row->at.call, row->at.session, w->max_abs, w->worst, od_bounds.max_abs,
                        w->fast_worst, w->ref_worst);
}

const od_oracle od_oracle_accuracy = {
    .name = "accuracy",
    .about = "MAE of a compared tensor at any step exceeds 1e-6, or a single difference 5e-5 (model space)",
    .in_fuzz = true,
    .required = true,
    .needs = 0,
    .judge = judge,
};
