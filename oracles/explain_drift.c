/* The outputs' distance from float64 over a session's decode steps, those it was given and its own apart. */
#include <math.h>
#include <stdlib.h>

#include "oracles/drift.h"
#include "oracles/explain.h"

/* The decode steps of one kind since a session's prefill. */
typedef struct curve {
    double *error;
    size_t n;
    unsigned first, last; /* steps */
} curve;

/* Is none of the errors from there on a number? */
static bool is_lost(const curve *c, size_t at) {
    for (size_t i = at; i < c->n; i++)
        if (isfinite(c->error[i])) return false;
    return true;
}

static void print(FILE *out, const curve *c, const od_drift *d, unsigned session, bool own) {
    fprintf(out, "drift      session %u, %s steps %u to %u: ", session, own ? "own" : "given", c->first, c->last);
    const unsigned at = c->first + (unsigned)d->at; /* of one kind steps follow each other */
    if (d->kind == OD_DRIFT_STEADY)
        fprintf(out, "%.1e to %.1e from float64, %.2f times a step\n", c->error[0], c->error[c->n - 1], d->growth);
    else if (isinf(d->factor))
        fprintf(out, "no number %s step %u%s\n", is_lost(c, d->at) ? "from" : "at", at, is_lost(c, d->at) ? " on" : "");
    else
        fprintf(out, "%s at step %u, from %.1e to %.1e (%.2g times what the steps before let expect)\n",
                d->kind == OD_DRIFT_JUMP ? "jumps" : "stands out alone", at, c->error[d->at - 1], c->error[d->at],
                d->factor);
}

/* Prints a finished curve and begins anew. False: no memory. */
static bool flush(FILE *out, curve *c, unsigned session, bool own) {
    od_drift d;
    od_error e;
    if (c->n && od_drift_fit(&d, c->error, c->n, &e) != OD_OK) return false;
    if (c->n && d.kind != OD_DRIFT_SHORT) print(out, c, &d, session, own);
    c->n = 0;
    return true;
}

static bool session_drift(FILE *out, const od_explanation *x, unsigned session, curve c[2]) {
    const od_heat *h = &x->heat;
    const size_t layers = x->script->model->config.n_layer;
    bool ok = true;
    for (size_t k = 0; k < h->n_call && ok; k++) {
        const od_call_place *p = &h->place[k];
        if (p->at.session != session) continue;
        if (p->at.step == OD_STEP_PREFILL) {
            ok = flush(out, &c[0], session, false) && flush(out, &c[1], session, true);
            continue;
        }
        const od_cell *head = &h->cell[k * h->n_stage + od_stage_head(layers)];
        const od_cell *mean = &h->cell[k * h->n_stage + od_stage_mean(layers)];
        curve *of = &c[p->at.step == OD_STEP_OWN];
        /* a kind that comes again after the other has a curve of its own */
        if (of->n && p->step != of->last + 1) ok = flush(out, of, session, p->at.step == OD_STEP_OWN);
        if (of->n == 0) of->first = p->step;
        of->last = p->step;
        of->error[of->n++] = fmax(head->seen ? (double)head->fast : 0, mean->seen ? (double)mean->fast : 0);
    }
    return ok && flush(out, &c[0], session, false) && flush(out, &c[1], session, true);
}

bool od_explain_drift(FILE *out, const od_explanation *x) {
    curve c[2] = {{0}};
    double *errors = calloc(2 * x->heat.n_call + 1, sizeof *errors);
    if (!errors) return false;
    c[0].error = errors;
    c[1].error = errors + x->heat.n_call;
    bool ok = true;
    for (unsigned i = 0; i < x->script->n_session && ok; i++) ok = session_drift(out, x, i, c);
    free(errors);
    return ok;
}
