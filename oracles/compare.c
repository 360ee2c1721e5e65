#include "oracles/compare.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "faults/fault.h"

/* Maps the bits of a float to integers whose order and distance are those of the numbers. */
static int64_t ordered_f64(double x) {
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? INT64_MIN - bits : bits;
}

static int32_t ordered_f32(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? INT32_MIN - bits : bits;
}

uint64_t od_ulp_f32(float a, float b) {
    if (isnan(a) || isnan(b)) return UINT64_MAX;
    int64_t d = (int64_t)ordered_f32(a) - ordered_f32(b);
    return (uint64_t)(d < 0 ? -d : d);
}

uint64_t od_ulp_f64(double a, double b) {
    if (isnan(a) || isnan(b)) return UINT64_MAX;
    int64_t x = ordered_f64(a), y = ordered_f64(b);
    return x > y ? (uint64_t)x - (uint64_t)y : (uint64_t)y - (uint64_t)x;
}

bool od_same_shape(const od_tensor *a, const od_tensor *b) {
    return a->rank == b->rank && (a->rank == 0 || memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0);
}

double od_unsigned_nan(double x) {
    return isnan(x) ? (double)NAN : x;
}

static inline double at(const od_tensor *t, size_t i) {
    if (t->dtype == OD_F32) return ((const float *)t->data)[i];
    if (t->dtype == OD_F64) return ((const double *)t->data)[i];
    return od_tensor_at(t, i);
}

double od_tensor_mean(const od_tensor *t) {
    size_t n = od_tensor_size(t);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += at(t, i);
    return sum / (double)n;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double ulp_number(uint64_t ulp) {
    return ulp == UINT64_MAX ? (double)INFINITY : (double)ulp;
}

static enum od_status fill_ulp(od_comparison *out, const od_tensor *ref, const od_tensor *fast, od_error *e) {
    out->ulp_p50 = out->ulp_p99 = out->ulp_max = NAN; /* not known, where there is no memory */
    uint64_t *ulp = calloc(out->n ? out->n : 1, sizeof *ulp);
    if (!ulp) return od_fail(e, OD_NO_MEMORY, "no %zu bytes to rank the differences of %s", out->n * 8, ref->name);
    bool wide = ref->dtype == OD_F64 && fast->dtype == OD_F64;
    for (size_t i = 0; i < out->n; i++) {
        double r = at(ref, i), f = at(fast, i);
        ulp[i] = wide ? od_ulp_f64(r, f) : od_ulp_f32((float)r, (float)f);
    }
    if (out->n) {
        qsort(ulp, out->n, sizeof *ulp, by_size);
        out->ulp_p50 = ulp_number(ulp[(out->n - 1) / 2]);
        out->ulp_p99 = ulp_number(ulp[out->n - 1 - out->n / 100]); /* nearest rank */
        out->ulp_max = ulp_number(ulp[out->n - 1]);
    }
    free(ulp);
    return OD_OK;
}

/* A place where at least one side is no finite number: counts it, and returns the difference there. */
static double odd_place(od_comparison *out, double r, double f, size_t i) {
    out->ref_nan += isnan(r) != 0;
    out->fast_nan += isnan(f) != 0;
    out->ref_inf += isinf(r) != 0;
    out->fast_inf += isinf(f) != 0;
    bool same = (isnan(r) && isnan(f)) || r == f || OD_FAULT_ON(NAN_EQUAL);
    if (!same && out->mismatch++ == 0) out->first_mismatch = i;
    if (OD_FAULT_ON(NAN_EQUAL)) return 0;
    if (isnan(r) || isnan(f)) return NAN;
    return r == f ? 0 : INFINITY;
}

enum od_status od_compare(od_comparison *out, const od_tensor *ref, const od_tensor *fast, double unit, bool with_ulp,
                          od_error *e) {
    assert(unit > 0);
    *out = (od_comparison){.mae = NAN, .max_abs = NAN, .rmse = NAN, .shift = NAN, .nmse = NAN};
    if (!od_same_shape(ref, fast)) {
        char a[128], b[128];
        return od_fail(e, OD_BAD_INPUT, "%s is %s in the reference and %s in the other", ref->name,
                       od_shape_text(a, sizeof a, ref->rank, ref->shape),
                       od_shape_text(b, sizeof b, fast->rank, fast->shape));
    }
    size_t n = od_tensor_size(ref);
    double sum = 0, sum2 = 0, energy = 0, shift = 0, max = -1;
    bool saw_nan = false, zero = n > 0;
    for (size_t i = 0; i < n - OD_FAULT_WHEN(COMPARE_LAST, n > 1); i++) {
        double r = at(ref, i), f = at(fast, i);
        double s = isfinite(r) && isfinite(f) ? f - r : odd_place(out, r, f, i), d = fabs(s);
        zero = zero && r == 0 && f == 0;
        if (!saw_nan && !(d <= max)) { /* larger, or the first NaN */
            saw_nan = isnan(d);
            max = d;
            out->worst = i;
            out->ref_worst = od_unsigned_nan(r);
            out->fast_worst = od_unsigned_nan(f);
        }
        sum += d;
        shift += s;
        sum2 += d * d;
        energy += isinf(r) ? 0 : r * r;
    }
    out->n = n;
    out->all_zero = zero;
    if (n > 0) {
        out->mae = sum / (double)n / unit;
        out->max_abs = max / unit;
        out->shift = shift / (double)n / unit;
        out->rmse = sqrt(sum2 / (double)n) / unit;
        out->nmse = sum2 == 0 ? 0 : isinf(sum2) ? INFINITY : sum2 / energy;
    }
    return with_ulp ? fill_ulp(out, ref, fast, e) : OD_OK;
}
