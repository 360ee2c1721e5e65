/* The three input scalers (model.md, 2): statistics in float64, in time order, one thread a row, so that loc and scale
 * are the same doubles as the reference's before they are rounded. */
#include "gpu/kernels/kernel.cuh"

enum { STD_MEAN, CAUSAL, CAUSAL_PATCH }; /* enum od_scaler */

OD_DEVICE void global_statistics(const od_scaler_args &a, const od_block &b, const float *x, const uint8_t *mask,
                                 uint32_t n, od_scaler_state *s) {
    double weight = 0, sum = 0, square = 0;
    for (uint32_t t = 0; t < n; t++) {
        const double w = mask[t];
        weight = od_add64(weight, w);
        sum = od_add64(sum, od_mul64(w, x[t]));
    }
    if (weight < 1) weight = 1;
    const double mean = sum / weight;
    for (uint32_t t = 0; t < n; t++) {
        const double d = od_mul64(mask[t], od_sub64(x[t], mean));
        square = od_add64(square, od_mul64(d, d));
    }
    if (OD_KERNEL_FAULT(b, SCALER) && weight > 1) weight -= 1;
    const double scale = sqrt(od_add64(square / weight, a.minimum));
    s->loc = mean;
    s->scale = scale;
    s->low = 0;
    s->high = INFINITY;
    if (a.stabilize) {
        const double low = od_mul64(scale, a.low_factor);
        s->low = low > a.minimum ? low : a.minimum;
        s->high = od_mul64(scale, a.high_factor);
    }
}

/* One step of the causal sums; the scale that holds there. */
OD_DEVICE double causal_step(const od_scaler_args &a, const od_block &b, od_scaler_state *s, double x, double w) {
    s->weight = od_add64(s->weight, w);
    s->sum = od_add64(s->sum, od_mul64(w, x));
    const double weight = s->weight > 1 ? s->weight : 1;
    const double mean = s->sum / weight;
    s->m2 = od_add64(s->m2, od_mul64(od_mul64(od_sub64(x, s->mean), od_sub64(x, mean)), w));
    s->mean = mean;
    double count = od_sub64(weight, 1);
    if (OD_KERNEL_FAULT(b, SCALER)) count = weight;
    double scale = sqrt(od_add64(s->m2 / (count > 1 ? count : 1), a.minimum));
    if (scale < s->low) scale = s->low;
    if (scale > s->high) scale = s->high;
    return scale;
}

OD_KERNEL(scaler, struct od_scaler_args) {
    const od_call *c = a.call;
    OD_PHASE(t, b) {
        const uint64_t row = OD_INDEX(t, b);
        if (row < a.rows) {
            const float *x = c->value + row * c->step_stride;
            const uint8_t *mask = c->mask + row * c->step_stride;
            float *loc = c->loc + row * c->step_stride, *scale = c->scale + row * c->step_stride;
            od_scaler_state s = c->state[row];
            if (c->first_step == 0) {
                s.weight = s.sum = s.m2 = s.mean = 0;
                s.low = 0;
                s.high = INFINITY;
                if (a.kind == STD_MEAN || a.stabilize) global_statistics(a, b, x, mask, c->prefix, &s);
            }
            const uint32_t end = c->first_step + a.last_count;
            for (uint32_t i = c->first_step; i < end; i++) {
                if (a.kind == STD_MEAN) {
                    loc[i] = (float)s.loc;
                    scale[i] = (float)s.scale;
                    continue;
                }
                const double sc = causal_step(a, b, &s, x[i], mask[i]);
                if (a.kind == CAUSAL) {
                    loc[i] = (float)s.mean;
                    scale[i] = (float)sc;
                } else if (i % a.patch == a.patch - 1) {
                    for (uint32_t j = i - (a.patch - 1); j <= i; j++) {
                        loc[j] = (float)s.mean;
                        scale[j] = (float)sc;
                    }
                }
            }
            c->state[row] = s;
        }
    }
}
