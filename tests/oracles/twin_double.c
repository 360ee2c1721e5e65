#include "tests/oracles/twin_double.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gpu/gpu.h"

enum { MAX_TENSORS = 16 };

enum double_fault double_fault;

static unsigned n_live, n_engine;
static od_options first_options; /* of the first engine */
static float *first_weights;     /* of its model */

struct od_engine {
    od_engine *inner;
    od_options options;
    od_model model; /* a view on `weights`, where those are not the model's own */
    float *weights;
    size_t patch;
    bool is_again, poisoned;
    unsigned n_open, n_prefill, n_reset;
    const od_session *turn; /* whose call was the last */
};

struct od_session {
    od_session *inner;
    od_engine *engine;
    size_t batch, variates, n_step; /* steps so far */
    unsigned number, life;          /* of the engine's sessions; of this one's lives */
    bool own, decoded, poisoned, interrupted;
    float begin, begun_before; /* first value of this life, and of the one before; NaN: none */
    float *first, *last;       /* [batch, variates] of the context */
    void *copy[MAX_TENSORS];
    od_tensor tensor[MAX_TENSORS];
};

void double_reset(void) {
    double_fault = DOUBLE_HONEST;
    n_live = n_engine = 0;
    free(first_weights);
    first_weights = NULL;
}

unsigned double_n_live(void) {
    return n_live;
}

/* The seed: by what DOUBLE_VARIATES and DOUBLE_LATER say of values they do not show in the case as it is. */
void double_case(od_case *c) {
    static const od_op schedule[] = {{.kind = OD_OP_PREFILL, .session = 0, .steps = 16},
                                     {.kind = OD_OP_PREFILL, .session = 1, .steps = 12},
                                     {.kind = OD_OP_DECODE, .session = 0, .patches = 2},
                                     {.kind = OD_OP_DECODE, .session = 1, .patches = 1},
                                     {.kind = OD_OP_DECODE, .session = 0, .patches = 1, .own = true},
                                     {.kind = OD_OP_RESET, .session = 1},
                                     {.kind = OD_OP_PREFILL, .session = 1, .steps = 12},
                                     {.kind = OD_OP_DECODE, .session = 1, .patches = 1}};
    od_case_init(c);
    c->config.n_layer = 3;
    c->config.scaler = OD_SCALER_CAUSAL_STD_MEAN;
    c->config.xpos = OD_XPOS_ORIGIN;
    c->batch = 2;
    c->variates = c->n_group = 4;
    c->group[2] = c->group[3] = 1;
    c->series_seed = 60;
    c->n_op = sizeof schedule / sizeof schedule[0];
    memcpy(c->op, schedule, sizeof schedule);
}

/* The model with one tensor as the first engine saw it. */
static enum od_status keep_weights(od_engine *engine, const od_model *model, od_error *e) {
    const size_t bytes = model->n_data * sizeof(float);
    if (!first_weights) {
        first_weights = malloc(bytes);
        if (first_weights) memcpy(first_weights, model->data, bytes);
    }
    engine->weights = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!engine->weights || !first_weights) return od_fail(e, OD_NO_MEMORY, "no memory for weights");
    memcpy(engine->weights, model->data, bytes);
    const od_weight_spec *spec = od_model_spec(model, OD_W_LOC, 0);
    memcpy(engine->weights + spec->offset, first_weights + spec->offset, spec->count * sizeof(float));
    engine->model = *model;
    engine->model.data = engine->weights;
    return OD_OK;
}

static void destroy(od_engine *engine) {
    if (!engine) return;
    od_twin_engine()->destroy(engine->inner);
    free(engine->weights);
    free(engine);
    n_live--;
}

static enum od_status create(od_engine **out, const od_model *model, const od_options *options, od_error *e) {
    od_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return od_fail(e, OD_NO_MEMORY, "no memory for an engine");
    *engine = (od_engine){.options = *options, .patch = model->config.patch};
    n_live++;
    if (n_engine++ == 0) first_options = *options;
    engine->is_again = n_engine > 1 && options->graph == first_options.graph && options->cache == first_options.cache &&
                       options->streams == first_options.streams;
    enum od_status s = OD_OK;
    if (double_fault == DOUBLE_BLIND) s = keep_weights(engine, model, e);
    if (s == OD_OK) s = od_twin_engine()->create(&engine->inner, engine->weights ? &engine->model : model, options, e);
    if (s == OD_OK)
        *out = engine;
    else
        destroy(engine);
    return s;
}

