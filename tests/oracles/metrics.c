/* Every metric of a comparison, and the verdicts that follow, over values that are no ordinary numbers: the table of
 * what compare.h and tolerance.h say. CMake builds this file with each compiler at -O2 and at -O3 (OD_METRICS_ALONE),
 * since a comparison that lets NaN through may do so under one of them alone. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/compare.h"
#include "oracles/tolerance.h"
#include "tests/oracles/suites.h"

#define FINE      0x1p-149  /* the smallest float32 */
#define FINEST    0x1p-1074 /* the smallest float64 */
#define INF       ((double)INFINITY)
#define NO_NUMBER NAN, NAN, NAN, NAN
#define INFINITE  INF, INF, INF, INF
#define BOTH_F64                                                                                                       \
    { OD_F64, OD_F64 }
#define ULP_1     0x1.fcp29 /* float32, from 0: its bits as a number */
#define ULP_2     0x1p30    /* from 1 to infinity are as many */
#define ULP_4     0x1.02p30
#define ULP_INF   0x1.fep30
#define MAX_SIGN  (2 * ULP_INF - 2)
#define ULP_600   0x1.95cp62 /* float64, 2^600 */
#define ULP_MAX64 0x1.ffcp62 /* the largest, rounded */

enum { MAX_VALUES = 4 };

/* Values as doubles; od_tensor holds them in the types of `as`. `unit` is 2 unless said otherwise. Pairs: the
 * reference's, the fast path's. */
