#include "tests/oracles/fake_engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "oracles/oracle.h"

enum {
    TENSORS = 6,
    HIDDEN = 2,
    HIDDEN_BLOCKS = 64,
    MEAN = 3,
    SCALER_LOC = 4,
    SCALER_SCALE = 5,
    HONEST_DEVICE = 100000,
    HONEST_HOST = 50000
};

fake_knobs fake_ref_knobs, fake_fast_knobs;

struct od_engine {
    fake_knobs *k;
    od_options options;
    size_t patch, layers;
    int where; /* the knob's answer */
    unsigned number, resets, opens, live;
    void *hidden[HIDDEN_BLOCKS], *pages[HIDDEN_BLOCKS];
    size_t n_hidden, n_pages;
    bool scrambled; /* since the last call */
    double weights; /* what they add to every answer */
    od_stats stats;
};

struct od_session {
    od_engine *engine;
    size_t batch, variates;
    unsigned call, number;
    bool answered;
    float *data[TENSORS + HIDDEN];
    od_tensor tensor[TENSORS + HIDDEN];
};

void fake_reset(void) {
    fake_ref_knobs = (fake_knobs){0};
    fake_fast_knobs = (fake_knobs){0};
}

double fake_value(int tensor, unsigned call, size_t element) {
    if (tensor == SCALER_SCALE) return 2;
    return 1 + tensor / 8.0 + call / 64.0 + (double)(element % 5) / 1024;
}

unsigned fake_oracles(void) {
    unsigned speed, consistency;
    if (od_oracle_find(&speed, "speed", NULL) || od_oracle_find(&consistency, "consistency", NULL)) abort();
    return od_oracles_all() & ~(1u << speed | 1u << consistency);
}

void fake_case(od_case *c) {
    od_case_init(c);
    c->variates = 2;
    c->n_op = 3;
    c->op[0] = (od_op){.kind = OD_OP_PREFILL, .steps = 8};
    c->op[1] = (od_op){.kind = OD_OP_DECODE, .patches = 2};
    c->op[2] = (od_op){.kind = OD_OP_DECODE, .patches = 1, .own = true};
}

void fake_large_case(od_case *c) {
    fake_case(c);
    strcpy(c->note, "large");
    c->batch = 5;
    c->variates = 7;
    c->n_group = 7;
    for (int i = 0; i < 7; i++) c->group[i] = i / 4;
    c->missing = 0.1;
    c->left_padding = 2;
    c->scale = 3;
    c->gain = 0.5;
    c->weight_seed = 70;
    c->series_seed = 71;
    c->options.fused = true;
    c->options.order = 9;
    c->options.captures = 2;
    c->n_op = 0;
    for (unsigned s = 0; s < 3; s++) c->op[c->n_op++] = (od_op){.kind = OD_OP_PREFILL, .session = s, .steps = 21 + s};
    for (unsigned s = 0; s < 3; s++) c->op[c->n_op++] = (od_op){.kind = OD_OP_DECODE, .session = s, .patches = 2};
    c->op[c->n_op++] = (od_op){.kind = OD_OP_RECAPTURE};
    for (unsigned s = 0; s < 3; s++) c->op[c->n_op++] = (od_op){.kind = OD_OP_DECODE, .session = s, .patches = 5};
    c->op[c->n_op++] = (od_op){.kind = OD_OP_RESET, .session = 1};
    c->op[c->n_op++] = (od_op){.kind = OD_OP_PREFILL, .session = 1, .steps = 8};
}

static void spend(double microseconds) {
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while ((double)(now.tv_sec - start.tv_sec) * 1e6 + (double)(now.tv_nsec - start.tv_nsec) / 1e3 < microseconds);
}

static void take_time(fake_knobs *k) {
    k->n_each++;
    if (k->each_microseconds > 0) spend(k->each_microseconds);
}

static enum od_status probe(od_error *e) {
    return OD_OK;
}

static bool can_ref(const od_case *c, char *why, size_t size) {
    if (c->options.tf32) strncpy(why, "tf32 is beyond it", size - 1);
    if (fake_ref_knobs.cannot) strncpy(why, "it was told so", size - 1);
    return !c->options.tf32 && !fake_ref_knobs.cannot;
}

