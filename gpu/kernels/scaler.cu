/* The three input scalers (model.md, 2): statistics in time order, one thread a row. */
#include "gpu/kernels/scaler.cuh"

/* By fault: Σwx² - W·mean², in float32. */
OD_DEVICE double naive_squares(const float *x, const uint8_t *mask, uint32_t n, double mean, double weight) {
    float sum = 0;
    for (uint32_t t = 0; t < n; t++) sum += mask[t] ? x[t] * x[t] : 0;
    return sum - (float)(weight * mean * mean);
}

OD_DEVICE void global_statistics(const od_scaler_args &a, const od_block &b, const float *x, const uint8_t *mask,
                                 uint32_t n, od_scaler_state *s) {
    double weight = 0, sum = 0, square = 0;
    for (uint32_t t = 0; t < n; t++) {
        const bool counts = OD_KERNEL_FAULT_WHEN(b, LAST, t == n - 1 && n % 32 == 0);
        const double w = counts ? 1 : mask[t];
        weight = od_add64(weight, w);
        sum = od_add64(sum, od_mul64(w, x[t]));
    }
    const double mean = od_scaler_mean(sum, weight);
    for (uint32_t t = 0; t < n; t++) square = od_add64(square, od_scaler_square(x[t], mean, mask[t]));
    if (OD_KERNEL_FAULT(b, SQUARES)) square = naive_squares(x, mask, n, mean, weight);
    od_scaler_global(a, b, sum, weight, square, s);
}

/* One step of the causal sums; the scale that holds there. */
OD_DEVICE double causal_step(const od_scaler_args &a, const od_block &b, od_scaler_state *s, double x, double w) {
    s->weight = od_add64(s->weight, w);
    s->sum = od_add64(s->sum, od_mul64(w, x));
    double mean = od_scaler_mean(s->sum, s->weight);
    if (OD_KERNEL_FAULT_WHEN(b, EMPTY, s->weight == 0)) mean = s->sum / s->weight;
    s->m2 = od_add64(s->m2, od_scaler_increment(x, s->mean, mean, w));
    s->mean = mean;
    return od_scaler_clamp(od_scaler_causal(b, s->m2, s->weight, a.minimum), s->low, s->high);
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
                od_scaler_reset(&s);
                const bool short_of = OD_KERNEL_FAULT_WHEN(b, PREFIX, c->prefix > 1);
                if (a.kind == STD_MEAN || a.stabilize)
                    global_statistics(a, b, x, mask, short_of ? c->prefix - 1 : c->prefix, &s);
            }
            if (OD_KERNEL_FAULT_WHEN(b, CARRY, c->first_step > c->prefix)) od_scaler_reset(&s);
            const uint32_t end = c->first_step + a.last_count;
            for (uint32_t i = c->first_step; i < end; i++) {
                if (a.kind == STD_MEAN) {
                    loc[i] = (float)s.loc;
                    scale[i] = (float)s.scale;
                    continue;
                }
                const bool counts = OD_KERNEL_FAULT_WHEN(b, PADDING, !mask[i] && s.sum == 0);
                const double sc = causal_step(a, b, &s, x[i], counts ? 1 : mask[i]);
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
            if (OD_KERNEL_FAULT(b, FLOAT)) {
                s.sum = (float)s.sum;
                s.m2 = (float)s.m2;
            }
            c->state[row] = s;
        }
    }
}
