#include "oracles/shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/signature.h"

/* How a case that was judged came out. */
typedef struct seen {
    uint64_t hash;
    enum { SHOWS, PASSES, OTHER } came;
} seen;

/* One search. Cases lie here, not on the stack: the judge's script borrows the last one. */
typedef struct search {
    od_shrink *out;
    od_judge *j;
    const char *signature;
    const od_shrink_options *options;
    unsigned oracle; /* the signature's */
    bool in_domain;
    od_case candidate, judged;
    od_case passed; /* the last candidate that passed, by passed_move; NULL: none yet */
    const od_shrink_move *passed_move;
    od_verdict verdict;
    seen *seen;
    size_t n_seen;
} search;

od_shrink_size od_shrink_measure(const od_case *c) {
    od_shrink_size s = {.entries = c->n_op,
                        .sessions = od_case_sessions(c),
                        .batch = c->batch,
                        .variates = c->variates,
                        .layers = c->config.n_layer,
                        .width = c->config.d_model};
    for (unsigned i = 0; i < s.sessions; i++) {
        size_t patches = od_case_limit(c, i) / c->config.patch;
        if (patches > s.patches) s.patches = patches;
    }
    for (size_t i = 0; i < c->config.n_layer; i++) *(od_config_is_space(&c->config, i) ? &s.space : &s.time) = true;
    return s;
}

/* Variation k of a move applied to the best case; false past the last one. */
static bool make(search *s, const od_shrink_move *move, unsigned k) {
    s->candidate = s->out->best;
    return move->make(&s->candidate, k);
}

static seen *find_seen(search *s, uint64_t hash) {
    for (size_t i = 0; i < s->n_seen; i++)
        if (s->seen[i].hash == hash) return &s->seen[i];
    return NULL;
}

/* Judges a copy of *c; NULL: it does not show the finding. */
static const od_ruling *judge(search *s, const od_case *c) {
    s->judged = *c;
    od_judge_case(&s->verdict, s->j, &s->judged);
    return od_verdict_of_kind(&s->verdict, s->signature);
}

static bool passes(const search *s) {
    return s->verdict.outcome == OD_PASS && s->verdict.ruling[s->oracle].outcome == OD_PASS;
}

/* Does the candidate show the finding, twice? There are runs left for both. */
static const od_ruling *shows(search *s, const od_shrink_move *move) {
    const od_ruling *r = judge(s, &s->candidate);
    s->out->runs++;
    seen *now = &s->seen[s->n_seen++];
    *now = (seen){.hash = od_case_hash(&s->candidate), .came = r ? SHOWS : passes(s) ? PASSES : OTHER};
    if (now->came == PASSES) {
        s->passed = s->candidate;
        s->passed_move = move;
    }
    if (!r) return NULL;
    r = judge(s, &s->candidate);
    s->out->runs++;
    if (!r) now->came = OTHER; /* it comes and goes */
    return r;
}

/* May s->candidate be judged: legal, in the domain, and not yet judged? */
static bool is_worth_a_run(search *s) {
    const od_shrink_options *o = s->options;
    if (o->pin && !o->pin(&s->candidate, o->arg)) return false;
    if (od_case_check(&s->candidate, NULL) != OD_OK) return false;
    uint64_t hash = od_case_hash(&s->candidate);
    return hash && !find_seen(s, hash) && (!s->in_domain || od_case_in_domain(&s->candidate));
}

static bool tell(search *s, const od_shrink_move *move, const od_ruling *ruling) {
    const od_shrink_options *o = s->options;
    od_shrink_step step = {
        .move = move, .before = &s->out->best, .after = &s->candidate, .ruling = ruling, .runs = s->out->runs};
    return !o->step || o->step(&step, o->arg);
}

/* All variations of one move, begun anew behind each that was kept. False: the search ends here. */
static bool try_move(search *s, const od_shrink_move *move, bool *changed) {
    for (unsigned k = 0; make(s, move, k++);) {
        if (!is_worth_a_run(s)) continue;
        if (s->out->runs + 3 > s->options->runs) { /* two for this one, one for the passing neighbour */
            s->out->end = OD_SHRINK_LIMIT;
            return false;
        }
        const od_ruling *r = shows(s, move);
        bool go_on = tell(s, move, r);
        if (r) {
            s->out->best = s->candidate;
            s->out->taken++;
            *changed = true;
            k = 0;
        }
        if (go_on) continue;
        s->out->end = OD_SHRINK_STOPPED;
        return false;
    }
    return true;
}