static bool can_fast(const od_case *c, char *why, size_t size) {
    const fake_knobs *k = &fake_fast_knobs;
    const bool cannot = k->cannot || (k->refuses && k->refuses(&c->options));
    if (cannot) strncpy(why, "it was told so", size - 1);
    return !cannot;
}

/* A multiple of 1/1024 below 1/2 from the sums of the tensors that are read. */
static double weight_term(const fake_knobs *k, const od_model *model) {
    double sum = 0;
    if (!k->reads_weights) return 0;
    for (size_t i = 0; i < model->n_weight; i++)
        for (size_t j = 0; i + 1 != k->blind && j < model->weights[i].count; j++)
            sum += model->data[model->weights[i].offset + j] * (double)(j % 7 + 1);
    return floor(1024 * fmod(fabs(sum), 0.5)) / 1024;
}

static enum od_status create(fake_knobs *k, od_engine **out, const od_model *model, const od_options *options,
                             od_error *e) {
    take_time(k);
    if (k->fail_engines && k->n_create >= k->fail_engines) return od_fail(e, OD_NO_MEMORY, "it was told to");
    od_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return od_fail(e, OD_NO_MEMORY, "no memory for a fake engine");
    k->n_live++;
    k->saw_tf32 = k->saw_tf32 || options->tf32;
    *engine = (od_engine){.k = k,
                          .options = *options,
                          .patch = model->config.patch,
                          .layers = model->config.n_layer,
                          .where = k->where ? k->where(options) : 0,
                          .number = k->n_create++,
                          .weights = weight_term(k, model)};
    double factor = options->graph && k->peak_factor > 0 ? k->peak_factor : 1;
    double host = options->graph && k->host_factor > 0 ? k->host_factor : 1;
    engine->stats = (od_stats){.host_live = HONEST_HOST,
                               .host_peak = (size_t)(host * HONEST_HOST),
                               .device_live = HONEST_DEVICE,
                               .device_peak = (size_t)(factor * HONEST_DEVICE),
                               .device_used = HONEST_DEVICE,
                               .math_mode = "float32",
                               .device = "fake",
                               .emulated = k->emulated,
                               .rolled_back = k->rolled_back};
    *out = engine;
    return OD_OK;
}

static enum od_status create_ref(od_engine **out, const od_model *model, const od_options *options, od_error *e) {
    return create(&fake_ref_knobs, out, model, options, e);
}

static enum od_status create_fast(od_engine **out, const od_model *model, const od_options *options, od_error *e) {
    return create(&fake_fast_knobs, out, model, options, e);
}

static void destroy(od_engine *engine) {
    if (engine) take_time(engine->k);
    if (engine) engine->k->n_live--;
    for (size_t i = 0; engine && i < engine->n_hidden; i++) free(engine->hidden[i]);
    for (size_t i = 0; engine && i < engine->n_pages; i++) munmap(engine->pages[i], engine->k->hidden_pages);
    free(engine);
}

static enum od_status session_open(od_session **out, od_engine *engine, size_t batch, size_t variates, size_t limit,
                                   od_error *e) {
    od_session *s = calloc(1, sizeof *s);
    if (!s) return od_fail(e, OD_NO_MEMORY, "no memory for a fake session");
    take_time(engine->k);
    *s = (od_session){.engine = engine, .batch = batch, .variates = variates, .number = engine->opens++};
    engine->k->n_open++;
    engine->live++;
    engine->k->n_live++;
    engine->k->last_limit = limit;
    *out = s;
    return OD_OK;
}

static void session_close(od_session *s) {
    if (s) take_time(s->engine->k);
    if (s) s->engine->k->n_live--;
    if (s) s->engine->live--;
    if (s) s->engine->stats.host_live += s->engine->k->leak_open;
    for (int t = 0; s && t < TENSORS + HIDDEN; t++) free(s->data[t]);
    free(s);
}

static int lie_tensor(const od_engine *engine) {
    return engine->k->where ? engine->where : engine->k->tensor;
}

static bool is_large(const od_session *s) {
    const fake_knobs *k = s->engine->k;
    return s->batch >= k->min_batch && s->variates >= k->min_variates && s->engine->live >= k->min_sessions &&
           s->engine->layers >= k->min_layers;
}

