/* One tensor of the reference against the same tensor of the fast path: numbers, no judgement (tolerance.h has the
 * bounds). Built so that whatever is no number fails every bound. */
#ifndef OD_ORACLES_COMPARE_H
#define OD_ORACLES_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/tensor.h"

/* Differences are divided by `unit` (1, or the mean scale of the series: model space). Sums are doubles.
 *   NaN on either side, or on both, or n = 0, or shapes that differ: mae, max_abs, rmse, shift and nmse are NaN
 * (nothing was shown to agree). Infinities of the same sign at the same place are equal, and no part of nmse's energy;
 * any other one is an infinite difference: all of them are infinite, shift is no finite number. Subnormal numbers are
 * numbers like others. Float64 alone has values whose squares leave its range: of differences above 1e154 rmse and
 * nmse, which decide nothing, are infinite, of those below 1e-162 both are 0, and nmse is 0 where only the reference's
 * own values exceed 1e154. Where a difference, or their sum, leaves it, mae is infinite. -0 and 0 are equal. An
 * infinity lies one ULP behind the largest number; a NaN infinitely many from all, a NaN too. tests/oracles/metrics.c
 * is the table of these, built by gcc and clang at -O2 and -O3. */
typedef struct od_comparison {
    size_t n;
    double mae, max_abs, rmse;
    double shift; /* mean of fast - ref, with its sign; no finite number where a difference is none */
    double nmse;  /* Σ(fast-ref)² / Σref²; 0/0 is 0, x/0 infinite */
    double ulp_p50, ulp_p99, ulp_max; /* units in the last place: of float32, of float64 where both are float64 */
    size_t worst;                     /* index of the largest difference, of the first NaN where there is one */
    double ref_worst, fast_worst;     /* the values there, as stored (no unit); a NaN without its sign */
    size_t ref_nan, ref_inf, fast_nan, fast_inf;
    size_t mismatch;       /* places where one side is NaN, +Inf or -Inf and the other is not the same */
    size_t first_mismatch; /* the first of them */
    bool all_zero;         /* every value on both sides is 0 */
} od_comparison;

/* Fills *out. Types may differ (F32 against F64, or whole numbers): values are compared. Shapes must not: OD_BAD_INPUT
 * names both. unit > 0. The ULP fields stay 0 without `with_ulp`, and are NaN where n = 0; with it scratch of n·8 bytes
 * is allocated: OD_NO_MEMORY, and they are NaN. */
enum od_status od_compare(od_comparison *out, const od_tensor *ref, const od_tensor *fast, double unit, bool with_ulp,
                          od_error *e);

/* Distance in units in the last place; -0 and 0 are the same number. UINT64_MAX where one is NaN. */
uint64_t od_ulp_f32(float a, float b);
uint64_t od_ulp_f64(double a, double b);

/* Mean of all elements. The divisor of model space is the mean of the reference's prefill scaler_scale. */
double od_tensor_mean(const od_tensor *t);

/* A NaN's sign means nothing, and printf shows it. */
double od_unsigned_nan(double x);

bool od_same_shape(const od_tensor *a, const od_tensor *b);

#endif
