/* A second play held against the first one's trace: where each answer is found there, row by row, bit by bit or within
 * the contract. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/evidence.h"
#include "oracles/tolerance.h"

/* The part of a tensor that both plays have: of each row `n` elements, from `was` on in the first, from 0 on in the
 * second. */
typedef struct piece {
    size_t row_size, first_row_size; /* elements of a row in either play */
    size_t was, n;
} piece;

static void note(od_related *out, const od_trace_call *call, const od_call_at *at, const char *name) {
    out->broken = true;
    out->at = *at;
    out->first = call->at;
    out->cls = od_tensor_classify(name);
    snprintf(out->name, sizeof out->name, "%s", name);
}

static void note_shape(od_related *out, const od_trace_call *call, const od_call_at *at, const char *name) {
    if (out->broken) return;
    note(out, call, at, name);
    out->misshapen = true;
}

/* The first play's call; calls are looked for from the last one found on, round the end. */
static const od_trace_call *find_call(od_matching *m, const od_place *place, const od_call_at *at) {
    const unsigned k = place->part ? 0 : at->call;
    for (size_t i = 0; i < m->first->n_call; i++) {
        const size_t here = (m->call + i) % m->first->n_call;
        const od_call_at *found = &m->first->call[here].at;
        if (found->op != place->op || found->call != k) continue;
        m->call = here;
        return &m->first->call[here];
    }
    return NULL;
}

static bool find_tensor(size_t *index, const od_matching *m, const od_trace_call *call, const char *name) {
    for (size_t i = 0; i < call->n; i++) {
        if (strcmp(m->first->tensor[call->first + i].view.name, name) != 0) continue;
        *index = call->first + i;
        return true;
    }
    return false;
}

static size_t product(const size_t *shape, size_t from, size_t to) {
    size_t n = 1;
    for (size_t i = from; i < to; i++) n *= shape[i];
    return n;
}

/* Shapes are [batch, variates, steps, …] in both; false where they are not what they must be. */
static bool cut(piece *out, const od_matching *m, const od_place *place, size_t from, const od_tensor *was,
                const od_tensor *is) {
    const od_case *c = &m->v->c, *first = m->first_case;
    if (was->rank < 3 || was->rank != is->rank || was->dtype != is->dtype) return false;
    if (was->shape[0] != first->batch || was->shape[1] != first->variates) return false;
    if (is->shape[0] != c->batch || is->shape[1] != c->variates) return false;
    const size_t each = product(is->shape, 3, is->rank);
    if (memcmp(was->shape + 3, is->shape + 3, (was->rank - 3) * sizeof *was->shape) != 0) return false;
    *out = (piece){.row_size = is->shape[2] * each, .first_row_size = was->shape[2] * each};
    if (!place->part || od_tensor_classify(is->name) == OD_TENSOR_MEAN) {
        out->n = out->row_size;
        return was->shape[2] == is->shape[2];
    }
    out->was = from * each;
    out->n = place->n * each;
    return was->shape[2] == place->whole && is->shape[2] >= place->n && from + place->n <= place->whole;
}

/* Of a call's tensors that differ the one of the earliest stage is kept. */
static void match_bits(od_matching *m, const od_trace_call *call, const od_call_at *at, const piece *p,
                       const od_tensor *was, const od_tensor *is) {
    const size_t size = od_dtype_size(is->dtype), n_layer = m->v->script.model->config.n_layer;
    if (m->out->broken && od_stage_of(m->out->name, n_layer) <= od_stage_of(is->name, n_layer)) return;
    m->out->compared++;
    for (size_t row = 0; row < (size_t)m->v->c.batch * m->v->c.variates; row++) {
        if (m->v->row[row] == OD_NO_ROW) continue;
        const size_t a = (size_t)m->v->row[row] * p->first_row_size + p->was, b = row * p->row_size;
        const char *x = (const char *)was->data + a * size, *y = (const char *)is->data + b * size;
        if (memcmp(x, y, p->n * size) == 0) continue;
        note(m->out, call, at, is->name);
        m->out->row = (int)row;
        m->out->first_row = m->v->row[row];
        size_t i = 0;
        while (memcmp(x + i * size, y + i * size, size) == 0) i++;
        m->out->index = i;
        m->out->was = od_unsigned_nan(od_tensor_at(was, a + i));
        m->out->is = od_unsigned_nan(od_tensor_at(is, b + i));
        return;
    }
}

static enum od_status make_room(od_matching *m, size_t bytes, od_error *e) {
    if (bytes <= m->cap) return OD_OK;
    for (int i = 0; i < 2; i++) {
        void *p = realloc(m->pair[i], bytes);
        if (!p) return od_fail(e, OD_NO_MEMORY, "no %zu bytes to compare two plays", bytes);
        m->pair[i] = p;
    }
    m->cap = bytes;
    return OD_OK;
}