static void find_minimum(search *s) {
    bool changed = true;
    while (changed) {
        changed = false;
        for (unsigned i = 0; od_shrink_move_at(i); i++)
            if (!try_move(s, od_shrink_move_at(i), &changed)) return;
    }
    s->out->end = OD_SHRINK_MINIMAL;
}

/* The next passing candidate one move from the best: the lowest `near`, of equals the smallest cut; its mark is then
 * taken away, so that another call finds the next. */
static const od_shrink_move *next_passing(search *s, od_case *c) {
    const od_shrink_move *nearest = NULL;
    seen *at = NULL;
    for (unsigned i = 0; od_shrink_move_at(i); i++) {
        const od_shrink_move *move = od_shrink_move_at(i);
        if (nearest && move->near > nearest->near) continue;
        for (unsigned k = 0; make(s, move, k); k++) {
            if (s->options->pin && !s->options->pin(&s->candidate, s->options->arg)) continue;
            seen *mark = find_seen(s, od_case_hash(&s->candidate));
            if (!mark || mark->came != PASSES) continue;
            nearest = move;
            at = mark;
            *c = s->candidate;
        }
    }
    if (at) at->came = OTHER;
    return nearest;
}

/* Is out->passes a PASS by all oracles of the setup? What passes for one may fail for another. */
static bool confirm_passing(search *s) {
    judge(s, &s->out->passes);
    s->out->runs++;
    return s->out->has_passes = passes(s);
}

static void find_passing(search *s) {
    od_shrink *out = s->out;
    while (out->runs < s->options->runs && (out->passes_move = next_passing(s, &out->passes)))
        if (confirm_passing(s)) return;
    out->passes_move = s->passed_move;
    out->passes = s->passed;
    if (!s->passed_move || out->runs >= s->options->runs || !confirm_passing(s)) out->passes_move = NULL;
}

static enum od_status prepare(search *s, const od_case *c, od_error *e) {
    char name[32] = "";
    snprintf(name, sizeof name, "%.*s", (int)strcspn(s->signature, "/"), s->signature);
    enum od_status status = od_oracle_find(&s->oracle, name, e);
    if (status != OD_OK) return od_error_prefix(e, "%.100s", s->signature);
    s->seen = calloc(s->options->runs + 1, sizeof *s->seen);
    if (!s->seen) return od_fail(e, OD_NO_MEMORY, "no memory for %u runs", s->options->runs);
    s->in_domain = od_case_in_domain(c);
    s->out->best = *c;
    od_case_forget_verdict(&s->out->best);
    s->seen[s->n_seen++] = (seen){.hash = od_case_hash(&s->out->best), .came = SHOWS};
    return OD_OK;
}

enum od_status od_shrink_case(od_shrink *out, od_judge *j, const od_case *c, const char *signature,
                              const od_shrink_options *options, od_error *e) {
    *out = (od_shrink){.end = OD_SHRINK_LOST};
    search *s = calloc(1, sizeof *s);
    if (!s) return od_fail(e, OD_NO_MEMORY, "no memory for a search");
    *s = (search){.out = out, .j = j, .signature = signature, .options = options};
    const od_setup whole = j->setup;
    enum od_status status = prepare(s, c, e);
    if (status != OD_OK) goto out;
    j->setup.oracles = 1u << s->oracle | 1u;
    j->setup.arbiter = NULL;
    j->setup.always_arbiter = j->setup.detail = false;
    bool steady = true;
    for (int i = 0; steady && i < 2; i++) steady = judge(s, &out->best) != NULL;
    if (steady) find_minimum(s);
    j->setup = whole;
    if (out->end != OD_SHRINK_LOST) find_passing(s);
out:
    od_script_destroy(&j->script); /* it borrows s->judged */
    free(s->seen);
    free(s);
    return status;
}
