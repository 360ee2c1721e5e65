/* Fails when a case played another way (relations.h) does not answer as the relation says: bit by bit on the fast path,
 * or within the contract. The reference has no part in it. */
#include <stdio.h>
#include <string.h>

#include "oracles/oracle.h"
#include "oracles/tolerance.h"

enum { STEPS_SHOWN = 8 };

/* How large it is by decode step, in few digits: results have all of them. */
static void put_steps(char *text, size_t size, const od_related *r) {
    size_t at = 0;
    text[0] = '\0';
    if (r->n_step < 2) return;
    for (size_t i = 0; i < r->n_step && i < STEPS_SHOWN && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%.1e", i ? " " : "; MAE by decode step: ", r->step[i].mae);
    if (r->n_step > STEPS_SHOWN && at < size) snprintf(text + at, size - at, " …");
}

static void put_finding(od_ruling *out, const od_relation *relation, const od_related *r) {
    const char *step = od_step_class_name(r->at.step);
    char place[200], steps[100];
    snprintf(place, sizeof place, "%s: %.60s at op %u call %u session %u of play %u", relation->name, r->name, r->at.op,
             r->at.call, r->at.session, r->play);
    put_steps(steps, sizeof steps, r);
    if (r->misshapen)
        od_rule_finding(out, relation->name, step, 0, 0, "%s is missing, too few, or has another shape", place);
    else if (!relation->contract)
        od_rule_finding(out, relation->name, step, r->is, r->was, "%s differs in row %d: [%zu] was %.9g, is %.9g",
                        place, r->row, r->index, r->was, r->is);
    else if (!od_within(r->mae, od_bounds.mae))
        od_rule_finding(out, relation->name, step, r->mae, od_bounds.mae,
                        "%s: MAE %.3g exceeds %.3g; worst: was %.9g, is %.9g%s", place, r->mae, od_bounds.mae, r->was,
                        r->is, steps);
    else
        od_rule_finding(out, relation->name, step, r->max_abs, od_bounds.max_abs,
                        "%s: a difference of %.3g exceeds %.3g: was %.9g, is %.9g%s", place, r->max_abs,
                        od_bounds.max_abs, r->was, r->is, steps);
}

/* What the engine answered at first it must not refuse now. */
static bool is_refused(const od_related *r) {
    const enum od_status s = r->run.status;
    return s == OD_BAD_INPUT || s == OD_DEVICE_FAULT || s == OD_CRASHED || s == OD_HUNG;
}

enum od_outcome od_related_outcome(const od_related *r) {
    if (r->outside[0]) return OD_SKIPPED;
    if (r->broken || is_refused(r)) return OD_FINDING;
    if (r->run.status != OD_OK) return OD_ERROR;
    return r->compared ? OD_PASS : OD_INCONCLUSIVE;
}

static void put_domains(od_ruling *out, const od_evidence *ev, unsigned holds, unsigned asked) {
    char list[OD_REASON] = "";
    for (unsigned i = 0; i < OD_RELATIONS; i++) {
        const od_related *r = &ev->related[i];
        if (!r->asked || !r->outside[0]) continue;
        const size_t at = strlen(list);
        snprintf(list + at, sizeof list - at, "%s%s (%s)", at ? ", " : "; outside: ", od_relation_at(i)->name,
                 r->outside);
    }
    od_rule(out, holds ? OD_PASS : OD_SKIPPED, "%u of %u relations hold%.280s", holds, asked, list);
}

/* The gravest relation decides, the first of equals. */
static void judge(od_ruling *out, const od_evidence *ev) {
    unsigned asked = 0, holds = 0, decides = 0;
    enum od_outcome worst = OD_SKIPPED;
    for (unsigned i = 0; i < OD_RELATIONS; i++) {
        if (!ev->related[i].asked) continue;
        const enum od_outcome outcome = od_related_outcome(&ev->related[i]);
        asked++;
        holds += outcome == OD_PASS;
        if (outcome <= worst) continue;
        worst = outcome;
        decides = i;
    }
    const od_relation *relation = od_relation_at(decides);
    const od_related *r = &ev->related[decides];
    if (asked == 0)
        od_rule(out, OD_INCONCLUSIVE, "no relation was tried");
    else if (worst == OD_FINDING && r->broken)
        put_finding(out, relation, r);
    else if (worst == OD_FINDING)
        od_rule_finding(out, relation->name, od_step_class_name(r->run.at.step), 0, 0, "%s: play %u: %.250s",
                        relation->name, r->play, r->run.error.text);
    else if (worst == OD_ERROR)
        od_rule(out, worst, "%s: %.280s", relation->name, r->run.error.text);
    else if (worst == OD_INCONCLUSIVE)
        od_rule(out, worst, "%s: nothing was compared", relation->name);
    else
        put_domains(out, ev, holds, asked);
}

const od_oracle od_oracle_consistency = {
    .name = "consistency",
    .about =
        "a case played another way (relations below) does not answer as it must, bit by bit or within the contract",
    .in_fuzz = false,
    .required = true,
    .needs = OD_NEED_RELATIONS,
    .judge = judge,
};