/* How far a decode call is off; each of its errors is its worst tensor's. */
static void note_step(od_related *out, const od_call_at *at, const od_comparison *cmp) {
    od_related_step *last = out->n_step ? &out->step[out->n_step - 1] : NULL;
    if (!last || last->at.op != at->op || last->at.call != at->call) {
        if (out->n_step == OD_RELATED_STEPS) return;
        last = &out->step[out->n_step++];
        *last = (od_related_step){.at = *at};
    }
    if (cmp->mae > last->mae || isnan(cmp->mae)) last->mae = cmp->mae;
    if (cmp->max_abs > last->max_abs || isnan(cmp->max_abs)) last->max_abs = cmp->max_abs;
}

static enum od_status match_contract(od_matching *m, const od_trace_call *call, const od_call_at *at, const piece *p,
                                     const od_tensor *was, const od_tensor *is, double unit, od_error *e) {
    const size_t size = od_dtype_size(is->dtype), rows = (size_t)m->v->c.batch * m->v->c.variates;
    enum od_status s = make_room(m, rows * p->n * size, e);
    if (s != OD_OK) return s;
    size_t n = 0;
    for (size_t row = 0; row < rows; row++) {
        if (m->v->row[row] == OD_NO_ROW) continue;
        const size_t a = (size_t)m->v->row[row] * p->first_row_size + p->was, b = row * p->row_size;
        memcpy((char *)m->pair[0] + n * size, (const char *)was->data + a * size, p->n * size);
        memcpy((char *)m->pair[1] + n * size, (const char *)is->data + b * size, p->n * size);
        n += p->n;
    }
    od_tensor x, y;
    od_tensor_set(&x, was->name, was->dtype, 1, &n, m->pair[0]);
    od_tensor_set(&y, is->name, is->dtype, 1, &n, m->pair[1]);
    od_comparison cmp;
    s = od_compare(&cmp, &x, &y, unit, false, e);
    if (s != OD_OK) return s;
    const double share = od_contract_share(cmp.mae, cmp.max_abs);
    if (!(share <= m->out->most_share)) m->out->most_share = share;
    if (at->step != OD_STEP_PREFILL) note_step(m->out, at, &cmp);
    if (od_within(share, 1) || m->out->broken) return OD_OK;
    note(m->out, call, at, is->name);
    m->out->mae = cmp.mae;
    m->out->max_abs = cmp.max_abs;
    m->out->was = cmp.ref_worst;
    m->out->is = cmp.fast_worst;
    return OD_OK;
}

static enum od_status match_tensor(od_matching *m, const od_call_at *at, const od_place *place,
                                   const od_trace_call *call, const od_tensor *is, od_error *e) {
    const enum od_tensor_class cls = od_tensor_classify(is->name);
    const size_t from = place->from + at->call * m->v->script.model->config.patch;
    const bool last = !place->part || from + place->n == place->whole;
    if (cls == OD_TENSOR_MEAN && !last) return OD_OK;
    /* Those are not by steps, and the contract does not reach them. */
    if (cls == OD_TENSOR_HIDDEN && (place->part || m->contract)) return OD_OK;
    size_t index;
    piece p;
    if (!find_tensor(&index, m, call, is->name)) {
        note_shape(m->out, call, at, is->name);
        return OD_OK;
    }
    const od_tensor was = od_trace_view(m->first, index);
    if (!cut(&p, m, place, from, &was, is)) {
        note_shape(m->out, call, at, is->name);
        return OD_OK;
    }
    if (m->contract) {
        m->out->compared++;
        return match_contract(m, call, at, &p, &was, is, od_tensor_in_data_space(cls) ? call->unit : 1, e);
    }
    match_bits(m, call, at, &p, &was, is);
    return OD_OK;
}

/* Nothing is looked for behind the first call with a bit that differs; behind a breach of the contract, how far it
 * goes. */
static bool is_done(const od_matching *m) {
    return m->out->broken && (!m->contract || m->out->misshapen);
}

enum od_status od_relation_match(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    od_matching *m = arg;
    const od_place *place = &m->v->place[at->op];
    if (is_done(m) || (m->contract && !od_is_contractual(m->first_case, at))) return OD_OK;
    if (place->part && place->n == 0) return OD_OK; /* all of this context was changed */
    const od_trace_call *call = find_call(m, place, at);
    assert(call);
    enum od_status s = OD_OK;
    for (size_t i = 0; i < out->n_tensor && s == OD_OK && !m->out->misshapen; i++)
        s = match_tensor(m, at, place, call, &out->tensor[i], e);
    if (s == OD_OK && !m->out->broken && out->n_tensor < call->n) note_shape(m->out, call, at, "answer");
    return s;
}

void od_matching_free(od_matching *m) {
    free(m->pair[0]);
    free(m->pair[1]);
    m->pair[0] = m->pair[1] = NULL;
    m->cap = 0;
}