static const struct row {
    const char *what;
    size_t n;
    double ref[MAX_VALUES], fast[MAX_VALUES];
    double mae, max_abs, rmse, nmse, ulp[3]; /* median, 99th percentile, largest */
    size_t worst, mismatch, first, nan[2], inf[2];
    bool within, all_zero; /* within the contract */
    enum od_dtype as[2];
    double unit;
} table[] = {
    {"equal", 2, {1, -2}, {1, -2}, .within = true},
    {"one value off", 4, {3, 0, 4, 0}, {3, 0, 0, 0}, 0.5, 2, 1, 16 / 25.0, {0, ULP_4, ULP_4}, 2},
    {"NaN in ref", 2, {NAN, 2}, {1, 2}, NO_NUMBER, {0, INF, INF}, 0, 1, 0, {1, 0}},
    {"NaN in fast", 2, {1, 2}, {1, NAN}, NO_NUMBER, {0, INF, INF}, 1, 1, 1, {0, 1}},
    {"NaN in both", 2, {1, NAN}, {1, NAN}, NO_NUMBER, {0, INF, INF}, 1, 0, 0, {1, 1}},
    {"NaN everywhere", 2, {NAN, NAN}, {NAN, NAN}, NO_NUMBER, {INF, INF, INF}, 0, 0, 0, {2, 2}},
    {"NaN in other places", 2, {NAN, 1}, {1, NAN}, NO_NUMBER, {INF, INF, INF}, 0, 2, 0, {1, 1}},
    {"NaN's sign", 1, {-NAN}, {NAN}, NO_NUMBER, {INF, INF, INF}, 0, 0, 0, {1, 1}},
    {"NaN for 0", 1, {0}, {NAN}, NO_NUMBER, {INF, INF, INF}, 0, 1, 0, {0, 1}},
    {"NaN for Inf", 1, {INF}, {NAN}, NO_NUMBER, {INF, INF, INF}, 0, 1, 0, {0, 1}, {1, 0}},
    {"NaN behind Inf", 3, {1, 1, 1}, {1, INF, NAN}, NO_NUMBER, {ULP_2, INF, INF}, 2, 2, 1, {0, 1}, {0, 1}},
    {"NaN, float64", 2, {1, NAN}, {1, 1}, NO_NUMBER, {0, INF, INF}, 1, 1, 1, {1, 0}, .as = BOTH_F64},
    {"NaN for a byte", 1, {1}, {NAN}, NO_NUMBER, {INF, INF, INF}, 0, 1, 0, {0, 1}, .as = {OD_U8}},
    {"Inf in ref", 2, {INF, 2}, {1, 2}, INFINITE, {0, ULP_2, ULP_2}, 0, 1, 0, {0}, {1, 0}},
    {"-Inf in fast", 2, {2, -1}, {2, -INF}, INFINITE, {0, ULP_2, ULP_2}, 1, 1, 1, {0}, {0, 1}},
    {"Inf in both", 2, {INF, -INF}, {INF, -INF}, .inf = {2, 2}, .within = true},
    {"and 4 off", 4, {INF, 4, 1, 1}, {INF, 0, 1, 1}, 0.5, 2, 1, 16 / 18.0, {0, ULP_4, ULP_4}, 1, .inf = {1, 1}},
    {"Inf for -Inf", 1, {-INF}, {INF}, INFINITE, {2 * ULP_INF, 2 * ULP_INF, 2 * ULP_INF}, 0, 1, 0, {0}, {1, 1}},
    {"Inf for the largest", 1, {FLT_MAX}, {INF}, INFINITE, {1, 1, 1}, 0, 1, 0, {0}, {0, 1}},
    {"all zero", 3, {0, -0.0, 0}, {0, 0, -0.0}, .all_zero = true, .within = true},
    {"ref zero", 4, {0}, {0, 0, 0, 2}, 0.25, 1, 0.5, INF, {0, ULP_2, ULP_2}, 3},
    {"fast zero", 4, {0, 2}, {0}, 0.25, 1, 0.5, 1, {0, ULP_2, ULP_2}, 1},
    {"empty", 0, {0}, {0}, NO_NUMBER, {NAN, NAN, NAN}},
    {"subnormal", 2, {FINE, -FINE}, {FINE, -FINE}, .within = true},
    {"0 for subnormal", 1, {FINE}, {0}, FINE / 2, FINE / 2, FINE / 2, 1, {1, 1, 1}, .within = true},
    {"subnormal for 0", 1, {0}, {-FINE}, FINE / 2, FINE / 2, FINE / 2, INF, {1, 1, 1}, .within = true},
    {"subnormal's sign", 1, {FINE}, {-FINE}, FINE, FINE, FINE, 4, {2, 2, 2}, .within = true},
    {"next to normal",
     1,
     {FLT_MIN},
     {FLT_MIN - FINE},
     FINE / 2,
     FINE / 2,
     FINE / 2,
     0x1p-46,
     {1, 1, 1},
     .within = true},
    {"0 for the finest", 1, {FINEST}, {0}, FINEST, FINEST, 0, 0, {1, 1, 1}, .as = BOTH_F64, .unit = 1, .within = true},
    {"the largest's sign", 1, {FLT_MAX}, {-FLT_MAX}, FLT_MAX, FLT_MAX, FLT_MAX, 4, {MAX_SIGN, MAX_SIGN, MAX_SIGN}},
    {"past float64", 1, {DBL_MAX}, {-DBL_MAX}, INFINITE, {2 * ULP_MAX64, 2 * ULP_MAX64, 2 * ULP_MAX64}, .as = BOTH_F64},
    {"sum past it",
     2,
     {DBL_MAX, DBL_MAX},
     {0},
     INF,
     DBL_MAX / 2,
     INF,
     INF,
     {ULP_MAX64, ULP_MAX64, ULP_MAX64},
     .as = BOTH_F64},
    {"squares past it", 1, {0x1p600}, {0}, 0x1p599, 0x1p599, INF, INF, {ULP_600, ULP_600, ULP_600}, .as = BOTH_F64},
    {"energy past it", 1, {0x1p600}, {0x1p600}, .as = BOTH_F64, .within = true},
    {"float64 for float32",
     1,
     {0.5},
     {0.5 + 0x1p-30},
     0x1p-31,
     0x1p-31,
     0x1p-31,
     0x1p-58,
     {0},
     .as = {OD_F32, OD_F64},
     .within = true},
    {"float32 for integers", 3, {3, -1, 0}, {3, -1, 0}, .as = {OD_I32}, .within = true},
    {"float32 for bytes", 4, {255}, {255, 1}, 0.125, 0.5, 0.25, 1 / 65025.0, {0, ULP_1, ULP_1}, 1, .as = {OD_U8}},
};
enum { ROWS = sizeof table / sizeof table[0] };

/* What od_tensor points to. */
typedef union values {
    float f32[MAX_VALUES];
    double f64[MAX_VALUES];
    int32_t i32[MAX_VALUES];
    uint8_t u8[MAX_VALUES];
} values;

static void put(od_tensor *t, values *v, enum od_dtype type, const double *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (type == OD_F32) v->f32[i] = (float)x[i];
        if (type == OD_F64) v->f64[i] = x[i];
        if (type == OD_I32) v->i32[i] = (int32_t)x[i];
        if (type == OD_U8) v->u8[i] = (uint8_t)x[i];
    }
    od_tensor_set(t, "loc", type, 1, &n, v);
}

static values a, b; /* what both tensors point to */
static od_tensor ref, fast;

static od_comparison compared(const struct row *row) {
    od_comparison c;
    put(&ref, &a, row->as[0], row->ref, row->n);
    put(&fast, &b, row->as[1], row->fast, row->n);
    ck_assert_int_eq(od_compare(&c, &ref, &fast, row->unit > 0 ? row->unit : 2, true, NULL), OD_OK);
    return c;
}

static void expect(const struct row *row, const char *metric, double is, double wanted) {
    const bool same = isnan(wanted) ? isnan(is) != 0 : is == wanted;
    ck_assert_msg(same, "%s: %s is %.17g, not %.17g", row->what, metric, is, wanted);
}

