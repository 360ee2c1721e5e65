#include "tests/oracles/causal_engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRAPH, CACHE, ABA, BATCH, GROUPS, SESSIONS, SWITCHES, RECOMPUTE, CHUNKS, VARIATES, LATER, RECOMPUTE_CALL };
enum { LOC, MEAN, SCALER_SCALE, TENSORS };

causal_knobs causal;

struct od_engine {
    od_options options;
    size_t patch;
    const od_session *turn; /* whose call was the last */
};

struct od_session {
    od_engine *engine;
    size_t batch, variates, limit, n_step; /* steps so far, those in front of the context too */
    unsigned decodes;
    float *x;                  /* [rows, limit] */
    int32_t *id;               /* [rows] */
    float begin, begun_before; /* first value of this life, and of the one before; NaN: none */
    bool interrupted;          /* another session was called since the prefill */
    float *data[TENSORS];
    od_tensor tensor[TENSORS];
};

void causal_reset(void) {
    causal = (causal_knobs){.broken = -1};
}

void causal_case(od_case *c) {
    static const od_op schedule[] = {{.kind = OD_OP_PREFILL, .session = 0, .steps = 10},
                                     {.kind = OD_OP_PREFILL, .session = 1, .steps = 8},
                                     {.kind = OD_OP_DECODE, .session = 0, .patches = 2},
                                     {.kind = OD_OP_DECODE, .session = 1, .patches = 1, .own = true},
                                     {.kind = OD_OP_RECAPTURE},
                                     {.kind = OD_OP_DECODE, .session = 0, .patches = 1, .own = true},
                                     {.kind = OD_OP_RESET, .session = 1},
                                     {.kind = OD_OP_PREFILL, .session = 1, .steps = 4},
                                     {.kind = OD_OP_DECODE, .session = 1, .patches = 1}};
    od_case_init(c);
    c->batch = 2;
    c->variates = c->n_group = 4;
    c->group[2] = c->group[3] = 1;
    c->config.scaler = OD_SCALER_CAUSAL_STD_MEAN;
    c->config.stabilize = false;
    c->config.xpos = OD_XPOS_ORIGIN;
    c->n_op = sizeof schedule / sizeof schedule[0];
    memcpy(c->op, schedule, sizeof schedule);
}

static enum od_status create(od_engine **out, const od_model *model, const od_options *options, od_error *e) {
    od_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return od_fail(e, OD_NO_MEMORY, "no memory for an engine");
    *engine = (od_engine){.options = *options, .patch = model->config.patch};
    causal.n_create++;
    causal.n_live++;
    *out = engine;
    return OD_OK;
}

static void destroy(od_engine *engine) {
    causal.n_live -= engine != NULL;
    free(engine);
}

static void session_close(od_session *s) {
    if (!s) return;
    for (int t = 0; t < TENSORS; t++) free(s->data[t]);
    free(s->x);
    free(s->id);
    free(s);
    causal.n_live--;
}

static enum od_status session_open(od_session **out, od_engine *engine, size_t batch, size_t variates, size_t limit,
                                   od_error *e) {
    od_session *s = calloc(1, sizeof *s);
    if (!s) return od_fail(e, OD_NO_MEMORY, "no memory for a session");
    *s = (od_session){.engine = engine, .batch = batch, .variates = variates, .limit = limit, .begin = NAN};
    s->begun_before = NAN;
    causal.n_open++;
    causal.n_live++;
    s->x = calloc(batch * variates * limit, sizeof *s->x);
    s->id = calloc(batch * variates, sizeof *s->id);
    for (int t = 0; t < TENSORS; t++) s->data[t] = calloc(batch * variates * limit, sizeof(float));
    *out = s;
    if (s->x && s->id && s->data[LOC] && s->data[MEAN] && s->data[SCALER_SCALE]) return OD_OK;
    session_close(s);
    return od_fail(e, OD_NO_MEMORY, "no memory for a session");
}

static double loc_of(const od_session *s, size_t row, size_t t) {
    const size_t v = row % s->variates;
    const float *x = s->x + (row - v) * s->limit;
    double own = 0, group = 0;
    for (size_t i = 0; i <= t; i++) own += (double)x[v * s->limit + i];
    for (size_t u = 0; u < s->variates; u++)
        if (s->id[row - v + u] == s->id[row] || causal.broken == GROUPS) group += (double)x[u * s->limit + t];
    return own / 8 + group / 4;
}

/* Bit by bit: does the fault show in this call? */
static bool is_off(const od_session *s) {
    const od_options *o = &s->engine->options;
    switch (causal.broken) {
    case GRAPH: return !o->graph;
    case CACHE: return o->cache == OD_CACHE_DYNAMIC;
    case ABA: return s->begun_before == s->begun_before && s->begun_before != s->begin;
    case BATCH: return s->batch == 1;
    case SESSIONS: return s->interrupted;
    case SWITCHES: return o->streams != od_options_default().streams;
    default: return false;
    }
}

