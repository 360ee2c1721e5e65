#include "tests/ref/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/rng.h"
#include "ref/ref.h"
#include "tests/ref/suites.h"

static od_error error;

static void must(enum od_status status) {
    ck_assert_msg(status == OD_OK, "%s", error.text);
}

const od_engine_api *fixture_api(int i) {
    return i == 0 ? od_ref_engine() : od_ref64_engine();
}

od_config fixture_config(void) {
    od_config config;
    must(od_config_preset(&config, "seed-tiny", &error));
    config.scaler = OD_SCALER_CAUSAL_PATCH_STD_MEAN;
    config.stabilize = false;
    config.mixture = true;
    config.n_component = 3;
    return config;
}

void fixture_engine(fixture *f, const od_options *options) {
    f->api->destroy(f->engine);
    must(f->api->create(&f->engine, f->model, options, &error));
}

void fixture_open(fixture *f, const od_engine_api *api, const od_config *config, enum od_cache cache, size_t batch,
                  size_t variates, size_t n_step) {
    const size_t rows = batch * variates, n = rows * n_step;
    od_options options = od_options_default();
    *f = (fixture){.api = api, .batch = batch, .variates = variates, .n_step = n_step};
    options.cache = cache;
    must(od_config_check(config, &error));
    must(od_model_create(&f->model, config, &error));
    od_model_generate(f->model, 5, 1, 1);
    fixture_engine(f, &options);
    f->value = malloc(n * sizeof *f->value);
    f->mask = malloc(n);
    f->id = calloc(n, sizeof *f->id);
    ck_assert(f->value && f->mask && f->id);
    memset(f->mask, 1, n);
    for (size_t r = 0; r < rows; r++) {
        od_rng rng = od_rng_make(17, r);
        double walk = 0;
        for (size_t t = 0; t < n_step; t++) f->value[r * n_step + t] = (float)(walk += od_rng_normal(&rng));
    }
}

void fixture_close(fixture *f) {
    f->api->destroy(f->engine);
    od_model_destroy(f->model);
    free(f->value);
    free(f->mask);
    free(f->id);
}

od_window fixture_window(const fixture *f, size_t first, size_t n) {
    return (od_window){
        .n_step = n, .stride = f->n_step, .value = f->value + first, .mask = f->mask + first, .id = f->id + first};
}

od_session *fixture_session(fixture *f, size_t limit) {
    od_session *s;
    must(f->api->session_open(&s, f->engine, f->batch, f->variates, limit, &error));
    return s;
}

void fixture_prefill(fixture *f, od_session *s, size_t n) {
    const od_window window = fixture_window(f, 0, n);
    must(f->api->prefill(s, &window, &error));
}

void fixture_decode(fixture *f, od_session *s, size_t first, size_t n_patch) {
    const size_t P = f->model->config.patch;
    for (size_t i = 0; i < n_patch; i++) {
        const od_window next = fixture_window(f, first + i * P, P);
        must(f->api->decode(s, &next, &error));
    }
}

void fixture_own(fixture *f, od_session *s, size_t n_patch) {
    for (size_t i = 0; i < n_patch; i++) must(f->api->decode(s, NULL, &error));
}

const answer *fixture_answer(fixture *f, od_session *s, int slot) {
    static answer answers[4];
    answer *a = &answers[slot];
    od_outputs out;
    must(f->api->outputs(s, &out, &error));
    ck_assert_uint_le(out.n_tensor, sizeof a->tensor / sizeof *a->tensor);
    a->n_tensor = out.n_tensor;
    a->n = 0;
    for (size_t i = 0; i < out.n_tensor; i++) {
        const size_t n = od_tensor_size(&out.tensor[i]);
        a->tensor[i] = out.tensor[i];
        ck_assert_uint_le(a->n + n, ANSWER_MAX);
        for (size_t j = 0; j < n; j++) a->value[a->n + j] = od_tensor_at(&out.tensor[i], j);
        a->tensor[i].data = &a->value[a->n];
        a->n += n;
    }
    ck_assert_uint_gt(a->n, 0);
    return a;
}

const double *answer_find(const answer *a, const char *name, const od_tensor **t) {
    for (size_t i = 0; i < a->n_tensor; i++)
        if (!strcmp(a->tensor[i].name, name)) {
            if (t) *t = &a->tensor[i];
            return a->tensor[i].data;
        }
    ck_abort_msg("no tensor %s", name);
}

void answer_same_bits(const answer *a, const answer *b) {
    ck_assert_uint_eq(a->n_tensor, b->n_tensor);
    for (size_t i = 0; i < a->n_tensor; i++) {
        ck_assert_str_eq(a->tensor[i].name, b->tensor[i].name);
        ck_assert_mem_eq(a->tensor[i].shape, b->tensor[i].shape, a->tensor[i].rank * sizeof(size_t));
    }
    for (size_t i = 0; i < a->n; i++)
        ck_assert_msg(!memcmp(&a->value[i], &b->value[i], sizeof(double)), "value %zu: %.17g is not %.17g", i,
                      a->value[i], b->value[i]);
}

double answer_distance(const answer *a, const answer *b) {
    double distance = 0;
    ck_assert_uint_eq(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        const double d = fabs(a->value[i] - b->value[i]) / fmax(1, fabs(b->value[i]));
        if (!(d <= distance)) distance = d;
    }
    return distance;
}
