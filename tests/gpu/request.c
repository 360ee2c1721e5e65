#include "tests/gpu/request.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "model/case.h"
#include "tests/gpu/suites.h"

static od_error err;

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static size_t draw_size(od_rng *rng, size_t most) {
    if (od_rng_range(rng, 0, 3) == 0) return od_rng_range(rng, 1, most);
    const double x = exp(od_rng_uniform(rng) * log((double)most + 1));
    const size_t n = (size_t)x;
    return n < 1 ? 1 : n > most ? most : n;
}

request request_draw(od_rng *rng, const request_range *range) {
    request r = {0};
    r.batch = draw_size(rng, range->batch);
    r.variates = draw_size(rng, range->variates);
    r.steps = draw_size(rng, range->steps);
    r.patches = od_rng_range(rng, 0, range->patches);
    r.spare = od_rng_range(rng, 0, 3) ? 0 : od_rng_range(rng, 0, range->steps);
    r.own = (uint32_t)od_rng_next(rng);
    r.missing = od_rng_range(rng, 0, 2) == 0;
    r.groups = (unsigned)od_rng_range(rng, 1, 3);
    r.seed = od_rng_next(rng) >> 1;
    return r;
}

void series_make(series *s, const request *r, size_t patch) {
    *s = (series){.patch = patch, .stride = r->steps + r->patches * patch};
    const size_t rows = r->batch * r->variates, n = rows * s->stride;
    s->value = malloc(n * sizeof *s->value);
    s->mask = malloc(n);
    s->id = malloc(n * sizeof *s->id);
    ck_assert(s->value && s->mask && s->id);
    od_rng_fill_normal(s->value, n, 0.5, 2, r->seed, 1);
    memset(s->mask, 1, n);
    od_rng rng = od_rng_make(r->seed, 2);
    for (size_t i = 0; r->missing && i < n; i += 1 + od_rng_range(&rng, 0, 19)) {
        s->mask[i] = 0;
        s->value[i] = 0;
    }
    for (size_t i = 0; i < n; i++) s->id[i] = (int32_t)(i / s->stride % r->variates % r->groups);
}

void series_free(series *s) {
    free(s->value);
    free(s->mask);
    free(s->id);
    *s = (series){0};
}

/* ---- players ----------------------------------------------------------------------------------------------------- */

void player_open(player *p, od_engine *engine, const request *r, const series *s, long row) {
    *p = (player){.api = test_engine(), .engine = engine, .request = r, .series = s, .row = row};
    const size_t patch = s->patch, context = (r->steps + patch - 1) / patch * patch;
    ck_assert_msg(!p->api->session_open(&p->session, engine, row < 0 ? r->batch : 1, r->variates,
                                        context + r->patches * patch + r->spare, &err),
                  "%s", err.text);
}

bool player_done(const player *p) {
    return p->next > p->request->patches;
}

static od_window window(const player *p, size_t first, size_t n) {
    const series *s = p->series;
    const size_t at = (p->row < 0 ? 0 : (size_t)p->row * p->request->variates * s->stride) + first;
    return (od_window){
        .n_step = n, .stride = s->stride, .value = s->value + at, .mask = s->mask + at, .id = s->id + at};
}

void player_call(player *p) {
    const size_t i = p->next++;
    enum od_status status;
    if (i == 0) {
        const od_window context = window(p, 0, p->request->steps);
        status = p->api->prefill(p->session, &context, &err);
    } else {
        const size_t patch = p->series->patch;
        const od_window next = window(p, p->request->steps + (i - 1) * patch, patch);
        status = p->api->decode(p->session, p->request->own >> (i - 1) & 1 ? NULL : &next, &err);
    }
    ck_assert_msg(!status, "call %zu: %s", i, err.text);
}

void player_close(player *p) {
    p->api->session_close(p->session);
    p->session = NULL;
}

/* ---- comparisons ------------------------------------------------------------------------------------------------- */

static void same_tensor(const od_tensor *a, const od_tensor *b, size_t skip, const player *p, const char *what) {
    const size_t n = od_tensor_size(a);
    const uint32_t *x = a->data, *y = (const uint32_t *)b->data + skip;
    const float *value = a->data;
    ck_assert_msg(strcmp(a->name, b->name) == 0, "%s: %s stands where %s does", what, a->name, b->name);
    ck_assert_int_eq(a->dtype, OD_F32);
    if (memcmp(x, y, n * sizeof *x) != 0)
        for (size_t i = 0; i < n; i++)
            ck_assert_msg(x[i] == y[i],
                          "%s: batch %zu, %zu variates, %zu steps, %zu patches, call %zu, row %ld: %s[%zu of %zu] is "
                          "%.9g here, %.9g there",
                          what, p->request->batch, p->request->variates, p->request->steps, p->request->patches,
                          p->next - 1, p->row, a->name, i, n, (double)value[i],
                          (double)((const float *)b->data)[skip + i]);
    bool finite = true;
    for (size_t i = 0; i < n; i++) finite = finite && isfinite(value[i]);
    ck_assert_msg(finite, "%s: %s holds a value that is not finite", what, a->name);
}