static void session_close(od_session *s) {
    if (!s) return;
    if (s->inner) od_twin_engine()->session_close(s->inner);
    for (int i = 0; i < MAX_TENSORS; i++) free(s->copy[i]);
    free(s->first);
    free(s->last);
    free(s);
    n_live--;
}

static enum od_status session_open(od_session **out, od_engine *engine, size_t batch, size_t variates, size_t limit,
                                   od_error *e) {
    od_session *s = calloc(1, sizeof *s);
    if (!s) return od_fail(e, OD_NO_MEMORY, "no memory for a session");
    n_live++;
    *s = (od_session){.engine = engine, .batch = batch, .variates = variates, .begin = NAN, .begun_before = NAN};
    s->number = engine->n_open++;
    s->first = calloc(batch * variates, sizeof *s->first);
    s->last = calloc(batch * variates, sizeof *s->last);
    enum od_status status = s->first && s->last ? OD_OK : od_fail(e, OD_NO_MEMORY, "no memory for a session");
    if (status == OD_OK) status = od_twin_engine()->session_open(&s->inner, engine->inner, batch, variates, limit, e);
    if (status == OD_OK)
        *out = s;
    else
        session_close(s);
    return status;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The fault: as long again four times, and 5 ms, which no scheduler's hiccup on the other side makes up for. Without it
 * plain launches take 1 ms more, so that no hiccup passes for the fault. */
static void dawdle(const od_engine *engine, double since) {
    const bool slow = double_fault == DOUBLE_SLOW;
    if (n_live < 4 || engine->options.graph != slow) return; /* an engine of two sessions: 3 */
    const double until = slow ? 5 * seconds() - 4 * since + 5e-3 : seconds() + 1e-3;
    while (seconds() < until) nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static enum od_status call(od_session *s, const od_window *w, bool decode, od_error *e) {
    od_engine *engine = s->engine;
    const double since = seconds();
    if (decode && double_fault == DOUBLE_REFUSES_DECODE) return od_fail(e, OD_BAD_INPUT, "it was told to refuse");
    if (double_fault == DOUBLE_FAULTS_PLAIN && !engine->options.graph && engine->n_prefill > 4 * 3)
        return od_fail(e, OD_DEVICE_FAULT, "it was told to fault");
    if (engine->turn && engine->turn != s && s->decoded) s->interrupted = true;
    engine->turn = s;
    s->poisoned = engine->poisoned;
    engine->poisoned = false;
    const enum od_status status =
        decode ? od_twin_engine()->decode(s->inner, w, e) : od_twin_engine()->prefill(s->inner, w, e);
    dawdle(engine, since);
    return status;
}

static enum od_status prefill(od_session *s, const od_window *w, od_error *e) {
    for (size_t row = 0; row < s->batch * s->variates; row++) {
        s->first[row] = w->value[row * w->stride];
        s->last[row] = w->value[row * w->stride + w->n_step - 1];
    }
    s->engine->n_prefill++;
    s->begin = w->value[0];
    s->n_step = w->n_step;
    s->own = s->decoded = s->interrupted = false;
    return call(s, w, false, e);
}

static enum od_status decode(od_session *s, const od_window *next, od_error *e) {
    s->n_step += s->engine->patch;
    s->own = s->own || !next;
    s->decoded = true;
    return call(s, next, true, e);
}

static enum od_status reset(od_session *s, od_error *e) {
    s->begun_before = s->begin;
    s->life++;
    s->engine->n_reset++;
    return od_twin_engine()->reset(s->inner, e);
}

/* Is the row a bit off? */
static bool is_off(const od_session *s, size_t row) {
    const od_options *o = &s->engine->options;
    const size_t variate = row % s->variates;
    switch (double_fault) {
    case DOUBLE_READS_SCRATCH: return s->poisoned;
    case DOUBLE_AFTER_RESET: return s->number == 0 && s->life == 1;
    case DOUBLE_NEXT_ENGINE: return s->engine->is_again;
    case DOUBLE_GRAPH: return !o->graph;
    case DOUBLE_CACHE: return o->cache == OD_CACHE_DYNAMIC;
    case DOUBLE_ABA: return !isnan(s->begun_before) && s->begun_before != s->begin;
    case DOUBLE_BATCH: return s->batch == 1;
    case DOUBLE_GROUPS: return variate == 0 && s->first[row + s->variates - 1] > 0.5f;
    case DOUBLE_SESSIONS: return s->interrupted;
    case DOUBLE_SWITCHES: return o->streams != first_options.streams;
    default: return false;
    }
}

/* How far is every value of the row off? */
static float error_of(const od_session *s, size_t row) {
    const size_t variate = row % s->variates;
    const float *first = s->first + (row - variate), by = 1e-3f;
    switch (double_fault) {
    case DOUBLE_OFF: return by;
    case DOUBLE_SLIGHT: return 5e-7f;
    case DOUBLE_NAN_OWN: return s->own ? NAN : 0;
    case DOUBLE_RECOMPUTE: return s->engine->options.cache == OD_CACHE_OFF ? by : 0;
    case DOUBLE_CHUNKS: return s->decoded && s->n_step <= 3 * s->engine->patch ? by : 0;
    case DOUBLE_VARIATES: return variate < 2 && first[0] < first[1] ? by : 0;
    case DOUBLE_LATER: return !s->decoded && variate == 0 && s->last[row] > 2 ? by : 0;
    default: return 0;
    }
}

static void falsify(const od_session *s, od_tensor *loc, float *x) {
    const size_t rows = s->batch * s->variates, n = od_tensor_size(loc) / rows;
    for (size_t row = 0; row < rows; row++) {
        const float by = error_of(s, row);
        for (size_t i = 0; i < n && by != 0; i++) x[row * n + i] += by;
        float *last = &x[row * n + n - 1];
        if (is_off(s, row)) *last = nextafterf(*last, INFINITY);
    }
}

static enum od_status outputs(od_session *s, od_outputs *out, od_error *e) {
    od_outputs inner;
    const enum od_status status = od_twin_engine()->outputs(s->inner, &inner, e);
    if (status != OD_OK) return status;
    *out = (od_outputs){.tensor = s->tensor};
    for (size_t i = 0; i < inner.n_tensor && i < MAX_TENSORS; i++) {
        const od_tensor *from = &inner.tensor[i];
        if (double_fault == DOUBLE_MISSING && strcmp(from->name, "df") == 0) continue;
        const size_t bytes = od_tensor_size(from) * od_dtype_size(from->dtype);
        free(s->copy[i]);
        s->copy[i] = malloc(bytes);
        if (!s->copy[i]) return od_fail(e, OD_NO_MEMORY, "no memory for %s", from->name);
        memcpy(s->copy[i], from->data, bytes);
        od_tensor *to = &s->tensor[out->n_tensor++];
        *to = *from;
        to->data = s->copy[i];
        if (strcmp(from->name, "loc") == 0) falsify(s, to, s->copy[i]);
    }
    return OD_OK;
}

static void stats(od_engine *engine, od_stats *out) {
    od_twin_engine()->stats(engine->inner, out);
    const size_t leak = 64 * (size_t)engine->n_reset;
    switch (double_fault) {
    case DOUBLE_REPLACED: out->replaced = 3; break;
    case DOUBLE_LEAKS_HOST: out->host_live += leak; break;
    case DOUBLE_LEAKS_DEVICE: out->device_live += leak; break;
    case DOUBLE_PEAK: out->device_peak *= engine->options.graph ? 2 : 1; break;
    case DOUBLE_NO_REPLAY: out->replays = 0; break;
    case DOUBLE_SILENT: out->replays = out->replays > 0; break;
    case DOUBLE_NO_HIT: out->cache_hits = 0; break;
    case DOUBLE_CAPTURES_MANY: out->captures += 20; break;
    case DOUBLE_CAPTURES_ANEW: out->captures += engine->n_prefill / 3; break;
    case DOUBLE_WAITS: out->waits += 100 * engine->n_prefill; break;
    case DOUBLE_COPIES: out->copied += 1000000 * engine->n_prefill; break;
    default: break;
    }
}

static enum od_status recapture(od_engine *engine, od_error *e) {
    return od_twin_engine()->recapture(engine->inner, e);
}

static enum od_status poison(od_engine *engine, od_error *e) {
    engine->poisoned = true;
    return od_twin_engine()->poison(engine->inner, e);
}

static void fail_alloc(od_engine *engine, uint64_t host_call) {
    od_twin_engine()->fail_alloc(engine->inner, host_call);
}

const od_engine_api *double_engine(void) {
    static od_engine_api api = {.abi = OD_ENGINE_ABI,
                                .name = "double",
                                .about = "the twin, wrong on demand",
                                .create = create,
                                .destroy = destroy,
                                .session_open = session_open,
                                .session_close = session_close,
                                .prefill = prefill,
                                .decode = decode,
                                .reset = reset,
                                .outputs = outputs,
                                .stats = stats,
                                .recapture = recapture,
                                .poison = poison,
                                .fail_alloc = fail_alloc};
    api.probe = od_twin_engine()->probe;
    api.can = od_twin_engine()->can;
    return &api;
}
