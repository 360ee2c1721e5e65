/* The scalers' arithmetic (model.md, 2), which the kernels that run over a series share: float64, not contracted, so
 * that loc and scale are the same doubles as the reference's before they are rounded. */
#ifndef OD_GPU_SCALER_CUH
#define OD_GPU_SCALER_CUH

#include "gpu/kernels/kernel.cuh"

enum { STD_MEAN, CAUSAL, CAUSAL_PATCH }; /* enum od_scaler */

OD_DEVICE double od_scaler_mean(double sum, double weight) {
    return sum / (weight > 1 ? weight : 1);
}

/* What step x adds to m2; the means before it and with it. */
OD_DEVICE double od_scaler_increment(double x, double before, double mean, double w) {
    return od_mul64(od_mul64(od_sub64(x, before), od_sub64(x, mean)), w);
}

/* What step x adds to the sum of squares about the mean of the prefix. */
OD_DEVICE double od_scaler_square(double x, double mean, double w) {
    const double d = od_mul64(w, od_sub64(x, mean));
    return od_mul64(d, d);
}

/* The causal scale with Bessel's correction, before it is clamped. */
OD_DEVICE double od_scaler_causal(const od_block &b, double m2, double weight, double minimum) {
    weight = weight > 1 ? weight : 1;
    double count = od_sub64(weight, 1);
    if (OD_KERNEL_FAULT(b, SCALER)) count = weight;
    if (OD_KERNEL_FAULT(b, MINIMUM)) return sqrt(m2 / (count > 1 ? count : 1)) + minimum;
    return sqrt(od_add64(m2 / (count > 1 ? count : 1), minimum));
}

/* Rounding keeps order, so that clamping the rounded scale by the rounded bounds is rounding the clamped scale. */
template <typename T> OD_DEVICE T od_scaler_clamp(T scale, T low, T high) {
    if (scale < low) scale = low;
    if (scale > high) scale = high;
    return scale;
}

/* Sums of nothing, and no clamp. */
OD_DEVICE void od_scaler_reset(od_scaler_state *s) {
    s->weight = s->sum = s->m2 = s->mean = 0;
    s->low = 0;
    s->high = INFINITY;
}

/* The prefix's statistics; a: od_scaler_args or od_front_args. */
template <typename Args>
OD_DEVICE void od_scaler_global(const Args &a, const od_block &b, double sum, double weight, double square,
                                od_scaler_state *s) {
    const double mean = od_scaler_mean(sum, weight);
    if (weight < 1) weight = 1;
    if (OD_KERNEL_FAULT_WHEN(b, SCALER, weight > 1)) weight -= 1;
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

#endif