static bool is_mute(const od_session *s) {
    const fake_knobs *k = s->engine->k;
    return (k->only_graph && !s->engine->options.graph) ||
           (k->steady && s->engine->number >= k->steady && s->engine->number % 2);
}

/* Fills tensor t with n values for the call. */
static void fill(od_session *s, int t, size_t n) {
    const fake_knobs *k = s->engine->k;
    double drift = (k->drift_runs ? s->engine->resets : 0) + (k->drift_opens ? s->number : 0) +
                   (k->drift_engines ? s->engine->number : 0) +
                   (k->reads_stale && s->call > 0 && s->engine->scrambled ? 1 : 0);
    if (k->drift_late && s->call == 0 && t != MEAN) drift = 0;
    for (size_t i = 0; i < n; i++)
        s->data[t][i] =
            k->lie == FAKE_ZERO_ALL
                ? 0
                : (float)(fake_value(t, s->call, i) + s->engine->weights * (t < SCALER_LOC) + drift / (1 << 23));
    for (size_t i = 0; t == lie_tensor(s->engine) && (int)s->call == k->call + 1 && i < n; i++)
        s->data[t][i] = (float)(s->data[t][i] + k->add_all);
    for (size_t i = 0; t == k->tensor + 1 && !is_large(s) && i < n; i++)
        s->data[t][i] = (float)(s->data[t][i] + k->add_small);
    if (!is_large(s) || is_mute(s)) return;
    if (t != lie_tensor(s->engine) || (int)s->call != k->call || k->element >= n) return;
    if (k->lie == FAKE_ADD) s->data[t][k->element] = (float)(s->data[t][k->element] + k->add);
    if (k->lie == FAKE_NAN) s->data[t][k->element] = NAN;
    if (k->lie == FAKE_INF) s->data[t][k->element] = INFINITY;
}

static int count(const od_engine *engine) {
    return engine->options.hidden ? TENSORS + HIDDEN : TENSORS;
}

static enum od_status answer(od_session *s, size_t steps, od_error *e) {
    static const char *const names[TENSORS + HIDDEN] = {"df",         "loc",          "scale",    "mean",
                                                        "scaler_loc", "scaler_scale", "hidden.0", "hidden.1"};
    od_engine *engine = s->engine;
    fake_knobs *k = engine->k;
    if (k->fail != OD_OK && (int)s->call == k->call && engine->resets >= k->fail_from)
        return od_fail(e, k->fail, "it was told to");
    double base = k->microseconds;
    if (engine->options.graph && k->graph_jitter > 0 && engine->resets % 2) base *= k->graph_jitter;
    if (base > 0) spend(engine->options.graph && k->graph_factor > 0 ? base * k->graph_factor : base);
    for (int t = 0; t < count(engine); t++) {
        const bool hidden = t >= TENSORS;
        size_t per_row = hidden ? steps / engine->patch : t == MEAN ? engine->patch : t >= SCALER_LOC ? 1 : steps;
        size_t shape[] = {s->batch, s->variates, per_row, FAKE_FEATURES};
        size_t n = s->batch * s->variates * per_row * (hidden ? FAKE_FEATURES : 1);
        free(s->data[t]);
        s->data[t] = malloc(n * sizeof *s->data[t]);
        if (!s->data[t]) return od_fail(e, OD_NO_MEMORY, "no memory for a fake answer");
        fill(s, t, n);
        if (k->lie == FAKE_SHAPE && t == lie_tensor(s->engine) && (int)s->call == k->call) {
            shape[0] = s->variates * per_row;
            shape[1] = s->batch;
            shape[2] = 1;
        }
        od_tensor_set(&s->tensor[t], names[t], OD_F32, hidden ? 4 : 3, shape, s->data[t]);
    }
    s->call++;
    s->answered = true;
    engine->scrambled = false;
    engine->stats.launches += 10;
    if (engine->options.graph && !k->no_replay && !(k->silent && engine->stats.replays)) engine->stats.replays++;
    engine->stats.waits += k->waits;
    engine->stats.copied += k->copied;
    if (engine->options.graph && s->call == 1 && (k->captures_anew || engine->stats.captures == 0))
        engine->stats.captures++;
    engine->stats.fallbacks += k->fallbacks;
    engine->stats.replaced += k->replaced;
    return OD_OK;
}

