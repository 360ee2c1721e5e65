/* Scaler statistics. Not here: what becomes of them in float32. */
#include "ref/scaler.h"

#include <assert.h>
#include <math.h>

#include "faults/fault.h"

/* The classes' defaults in the official code. */
static const double std_mean_minimum = 1e-3, causal_minimum = 0.1;

static double at_least(double x, double bound) {
    return x < bound ? bound : x; /* NaN stays NaN */
}

void od_ref_scaler_begin(od_ref_scaler *s, const od_config *config, const double *x, const uint8_t *w,
                         size_t n_prefix) {
    double weight = 0, sum = 0, square = 0;
    *s = (od_ref_scaler){0};
    for (size_t t = 0; t < n_prefix; t++) {
        weight += w[t];
        sum += w[t] * x[t];
    }
    weight = at_least(weight, 1);
    s->global_mean = sum / weight;
    for (size_t t = 0; t < n_prefix; t++) {
        double deviation = w[t] * (x[t] - s->global_mean);
        square += deviation * deviation;
    }
    double minimum = config->scaler == OD_SCALER_STD_MEAN ? std_mean_minimum : causal_minimum;
    s->global_scale = sqrt(square / weight + minimum);
}

/* One more step into the running sums; returns scale_t before stabilisation. */
static double causal_step(od_ref_scaler *s, double x, double w) {
    s->weight += w;
    s->sum += w * x;
    double weight = at_least(s->weight, 1), before = s->mean;
    s->mean = s->sum / weight;
    s->m2 += (x - before) * (x - s->mean) * w;
    if (OD_FAULT_ON(REF_SCALER)) return sqrt(s->m2 / weight + causal_minimum);
    return sqrt(s->m2 / at_least(weight - 1, 1) + causal_minimum);
}

/* scale clamped to [max(0.1, g·10^-e), g·10^e]. */
static double stabilize(const od_ref_scaler *s, const od_config *config, double scale) {
    double low = at_least(s->global_scale * pow(10, -config->scale_exponent), causal_minimum);
    double high = s->global_scale * pow(10, config->scale_exponent);
    scale = at_least(scale, low);
    return scale > high ? high : scale;
}

void od_ref_scaler_next(od_ref_scaler *s, double *loc, double *scale, const od_config *config, const double *x,
                        const uint8_t *w, size_t n_step) {
    size_t patch = config->patch;
    assert(n_step % patch == 0);
    for (size_t t = 0; t < n_step; t++) {
        if (config->scaler == OD_SCALER_STD_MEAN) {
            loc[t] = s->global_mean;
            scale[t] = s->global_scale;
            continue;
        }
        scale[t] = causal_step(s, x[t], w[t]);
        loc[t] = s->mean;
        if (config->scaler == OD_SCALER_CAUSAL_STD_MEAN || t % patch != patch - 1) continue;
        if (config->stabilize) scale[t] = stabilize(s, config, scale[t]);
        for (size_t i = t - (patch - 1); i < t; i++) { /* each patch uses the values of its last step */
            loc[i] = loc[t];
            scale[i] = scale[t];
        }
    }
}
