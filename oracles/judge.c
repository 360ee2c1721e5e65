#include "oracles/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/signature.h"

static bool shares_device(void) {
    const char *said = getenv("OD_SHARED_DEVICE");
    return said && *said && strcmp(said, "0") != 0;
}

void od_judge_init(od_judge *j, const od_engine_api *ref, const od_engine_api *fast) {
    *j = (od_judge){.setup = {.ref = ref,
                              .fast = fast,
                              .oracles = od_oracles_all(),
                              .relations = od_relations_default(),
                              .shared_device = shares_device(),
                              .speed_seconds = 0.2},
                    .required = od_oracles_required()};
}

void od_judge_free(od_judge *j) {
    od_evidence_free(&j->evidence);
    od_script_destroy(&j->script);
}

/* 1, 2-4, 5-8, 9-16, … : prefix and range of n behind text. */
static void bucket(char *text, size_t size, const char *prefix, size_t n) {
    size_t at = strlen(text), hi = 4;
    if (n <= 1) {
        snprintf(text + at, size - at, "%s%zu", prefix, n);
        return;
    }
    while (hi < n) hi *= 2;
    snprintf(text + at, size - at, "%s%zu-%zu", prefix, hi == 4 ? 2 : hi / 2 + 1, hi);
}

void od_shape_class(char *text, size_t size, size_t batch, size_t variates, size_t patches) {
    text[0] = '\0';
    bucket(text, size, "b", batch);
    bucket(text, size, ".v", variates);
    bucket(text, size, ".s", patches);
}

void od_shape_class_of(char *text, size_t size, const od_case *c, size_t patch) {
    size_t longest = 0;
    for (unsigned i = 0; i < c->n_op; i++)
        if (c->op[i].kind == OD_OP_PREFILL && c->op[i].steps > longest) longest = c->op[i].steps;
    od_shape_class(text, size, c->batch, c->variates, patch ? (longest + patch - 1) / patch : 0);
}

static void describe(od_verdict *v, const od_judge *j, const od_case *c, size_t patch) {
    od_shape_class_of(v->shape, sizeof v->shape, c, patch);
    snprintf(v->pair, sizeof v->pair, "%.20s:%.20s", j->setup.ref->name, j->setup.fast->name);
    v->hash = od_case_hash(c);
}

static void sign(od_ruling *r, const od_verdict *v, const char *oracle) {
    snprintf(r->signature, sizeof r->signature, "%s/%s/%s/%s/%s", oracle, r->subject, r->step, v->shape, v->pair);
}

static void decide(od_verdict *v, enum od_outcome outcome, const od_ruling *r) {
    v->outcome = outcome;
    snprintf(v->reason, sizeof v->reason, "%s", r->reason);
    snprintf(v->signature, sizeof v->signature, "%s", r->signature);
    v->value = r->value;
    v->bound = r->bound;
}

/* Does the case expect this finding? Then it is known. */
static bool is_expected(const od_case *c, const od_ruling *r) {
    return c->expect[0] && strcmp(c->expect, "pass") != 0 && od_signature_matches(r->signature, c->expect);
}

/* A known issue's finding is KNOWN until its day has passed; either way the reason says so, in front. */
static void look_up(od_ruling *r, const od_known *known) {
    const od_known_issue *issue = od_known_find(known, r->signature);
    char reason[OD_REASON];
    if (!issue) return;
    snprintf(reason, sizeof reason, "%s %s (%.160s; %.120s): %.300s",
             issue->expired ? "known issue, expired on" : "known until", issue->expires, issue->reason, issue->link,
             r->reason);
    snprintf(r->reason, sizeof r->reason, "%s", reason);
    if (!issue->expired) r->outcome = OD_KNOWN;
}

static void ask(od_verdict *v, const od_judge *j, const od_case *c) {
    const od_evidence *ev = &j->evidence;
    bool engines_ran = ev->ref_run.status == OD_OK && ev->fast_run.ran && ev->fast_run.status == OD_OK;
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        const od_oracle *oracle = od_oracle_at(i);
        od_ruling *r = &v->ruling[i];
        if (i > 0 && (!engines_ran || !(j->setup.oracles >> i & 1))) continue;
        v->asked |= 1u << i;
        oracle->judge(r, ev);
        if (r->outcome == OD_FINDING) sign(r, v, oracle->name);
        if (r->outcome == OD_FINDING && is_expected(c, r)) r->outcome = OD_KNOWN;
        if (r->outcome == OD_FINDING) look_up(r, j->known);
    }
}

/* The gravest ruling decides, the first of equals. INCONCLUSIVE counts only where the oracle is required; oracles that
 * were skipped, or not asked, never do while another one passed. */
