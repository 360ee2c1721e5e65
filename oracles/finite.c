/* Fails when a NaN or an infinity stands in one engine and not in the other (also where the contract does not reach),
 * or when one engine replaced forecast values by zero and the other did not. */
#include "oracles/oracle.h"

static void judge(od_ruling *out, const od_evidence *ev) {
    if (ev->mismatch) {
        const od_row *row = &ev->mismatch_row;
        const od_comparison *w = &row->worst;
        od_rule_finding(out, od_tensor_class_name(row->cls), od_step_class_name(row->step), (double)w->mismatch, 0,
                        "%s at op %u call %u session %u: %zu NaN or Inf in one engine only, the first at [%zu] (NaN: "
                        "%zu reference, %zu fast; Inf: %zu, %zu)",
                        row->name, row->at.op, row->at.call, row->at.session, w->mismatch, w->first_mismatch,
                        w->ref_nan, w->fast_nan, w->ref_inf, w->fast_inf);
        return;
    }
    uint64_t ref = ev->ref_stats.replaced, fast = ev->fast_stats.replaced;
    if (ref != fast) {
        od_rule_finding(out, "mean", "-", (double)fast, (double)ref,
                        "forecast values replaced by zero: %llu in the reference, %llu in the fast path",
                        (unsigned long long)ref, (unsigned long long)fast);
        return;
    }
    od_rule(out, OD_PASS, "%s", "");
    if (ref > 0) od_rule(out, OD_PASS, "both replaced %llu forecast values by zero", (unsigned long long)ref);
}

const od_oracle od_oracle_finite = {
    .name = "finite",
    .about = "NaN or Inf in one engine and not in the other, or values replaced by zero in one only",
    .in_fuzz = true,
    .required = true,
    .needs = 0,
    .judge = judge,
};