/* Within the contract: how far off is the loc of a row? */
static double error_of(const od_session *s, size_t row) {
    switch (causal.broken) {
    case RECOMPUTE: return s->engine->options.cache == OD_CACHE_OFF ? causal.by : 0;
    case RECOMPUTE_CALL: return s->engine->options.cache == OD_CACHE_OFF ? causal.by * s->decodes : 0;
    case CHUNKS: return causal.by * s->decodes;
    case VARIATES: return causal.by * (double)(row % s->variates);
    case LATER: return s->decodes ? 0 : causal.by * (double)s->x[row * s->limit + s->n_step - 1];
    default: return 0;
    }
}

/* Tensors of the newest n steps. */
static void fill(od_session *s, size_t n) {
    static const char *const names[TENSORS] = {"loc", "mean", "scaler_scale"};
    const size_t rows = s->batch * s->variates, p = s->engine->patch;
    for (size_t row = 0; row < rows; row++) {
        float *loc = s->data[LOC] + row * n, *mean = s->data[MEAN] + row * p;
        for (size_t t = 0; t < n; t++) {
            loc[t] = (float)(loc_of(s, row, s->n_step - n + t) + error_of(s, row));
            if (causal.nan) loc[t] = NAN;
            s->data[SCALER_SCALE][row * n + t] = 1;
        }
        for (size_t i = 0; i < p; i++) mean[i] = (float)(loc_of(s, row, s->n_step - 1) / (double)(i + 1));
    }
    for (size_t row = 0; row < rows && is_off(s); row++) {
        float *last = &s->data[LOC][(row + 1) * n - 1];
        *last = nextafterf(*last, INFINITY);
    }
    for (int t = 0; t < TENSORS; t++) {
        const size_t shape[] = {s->batch, s->variates, t == MEAN ? p : n};
        od_tensor_set(&s->tensor[t], names[t], OD_F32, 3, shape, s->data[t]);
    }
    if (causal.wrong == CAUSAL_TYPE && s->batch == 1) s->tensor[LOC].dtype = OD_I32;
}

static enum od_status answer(od_session *s, size_t n, od_error *e) {
    od_engine *engine = s->engine;
    const bool wrong = s->batch == 1;
    causal.n_call++;
    if (engine->turn && engine->turn != s && s->decodes > 0) s->interrupted = true;
    engine->turn = s;
    if (wrong && causal.wrong == CAUSAL_REFUSES) return od_fail(e, OD_BAD_INPUT, "it was told to refuse");
    if (wrong && causal.wrong == CAUSAL_NO_MEMORY) return od_fail(e, OD_NO_MEMORY, "it was told to be out of it");
    if (wrong && causal.wrong == CAUSAL_FAULTS) return od_fail(e, OD_DEVICE_FAULT, "it was told to fault");
    fill(s, n);
    return OD_OK;
}

static void append(od_session *s, const od_window *w) {
    for (size_t row = 0; row < s->batch * s->variates; row++)
        for (size_t t = 0; t < w->n_step; t++) {
            const size_t at = row * w->stride + t;
            s->x[row * s->limit + s->n_step + t] = w->mask[at] ? w->value[at] : 0;
            s->id[row] = w->id[at];
        }
    s->n_step += w->n_step;
}

static enum od_status prefill(od_session *s, const od_window *w, od_error *e) {
    const size_t p = s->engine->patch;
    s->n_step = (p - w->n_step % p) % p;
    for (size_t row = 0; row < s->batch * s->variates; row++)
        for (size_t t = 0; t < s->n_step; t++) s->x[row * s->limit + t] = 0;
    append(s, w);
    s->decodes = 0;
    s->interrupted = false;
    s->begin = w->value[0];
    return answer(s, s->n_step, e);
}

static enum od_status decode(od_session *s, const od_window *next, od_error *e) {
    const size_t p = s->engine->patch;
    s->decodes++;
    if (next) {
        append(s, next);
        return answer(s, p, e);
    }
    for (size_t row = 0; row < s->batch * s->variates; row++)
        memcpy(s->x + row * s->limit + s->n_step, s->data[MEAN] + row * p, p * sizeof *s->x);
    s->n_step += p;
    return answer(s, p, e);
}

static enum od_status reset(od_session *s, od_error *e) {
    s->begun_before = s->begin;
    return OD_OK;
}

static enum od_status outputs(od_session *s, od_outputs *out, od_error *e) {
    const bool missing = causal.wrong == CAUSAL_MISSING && s->batch == 1;
    *out = (od_outputs){.n_tensor = TENSORS - missing, .tensor = s->tensor};
    return OD_OK;
}

static void stats(od_engine *engine, od_stats *out) {
    *out = (od_stats){.math_mode = "float32", .device = "closed form"};
}

static enum od_status recapture(od_engine *engine, od_error *e) {
    return OD_OK;
}

const od_engine_api *causal_engine(void) {
    static const od_engine_api api = {.abi = OD_ENGINE_ABI,
                                      .name = "causal",
                                      .about = "a causal model in closed form",
                                      .create = create,
                                      .destroy = destroy,
                                      .session_open = session_open,
                                      .session_close = session_close,
                                      .prefill = prefill,
                                      .decode = decode,
                                      .reset = reset,
                                      .outputs = outputs,
                                      .stats = stats,
                                      .recapture = recapture};
    return &api;
}