static void draw(od_verdict *v, const od_judge *j) {
    const od_ruling *grave = NULL;
    enum od_outcome worst = OD_SKIPPED;
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        const od_ruling *r = &v->ruling[i];
        if (!(v->asked >> i & 1)) continue;
        enum od_outcome outcome = r->outcome;
        if (outcome == OD_INCONCLUSIVE && !(j->required >> i & 1)) outcome = OD_PASS;
        if (grave && outcome <= worst) continue;
        grave = r;
        worst = outcome;
    }
    decide(v, worst, grave);
    if (worst == OD_PASS) v->reason[0] = '\0';
}

/* A case that expects a finding which did not come is a finding of its own: a fix, or a blind oracle. */
static void miss_expected(od_verdict *v, const od_case *c) {
    if (!c->expect[0] || strcmp(c->expect, "pass") == 0 || v->outcome == OD_SKIPPED || v->outcome == OD_ERROR) return;
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (v->ruling[i].outcome == OD_KNOWN && is_expected(c, &v->ruling[i])) return;
    if (v->outcome == OD_FINDING) return;
    v->outcome = OD_FINDING;
    snprintf(v->signature, sizeof v->signature, "expect/absent/-/%s/%s", v->shape, v->pair);
    snprintf(v->reason, sizeof v->reason, "the finding that the case expects did not come: %.250s", c->expect);
    v->value = v->bound = 0;
}

static void skip(od_verdict *v, const char *engine, const char *why) {
    v->outcome = OD_SKIPPED;
    snprintf(v->reason, sizeof v->reason, "%s cannot: %s", engine, why);
}

static bool can_run(od_verdict *v, const od_judge *j, const od_case *c) {
    char why[200] = "";
    od_case plain = *c;
    plain.options.tf32 = false; /* the reference never rounds to TF32, whatever the fast path is told */
    if (j->setup.ref->can && !j->setup.ref->can(&plain, why, sizeof why)) {
        skip(v, j->setup.ref->name, why);
        return false;
    }
    if (j->setup.fast->can && !j->setup.fast->can(c, why, sizeof why)) {
        skip(v, j->setup.fast->name, why);
        return false;
    }
    return true;
}

static unsigned needs_of(const od_judge *j) {
    unsigned needs = 0;
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (j->setup.oracles >> i & 1) needs |= od_oracle_at(i)->needs;
    return needs;
}

/* Are the case's weights to be changed in turn? */
static bool is_to_be_probed(const od_judge *j) {
    if (!j->weights || !(j->setup.oracles & od_oracle_bit(&od_oracle_vacuity))) return false;
    const uint64_t class = od_model_class(&j->script);
    for (size_t i = 0; i < j->n_probed; i++)
        if (j->probed[i] == class) return false;
    return true;
}

/* A class is done with when every tensor of it was changed and moved an answer: a finding comes again. */
static void note_probed(od_judge *j) {
    const od_probe *p = &j->evidence.probe;
    if (p->ran && p->status == OD_OK && p->n_dead == 0 && p->n_idle == 0 && j->n_probed < OD_JUDGE_CLASSES)
        j->probed[j->n_probed++] = od_model_class(&j->script);
}

void od_judge_case(od_verdict *v, od_judge *j, od_case *c) {
    double start = od_seconds();
    memset(v, 0, sizeof *v);
    od_script_destroy(&j->script);
    od_error e = {0};
    enum od_status s = od_script_create(&j->script, c, &e);
    v->spent.generation = od_seconds() - start;
    j->script.spent = &v->spent;
    describe(v, j, c, s == OD_OK ? j->script.model->config.patch : c->config.patch);
    if (s == OD_OK && v->hash == 0) s = od_fail(&e, OD_NO_MEMORY, "no memory for the case's text");
    if (s != OD_OK) {
        v->outcome = OD_ERROR;
        v->bad_input = s == OD_BAD_INPUT;
        snprintf(v->reason, sizeof v->reason, "%.300s", e.text);
    } else if (can_run(v, j, c)) {
        od_evidence_gather(&j->evidence, &j->script, &j->setup, needs_of(j) | (is_to_be_probed(j) ? OD_NEED_PROBE : 0));
        v->evidence = &j->evidence;
        note_probed(j);
        ask(v, j, c);
        draw(v, j);
        miss_expected(v, c);
    }
    j->script.spent = NULL; /* the verdict is the caller's */
    v->seconds = od_seconds() - start;
    v->spent.judging = v->seconds - v->spent.generation - v->spent.engines - v->spent.arbiter;
}
