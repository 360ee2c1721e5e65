/* Counts of a run (judge.h). */
#include <math.h>
#include <stdio.h>

#include "oracles/judge.h"

void od_tally_init(od_tally *t) {
    *t = (od_tally){.worst_mae = -1, .worst_share = -1};
}

static void note_worst(od_tally *t, const od_verdict *v, const char *name) {
    const od_row *mae = od_evidence_worst(v->evidence, true), *share = od_evidence_worst(v->evidence, false);
    if (mae && !isnan(t->worst_mae) && !(mae->most_mae <= t->worst_mae)) {
        t->worst_mae = mae->most_mae;
        t->worst_mae_cls = mae->cls;
        t->worst_mae_step = mae->step;
        snprintf(t->worst_mae_case, sizeof t->worst_mae_case, "%s", name);
    }
    if (share && share->share > t->worst_share) {
        t->worst_share = share->share;
        t->worst_share_cls = share->cls;
        t->worst_share_step = share->step;
        snprintf(t->worst_share_case, sizeof t->worst_share_case, "%s", name);
    }
}

/* Shifts are of cases that passed: a finding is found already, and a known one must not be found again. */
static void note_envelope(od_tally *t, const od_verdict *v) {
    unsigned i = 0;
    while (od_oracle_at(i) != &od_oracle_envelope) i++;
    if (!t->envelope || !(v->asked >> i & 1)) return;
    const enum od_outcome o = v->ruling[i].outcome;
    t->outside += o == OD_SKIPPED;
    t->enveloped += o == OD_PASS || o == OD_FINDING || o == OD_KNOWN;
    if (o == OD_PASS && v->outcome == OD_PASS) od_shifts_add(&t->shifts, v->evidence);
}

void od_tally_add(od_tally *t, const od_verdict *v, const char *name) {
    t->cases++;
    t->outcome[v->outcome]++;
    t->flaky += v->recheck.judged > 0 && od_recheck_is_flaky(&v->recheck);
    t->bad_input += v->bad_input;
    od_spent_add(&t->spent, &v->spent);
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        if (!(v->asked >> i & 1)) continue;
        enum od_outcome o = v->ruling[i].outcome;
        t->ruled[i] += o == OD_PASS || o == OD_FINDING || o == OD_KNOWN;
        t->open[i] += o == OD_INCONCLUSIVE;
    }
    if (!v->evidence) return;
    t->compared += v->evidence->n_compared;
    t->fell_back += v->evidence->fast_stats.fallbacks > 0;
    t->fallbacks += v->evidence->fast_stats.fallbacks;
    t->probed += v->evidence->probe.ran;
    t->n_weight += v->evidence->probe.n;
    t->n_idle += v->evidence->probe.n_idle;
    note_worst(t, v, name);
    note_envelope(t, v);
    for (int i = 0; i < OD_TENSORS; i++)
        if (od_nearness_merge(&t->near[i], &v->evidence->arbitration.near[i]))
            snprintf(t->near_case[i], sizeof t->near_case[i], "%s", name);
}

bool od_tally_is_near(const od_tally *t) {
    bool near = true;
    for (int i = 0; i < OD_TENSORS; i++) near = near && od_nearness_holds(&t->near[i]);
    return near;
}

bool od_tally_is_steady(const od_tally *t) {
    bool steady = true;
    for (int i = 0; t->envelope && i < OD_TENSORS; i++)
        for (int k = 0; k < OD_STEPS; k++)
            steady = steady && od_shift_judge(&t->shifts.of[i][k], &t->envelope->shift[i][k]).state != OD_SHIFT_ALARM;
    return steady;
}

int od_tally_exit(const od_tally *t, unsigned required, unsigned named) {
    if (t->outcome[OD_FINDING] > 0 || !od_tally_is_near(t) || !od_tally_is_steady(t) || t->expired > 0) return 1;
    if (t->bad_input > 0) return 2;
    if (t->outcome[OD_ERROR] > 0) return 3;
    if (t->compared == 0 || t->outcome[OD_INCONCLUSIVE] > 0) return 4;
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        if (((required | named) >> i & 1) && t->open[i] > 0) return 4;
        if ((named >> i & 1) && t->ruled[i] == 0) return 4;
    }
    return 0;
}
