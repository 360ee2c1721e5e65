#include "oracles/recheck.h"

#include <stdio.h>
#include <string.h>

#include "oracles/judge.h"
#include "oracles/rate.h"
#include "oracles/signature.h"

static bool mixed(unsigned shown, unsigned judged) {
    return shown > 0 && shown < judged;
}

bool od_recheck_is_flaky(const od_recheck *r) {
    return mixed(r->shown, r->judged) || mixed(r->process_shown, r->process_judged);
}

char *od_recheck_text(char *text, size_t size, const od_recheck *r) {
    const unsigned n = r->judged + r->process_judged, k = r->shown + r->process_shown;
    double low, high;
    if (od_recheck_is_flaky(r)) {
        od_rate_interval(&low, &high, k, n);
        snprintf(text, size, "flaky: %u of %u (95 %% interval %.0f %% to %.0f %%)", k, n, 100 * low, 100 * high);
    } else if (k < n) {
        snprintf(text, size, "%u of %u here, %u of %u in a fresh process%s", r->shown, r->judged, r->process_shown,
                 r->process_judged, r->process_judged < OD_RECHECK_FLAKY ? "" : ": it needs what ran before it");
    } else if (r->process_judged) {
        snprintf(text, size, "%u of %u, %u of them in a fresh process", k, n, r->process_judged);
    } else {
        snprintf(text, size, "%u of %u", k, n);
    }
    return text;
}

char *od_recheck_mark(char *text, size_t size, const od_recheck *r) {
    const unsigned n = r->judged + r->process_judged, k = r->shown + r->process_shown;
    if (od_recheck_is_flaky(r) || k == n)
        snprintf(text, size, "%s%u of %u", k < n ? "flaky " : "", k, n);
    else
        snprintf(text, size, "%u of %u, fresh %u of %u", r->shown, r->judged, r->process_shown, r->process_judged);
    return text;
}

/* Did this very finding come, in front or behind a graver one? */
static bool came(const od_verdict *v, const char *signature) {
    if (v->outcome == OD_FINDING && strcmp(v->signature, signature) == 0) return true;
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (v->asked >> i & 1 && v->ruling[i].outcome == OD_FINDING && strcmp(v->ruling[i].signature, signature) == 0)
            return true;
    return false;
}

/* The oracle that found it, and `engine`; all of them where it is that one's, which has no runs of its own, or the
 * case's expectation. */
static unsigned oracles_of(const char *signature, unsigned asked) {
    char name[64];
    unsigned number;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(signature, "/"), signature);
    if (od_oracle_find(&number, name, NULL) != OD_OK || od_oracle_at(number) == &od_oracle_engine) return asked;
    return 1u << number | od_oracle_bit(&od_oracle_engine);
}

/* A judging that ends in an error (no memory) says nothing of the finding: it is not counted, and the last. */
static void judge_again(unsigned *judged, unsigned *shown, od_judge *again, od_case *c, const char *signature,
                        unsigned until) {
    od_verdict v;
    while (*judged < until) {
        od_judge_case(&v, again, c);
        if (v.outcome == OD_ERROR && !came(&v, signature)) return;
        ++*judged;
        *shown += came(&v, signature);
    }
}

/* A process against this one is judged in every judging, and what went wrong between them, or in that process alone,
 * cannot be seen from within one. */
static bool is_between(const od_verdict *v) {
    const od_evidence *ev = v->evidence;
    return ev && (ev->difference[OD_RERUN_PROCESS].differs || ev->rerun[OD_RERUN_PROCESS].status != OD_OK);
}

void od_recheck_finding(od_verdict *v, od_judge *again, const od_judge *j, od_case *c, const od_engine_api *process) {
    od_recheck *r = &v->recheck;
    again->setup = j->setup;
    again->setup.oracles = oracles_of(v->signature, j->setup.oracles);
    again->setup.arbiter = NULL;
    again->setup.detail = false;
    again->required = j->required;
    again->known = j->known;
    again->weights = od_signature_needs_weights(v->signature);
    *r = (od_recheck){.judged = 1, .shown = 1};
    const bool between = is_between(v), hang = strncmp(v->signature, "engine/hang/", 12) == 0;
    if (!hang || between) judge_again(&r->judged, &r->shown, again, c, v->signature, OD_RECHECK_HERE);
    if (!hang && mixed(r->shown, r->judged))
        judge_again(&r->judged, &r->shown, again, c, v->signature, OD_RECHECK_FLAKY);
    if (!process || between || mixed(r->shown, r->judged)) return;
    again->setup.fast = process;
    again->setup.process = NULL;
    again->setup.isolated = true; /* what goes wrong while it is closed is asked for here, not told to the next case */
    judge_again(&r->process_judged, &r->process_shown, again, c, v->signature, OD_RECHECK_PROCESS);
    if (!hang && r->process_shown < r->process_judged)
        judge_again(&r->process_judged, &r->process_shown, again, c, v->signature, OD_RECHECK_FLAKY);
}