static od_outputs outputs_of(const player *p) {
    od_outputs out;
    ck_assert_msg(!p->api->outputs(p->session, &out, &err), "%s", err.text);
    return out;
}

void same_outputs(const player *a, const player *b, const char *what) {
    const od_outputs x = outputs_of(a), y = outputs_of(b);
    ck_assert_uint_eq(x.n_tensor, y.n_tensor);
    for (size_t i = 0; i < x.n_tensor; i++) {
        const size_t n = od_tensor_size(&x.tensor[i]), m = od_tensor_size(&y.tensor[i]);
        ck_assert_uint_eq(n * (a->row < 0 ? 1 : b->request->batch), m);
        same_tensor(&x.tensor[i], &y.tensor[i], a->row < 0 ? 0 : (size_t)a->row * n, a, what);
    }
}

uint64_t outputs_hash(const player *p, uint64_t seed) {
    const od_outputs out = outputs_of(p);
    for (size_t i = 0; i < out.n_tensor; i++) {
        const od_tensor *t = &out.tensor[i];
        seed = XXH64(t->name, strlen(t->name), seed);
        seed = XXH64(t->shape, t->rank * sizeof t->shape[0], seed);
        seed = XXH64(t->data, od_tensor_bytes(t), seed);
    }
    return seed;
}

uint64_t request_hash(od_engine *engine, const request *r, size_t patch) {
    series s;
    player p;
    uint64_t hash = 0;
    series_make(&s, r, patch);
    player_open(&p, engine, r, &s, -1);
    while (!player_done(&p)) {
        player_call(&p);
        hash = outputs_hash(&p, hash);
    }
    player_close(&p);
    series_free(&s);
    return hash;
}

/* ---- models and engines ------------------------------------------------------------------------------------------ */

const char *test_config(od_config *config, unsigned number) {
    static const char *const names[] = {"seed-tiny", "mixture", "narrow-heads", "mini-base", "toto-open-base"};
    if (number >= sizeof names / sizeof names[0]) return NULL;
    ck_assert(!od_config_preset(config, number >= 3 ? "toto-open-base" : "seed-tiny", &err));
    if (number == 1) {
        config->patch = 8;
        config->d_model = 48;
        config->d_mlp = 96;
        config->n_layer = config->space_every = 4;
        config->space_first = false;
        config->scaler = OD_SCALER_CAUSAL_PATCH_STD_MEAN;
        config->stabilize = config->mixture = true;
        config->n_component = 5;
    }
    if (number == 2) {
        config->patch = 7;
        config->d_model = 30;
        config->n_head = 5;
        config->d_mlp = 33;
        config->n_layer = config->space_every = 2;
        config->scaler = OD_SCALER_CAUSAL_STD_MEAN;
        config->xpos = OD_XPOS_ORIGIN;
    }
    if (number == 3) {
        config->d_model = 128;
        config->n_head = 2;
        config->d_mlp = 256;
        config->n_layer = config->space_every = 4;
        config->patch = 16;
    }
    ck_assert_msg(!od_config_check(config, &err), "%s", err.text);
    return names[number];
}

bool test_options(od_options *options, char *text, size_t size, unsigned number) {
    static const enum od_cache caches[] = {OD_CACHE_OFF, OD_CACHE_DYNAMIC, OD_CACHE_FIXED};
    if (number >= 6) return false;
    *options = od_options_default();
    options->fused = number >= 3;
    options->cache = caches[number % 3];
    snprintf(text, size, "fused=%s cache=%s", options->fused ? "on" : "off", od_cache_name(options->cache));
    return true;
}

bool test_can(const od_config *config, const od_options *options) {
    od_case c;
    char why[200];
    od_case_init(&c);
    c.preset[0] = '\0';
    c.config = *config;
    c.options = *options;
    return test_engine()->can(&c, why, sizeof why);
}

od_model *test_model(const od_config *config, uint64_t seed) {
    od_model *model;
    ck_assert_msg(!od_model_create(&model, config, &err), "%s", err.text);
    od_model_generate(model, seed, 1, 1);
    return model;
}

od_model *test_tiny(void) {
    od_config config;
    ck_assert(!od_config_preset(&config, "seed-tiny", &err));
    return test_model(&config, 3);
}

od_engine *test_engine_of(const od_model *model, const od_options *options) {
    od_engine *engine;
    ck_assert_msg(!test_engine()->create(&engine, model, options, &err), "%s", err.text);
    return engine;
}

od_stats test_stats(od_engine *engine) {
    od_stats stats = {0};
    test_engine()->stats(engine, &stats);
    return stats;
}

double test_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void player_play(player *p, series *s, od_engine *engine, const request *r, size_t patch) {
    series_make(s, r, patch);
    player_open(p, engine, r, s, -1);
    while (!player_done(p)) player_call(p);
}
