/* Generated series. Every row (b, v) draws from its own stream in order of time and takes equally many draws a step,
 * so that a longer series begins with the shorter one, and a series of more rows contains those of fewer. Masks and
 * ids are the case's business (case_build.c): here they are left as they are. */
#include "model/series.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/rng.h"

static const char *const generator_names[OD_GENERATORS] = {"normal",   "walk",  "season", "spike", "sparse",
                                                           "constant", "large", "small",  "csv"};

const char *od_generator_name(enum od_generator g) {
    assert((unsigned)g < OD_GENERATORS);
    return generator_names[g];
}

enum od_status od_series_alloc(od_series *s, size_t batch, size_t variates, size_t n_step, od_error *e) {
    *s = (od_series){.batch = batch, .variates = variates, .n_step = n_step};
    size_t n, bytes;
    if (!od_size_mul(&n, batch, variates) || !od_size_mul(&n, n, n_step) || !od_size_mul(&bytes, n, sizeof(float))) {
        *s = (od_series){0};
        return od_fail(e, OD_BAD_INPUT, "series: [%zu, %zu, %zu] steps are more than memory can address", batch,
                       variates, n_step);
    }
    s->value = calloc(n ? n : 1, sizeof *s->value);
    s->mask = calloc(n ? n : 1, sizeof *s->mask);
    s->id = calloc(n ? n : 1, sizeof *s->id);
    if (s->value && s->mask && s->id) return OD_OK;
    od_series_free(s);
    return od_fail(e, OD_NO_MEMORY, "series: no memory for [%zu, %zu, %zu] steps", batch, variates, n_step);
}

void od_series_free(od_series *s) {
    free(s->value);
    free(s->mask);
    free(s->id);
    *s = (od_series){0};
}

/* What a row keeps from step to step; the first draws of its stream set it up. */
typedef struct row_state {
    double level;         /* walk: the sum so far; constant: the value */
    double period, phase; /* season */
    size_t spike;         /* spike: which step */
} row_state;

static const double two_pi = 2 * 3.14159265358979323846;

static row_state row_begin(enum od_generator g, od_rng *rng) {
    row_state r = {0};
    if (g == OD_GEN_SEASON) {
        r.period = 5 + 35 * od_rng_uniform(rng);
        r.phase = two_pi * od_rng_uniform(rng);
    } else if (g == OD_GEN_SPIKE) {
        r.spike = (size_t)od_rng_range(rng, 0, 31);
    } else if (g == OD_GEN_CONSTANT) {
        r.level = -5 + 10 * od_rng_uniform(rng);
    }
    return r;
}

static double row_step(enum od_generator g, row_state *r, size_t t, od_rng *rng) {
    if (g == OD_GEN_CONSTANT) return r->level;
    double x = od_rng_normal(rng);
    switch (g) {
    case OD_GEN_NORMAL: return x;
    case OD_GEN_WALK: return r->level += x;
    case OD_GEN_SEASON: return 10 * sin(two_pi * (double)t / r->period + r->phase) + 0.3 * x;
    case OD_GEN_SPIKE: return t == r->spike ? x + 1e4 : x;
    case OD_GEN_SPARSE: return od_rng_uniform(rng) < 0.1 ? 50 * x : 0;
    case OD_GEN_LARGE: return 1e6 + 1e4 * x;
    case OD_GEN_SMALL: return 1e-6 * x;
    default: assert(!"a generator that draws"); return 0;
    }
}

void od_series_generate(od_series *s, enum od_generator g, uint64_t seed, double scale) {
    assert(g < OD_GEN_CSV);
    for (size_t b = 0; b < s->batch; b++) {
        for (size_t v = 0; v < s->variates; v++) {
            char name[64];
            snprintf(name, sizeof name, "series/%zu/%zu", b, v);
            od_rng rng = od_rng_make(seed, od_rng_name_key(name));
            row_state state = row_begin(g, &rng);
            float *row = s->value + (b * s->variates + v) * s->n_step;
            for (size_t t = 0; t < s->n_step; t++) row[t] = (float)(scale * row_step(g, &state, t, &rng));
        }
    }
}
