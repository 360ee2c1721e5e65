#include "oracles/shift.h"

#include <math.h>

#include "oracles/tolerance.h"

void od_shifts_add(od_shifts *s, const od_evidence *ev) {
    od_shift_sum one[OD_TENSORS][OD_STEPS] = {0};
    for (size_t i = 0; i < ev->n_measure; i++) {
        const od_measure *m = &ev->measure[i];
        one[m->cls][m->step].cases++;
        one[m->cls][m->step].sum += m->shift;
    }
    for (int t = 0; t < OD_TENSORS; t++)
        for (int k = 0; k < OD_STEPS; k++) {
            if (one[t][k].cases == 0) continue;
            const double mean = one[t][k].sum / (double)one[t][k].cases;
            s->of[t][k].cases++;
            s->of[t][k].sum += mean;
            s->of[t][k].sum2 += mean * mean;
        }
}

od_envelope_shift od_shift_of(const od_shift_sum *sum) {
    const double n = (double)sum->cases;
    od_envelope_shift out = {.cases = sum->cases};
    if (sum->cases == 0) return out;
    out.mean = sum->sum / n;
    const double variance = sum->cases > 1 ? (sum->sum2 - n * out.mean * out.mean) / (n - 1) : 0;
    out.sd = variance < 0 ? 0 : sqrt(variance); /* rounding may leave less than nothing; NaN stays NaN */
    return out;
}

static double square(double x) {
    return x * x;
}

od_shift_test od_shift_judge(const od_shift_sum *sum, const od_envelope_shift *healthy) {
    od_shift_test t = {.seen = od_shift_of(sum)};
    if (sum->cases < od_bounds.shift_least || healthy->cases < od_bounds.shift_least) return t;
    const double error = sqrt(square(t.seen.sd) / (double)t.seen.cases + square(healthy->sd) / (double)healthy->cases);
    t.shift = t.seen.mean - healthy->mean;
    t.z = t.shift == 0 ? 0 : t.shift / error; /* no spread at all: infinite */
    const bool holds = od_within(fabs(t.shift), od_bounds.shift_floor) || od_within(fabs(t.z), od_bounds.shift_z);
    t.state = holds ? OD_SHIFT_HOLDS : OD_SHIFT_ALARM;
    return t;
}