static bool is_within(const od_comparison *c) {
    return od_within(c->mae, od_bounds.mae) && od_within(c->max_abs, od_bounds.max_abs);
}

START_TEST(each_metric_is_as_documented) {
    const struct row *row = &table[_i];
    const od_comparison c = compared(row);
    expect(row, "n", (double)c.n, (double)row->n);
    expect(row, "mae", c.mae, row->mae);
    expect(row, "max_abs", c.max_abs, row->max_abs);
    expect(row, "rmse", c.rmse, row->rmse);
    expect(row, "nmse", c.nmse, row->nmse);
    expect(row, "ulp_p50", c.ulp_p50, row->ulp[0]);
    expect(row, "ulp_p99", c.ulp_p99, row->ulp[1]);
    expect(row, "ulp_max", c.ulp_max, row->ulp[2]);
    expect(row, "worst", (double)c.worst, (double)row->worst);
    expect(row, "mismatch", (double)c.mismatch, (double)row->mismatch);
    expect(row, "first_mismatch", (double)c.first_mismatch, (double)row->first);
    expect(row, "ref_nan", (double)c.ref_nan, (double)row->nan[0]);
    expect(row, "fast_nan", (double)c.fast_nan, (double)row->nan[1]);
    expect(row, "ref_inf", (double)c.ref_inf, (double)row->inf[0]);
    expect(row, "fast_inf", (double)c.fast_inf, (double)row->inf[1]);
    expect(row, "all_zero", c.all_zero, row->all_zero);
    if (row->n > 0) expect(row, "ref_worst", c.ref_worst, od_tensor_at(&ref, row->worst));
    if (row->n > 0) expect(row, "fast_worst", c.fast_worst, od_tensor_at(&fast, row->worst));
}
END_TEST

/* The verdicts: the contract, its share, and that what is no number holds no bound, however wide. */
START_TEST(each_verdict_is_as_documented) {
    const struct row *row = &table[_i];
    const od_comparison c = compared(row);
    const double share = od_contract_share(c.mae, c.max_abs);
    ck_assert_msg(is_within(&c) == row->within, "%s: within the contract: %d", row->what, is_within(&c));
    ck_assert_msg(od_within(share, 1) == row->within, "%s: a share of %g", row->what, share);
    ck_assert_msg(!isnan(share), "%s: no share", row->what);
    const double metrics[] = {c.mae, c.max_abs, c.rmse, c.nmse, c.ulp_p50, c.ulp_p99, c.ulp_max};
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        ck_assert_msg(od_within(metrics[i], DBL_MAX) == (isfinite(metrics[i]) != 0), "%s: metric %zu is %g", row->what,
                      i, metrics[i]);
}
END_TEST

START_TEST(other_shapes_are_refused_and_hold_no_bound) {
    static const struct {
        size_t rank, shape[3];
    } shapes[] = {{1, {2}}, {1, {3}}, {2, {2, 1}}, {2, {1, 2}}, {1, {0}}, {0, {0}}, {3, {2, 1, 1}}};
    enum { SHAPES = sizeof shapes / sizeof shapes[0] };
    const float zero[MAX_VALUES] = {0};
    for (size_t i = 0; i < SHAPES; i++)
        for (size_t k = 0; k < SHAPES; k++) {
            od_comparison c;
            od_error e = {0};
            od_tensor_set(&ref, "loc", OD_F32, shapes[i].rank, shapes[i].shape, zero);
            od_tensor_set(&fast, "loc", OD_F32, shapes[k].rank, shapes[k].shape, zero);
            ck_assert_int_eq(od_compare(&c, &ref, &fast, 1, true, &e), i == k ? OD_OK : OD_BAD_INPUT);
            if (i == k) continue;
            ck_assert_msg(!is_within(&c) && !c.all_zero && c.n == 0, "shapes %zu and %zu", i, k);
            ck_assert(isnan(c.mae) && isnan(c.max_abs) && isnan(c.rmse) && isnan(c.nmse));
            ck_assert_msg(strstr(e.text, "in the reference") != NULL, "%s", e.text);
        }
}
END_TEST

Suite *suite_metrics(void) {
    Suite *s = suite_create("metrics");
    TCase *t = tcase_create("metrics");
    tcase_add_loop_test(t, each_metric_is_as_documented, 0, ROWS);
    tcase_add_loop_test(t, each_verdict_is_as_documented, 0, ROWS);
    tcase_add_test(t, other_shapes_are_refused_and_hold_no_bound);
    suite_add_tcase(s, t);
    return s;
}

#ifdef OD_METRICS_ALONE
int main(void) {
    SRunner *runner = srunner_create(suite_metrics());
    srunner_run_all(runner, CK_NORMAL);
    const int run = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return run == 2 * ROWS + 1 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
#endif