static void see(od_session *s, const od_window *w) {
    fake_knobs *k = s->engine->k;
    if (k->n_seen == sizeof k->seen / sizeof k->seen[0]) return;
    k->seen[k->n_seen].own = w == NULL;
    k->seen[k->n_seen].n_step = w ? w->n_step : 0;
    k->seen[k->n_seen++].first = w ? w->value[0] : 0;
}

static enum od_status prefill(od_session *s, const od_window *w, od_error *e) {
    take_time(s->engine->k);
    see(s, w);
    size_t p = s->engine->patch;
    return answer(s, (w->n_step + p - 1) / p * p, e);
}

static enum od_status decode(od_session *s, const od_window *next, od_error *e) {
    take_time(s->engine->k);
    see(s, next);
    if (s->engine->options.cache != OD_CACHE_OFF && !s->engine->k->no_hit) s->engine->stats.cache_hits++;
    return answer(s, s->engine->patch, e);
}

/* Touched, so that it is more than an address. */
static void take_hidden(od_engine *engine) {
    const fake_knobs *k = engine->k;
    const size_t bytes = k->hidden_malloc + (engine->resets == 3 ? k->hidden_once : 0);
    if (bytes && engine->n_hidden < HIDDEN_BLOCKS) {
        void *block = malloc(bytes);
        if (block) memset(block, 1, bytes);
        engine->hidden[engine->n_hidden++] = block;
    }
    if (k->hidden_pages && engine->n_pages < HIDDEN_BLOCKS) {
        void *pages = mmap(NULL, k->hidden_pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) abort();
        memset(pages, 1, k->hidden_pages);
        engine->pages[engine->n_pages++] = pages;
    }
    engine->stats.device_used += k->hidden_device;
}

static enum od_status reset(od_session *s, od_error *e) {
    od_engine *engine = s->engine;
    take_time(engine->k);
    s->call = 0;
    s->answered = false;
    engine->resets++;
    take_hidden(engine);
    engine->k->n_reset++;
    engine->stats.host_live += engine->k->leak_host + (engine->resets == 3 ? engine->k->leak_once : 0);
    engine->stats.device_live += engine->k->leak_device;
    return OD_OK;
}

static enum od_status outputs(od_session *s, od_outputs *out, od_error *e) {
    take_time(s->engine->k);
    if (!s->answered) return od_fail(e, OD_BAD_INPUT, "no call was made yet");
    bool missing = s->engine->k->lie == FAKE_MISSING;
    *out = (od_outputs){.n_tensor = (size_t)(count(s->engine) - missing),
                        .tensor = s->tensor + missing}; /* without df, the first */
    return OD_OK;
}

static void stats(od_engine *engine, od_stats *out) {
    *out = engine->stats;
}

static enum od_status recapture(od_engine *engine, od_error *e) {
    take_time(engine->k);
    engine->k->n_recapture++;
    return OD_OK;
}

static enum od_status poison(od_engine *engine, od_error *e) {
    take_time(engine->k);
    engine->k->n_poison++;
    return OD_OK;
}

static enum od_status scramble(od_engine *engine, od_error *e) {
    engine->k->n_scramble++;
    engine->scrambled = true;
    return engine->k->fail_scramble ? od_fail(e, engine->k->fail_scramble, "it was told to") : OD_OK;
}

const od_engine_api *fake_ref(void) {
    static const od_engine_api api = {.abi = OD_ENGINE_ABI,
                                      .name = "ref",
                                      .about = "closed-form answers",
                                      .probe = probe,
                                      .can = can_ref,
                                      .create = create_ref,
                                      .destroy = destroy,
                                      .session_open = session_open,
                                      .session_close = session_close,
                                      .prefill = prefill,
                                      .decode = decode,
                                      .reset = reset,
                                      .outputs = outputs,
                                      .stats = stats};
    return &api;
}

const od_engine_api *fake_fast(void) {
    static od_engine_api api;
    api = *fake_ref();
    api.name = "fast";
    api.can = can_fast;
    api.create = create_fast;
    api.recapture = recapture;
    api.poison = poison;
    api.scramble_undeclared = scramble;
    return &api;
}
