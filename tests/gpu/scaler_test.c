/* The scalers' kernel alone: statistics whose closed forms are known, whole and carried on from call to call. */
#include <math.h>
#include <string.h>

#include "model/config.h"
#include "tests/gpu/kernel_run.h"

enum { THREADS = 8, MOST = THREADS + 1, STRIDE = 8, STEPS = 6, PATCH = 2 };
static const size_t rows_of[] = {1, THREADS - 1, THREADS, THREADS + 1};
enum { RUNS = 4 * TEST_ORDERS };

typedef struct scaled {
    float loc[MOST * STRIDE], scale[MOST * STRIDE];
} scaled;

/* Row r is the series x; where cut is not 0, a first call ends at that step and a second goes on. The prefix is of
 * `prefix` steps. What an earlier series left is what the first call begins with. */
static void scale(scaled *out, int i, const od_scaler_args *how, const float *x, const uint8_t *w, uint32_t prefix,
                  uint32_t cut) {
    const size_t rows = rows_of[i / TEST_ORDERS];
    static float value[MOST * STRIDE];
    static uint8_t mask[MOST * STRIDE];
    for (size_t at = 0; at < MOST * STRIDE; at++) {
        const size_t t = at % STRIDE;
        value[at] = t < STEPS ? x[t] : NAN;
        mask[at] = t < STEPS ? w[t] : 1;
    }
    od_scaler_state stale[MOST]; /* of another series, with bounds that nothing lies between */
    for (size_t row = 0; row < MOST; row++)
        stale[row] = (od_scaler_state){
            .weight = 9, .sum = 99, .m2 = 999, .mean = -9, .low = 1e6, .high = 1e-6, .loc = 77, .scale = 88};
    od_call call = {.value = PUT(value),
                    .mask = PUT(mask),
                    .loc = test_kernel_put(NULL, sizeof out->loc),
                    .scale = test_kernel_put(NULL, sizeof out->scale),
                    .state = test_kernel_put(stale, rows * sizeof(od_scaler_state)),
                    .step_stride = STRIDE,
                    .prefix = prefix};
    od_scaler_args args = *how;
    args.rows = (uint32_t)rows;
    args.patch = PATCH;
    args.last_count = cut ? cut : STEPS;
    args.call = test_kernel_put(&call, sizeof call);
    RUN(i % TEST_ORDERS, scaler, test_cover(rows, THREADS), args);
    if (cut) {
        call.first_step = cut;
        args.last_count = STEPS - cut;
        args.call = test_kernel_put(&call, sizeof call);
        RUN(i % TEST_ORDERS, scaler, test_cover(rows, THREADS), args);
    }
    GET(out->loc, call.loc);
    GET(out->scale, call.scale);
}

/* Every row holds the same, steps past STEPS and rows past the last nothing. */
static void expect(const scaled *got, int i, const float *loc, const float *scale) {
    for (size_t at = 0; at < MOST * STRIDE; at++) {
        const size_t t = at % STRIDE;
        if (t >= STEPS || at / STRIDE >= rows_of[i / TEST_ORDERS]) {
            ck_assert(isnan(got->loc[at]) && isnan(got->scale[at]));
            continue;
        }
        ck_assert_float_eq(got->loc[at], loc[t]);
        ck_assert_float_eq(got->scale[at], scale[t]);
    }
}

static const uint8_t ones[STEPS] = {1, 1, 1, 1, 1, 1};
static const od_scaler_args std_mean = {
    .minimum = 1e-3, .low_factor = 1e-10, .high_factor = 1e10, .kind = OD_SCALER_STD_MEAN};
static const od_scaler_args causal = {
    .minimum = 0.1, .low_factor = 1e-10, .high_factor = 1e10, .kind = OD_SCALER_CAUSAL_STD_MEAN};

static float root(double variance, double minimum) {
    return (float)sqrt(variance + minimum);
}

/* 3 ± 1 over the prefix of 4; what comes later, however large, changes nothing, nor does a masked value. */
START_TEST(std_mean_is_of_the_prefix_and_its_real_values) {
    const float x[STEPS] = {2, 4, 2, 4, 1000, -1000}, holes[STEPS] = {2, 77, 4, 77, 5, 5};
    const uint8_t some[STEPS] = {1, 0, 1, 0, 1, 1}, none[STEPS] = {0};
    const float s = root(1, 1e-3), bare = root(0, 1e-3);
    const float three[STEPS] = {3, 3, 3, 3, 3, 3}, sd[STEPS] = {s, s, s, s, s, s};
    const float zero[STEPS] = {0}, least[STEPS] = {bare, bare, bare, bare, bare, bare};
    scaled got;
    for (uint32_t cut = 0; cut <= 4; cut += 4) {
        scale(&got, _i, &std_mean, x, ones, 4, cut);
        expect(&got, _i, three, sd);
    }
    scale(&got, _i, &std_mean, holes, some, 4, 4);
    expect(&got, _i, three, sd);
    scale(&got, _i, &std_mean, x, none, 4, 0);
    expect(&got, _i, zero, least);
    const float six[STEPS] = {6, 6, 6, 6, 6, 6}, single[STEPS] = {77, 6, 77, 77, 5, 5};
    const uint8_t second[STEPS] = {0, 1}; /* one real value is its own mean */
    scale(&got, _i, &std_mean, single, second, 4, 4);
    expect(&got, _i, six, least);
}
END_TEST

/* 0, 2, 4, …: the mean of t+1 of them is t, their sum of squares 4·(0² + … + t²) - (t+1)·t², the variance of Bessel. */
START_TEST(causal_statistics_are_of_the_steps_so_far_and_carry_on) {
    const float x[STEPS] = {0, 2, 4, 6, 8, 10};
    float loc[STEPS], sd[STEPS];
    scaled got;
    double squares = 0;
    for (int t = 0; t < STEPS; t++) {
        squares += 4.0 * t * t;
        loc[t] = (float)t;
        sd[t] = root(t ? (squares - (t + 1.0) * t * t) / t : 0, 0.1);
    }
    for (uint32_t cut = 0; cut < STEPS; cut += 2) {
        scale(&got, _i, &causal, x, ones, cut ? cut : STEPS, cut);
        expect(&got, _i, loc, sd);
    }
    od_scaler_args patches = causal;
    patches.kind = OD_SCALER_CAUSAL_PATCH_STD_MEAN;
    for (int t = 0; t < STEPS; t += PATCH) { /* each patch has its last step's */
        loc[t] = loc[t + 1];
        sd[t] = sd[t + 1];
    }
    for (uint32_t cut = 0; cut < STEPS; cut += 2) {
        scale(&got, _i, &patches, x, ones, cut ? cut : STEPS, cut);
        expect(&got, _i, loc, sd);
    }
}
END_TEST

/* Nothing real until step 3, then 5, 7, 9: W is at least 1, masked values do not count, and mean_{t-1} is 0 at first.
 */
START_TEST(masked_steps_do_not_enter_causal_statistics) {
    const float x[STEPS] = {9, -9, 9, 5, 7, 9};
    const uint8_t w[STEPS] = {0, 0, 0, 1, 1, 1};
    const float loc[STEPS] = {0, 0, 0, 5, 6, 7};
    const float bare = root(0, 0.1), sd[STEPS] = {bare, bare, bare, bare, root(2, 0.1), root(4, 0.1)};
    scaled got;
    for (uint32_t cut = 0; cut < STEPS; cut += 2) {
        scale(&got, _i, &causal, x, w, cut ? cut : STEPS, cut);
        expect(&got, _i, loc, sd);
    }
}
END_TEST

/* g of the prefix {-3, 3} is √9.1. Exponent 0: the scale is g everywhere, though its own is less at first and larger at
 * last. Exponent 10 leaves it alone; factors of 0.01 both leave 0.01·g, below what an unclamped scale can be. */
START_TEST(the_stabilised_scale_is_clamped_by_the_prefix) {
    const float x[STEPS] = {-3, 3, 30, -30, 30, -30}, flat[STEPS] = {0};
    const float g = root(9, 0.1), all_g[STEPS] = {g, g, g, g, g, g};
    od_scaler_args how = causal;
    scaled free_scale, got;
    how.kind = OD_SCALER_CAUSAL_PATCH_STD_MEAN;
    scale(&free_scale, _i, &how, x, ones, 2, 2);
    how.stabilize = 1;
    scale(&got, _i, &how, x, ones, 2, 2);
    expect(&got, _i, free_scale.loc, free_scale.scale);
    how.low_factor = how.high_factor = 1;
    scale(&got, _i, &how, x, ones, 2, 2);
    expect(&got, _i, free_scale.loc, all_g);
    how.low_factor = how.high_factor = 0.01;
    const float low = (float)(sqrt(0.1) * 0.01), zero[STEPS] = {0}, lows[STEPS] = {low, low, low, low, low, low};
    scale(&got, _i, &how, flat, ones, 2, 2);
    expect(&got, _i, zero, lows);
}
END_TEST

Suite *suite_scaler(void) {
    Suite *suite = suite_create("scaler");
    TCase *tc = tcase_create("closed forms");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(tc, std_mean_is_of_the_prefix_and_its_real_values, 0, RUNS);
    tcase_add_loop_test(tc, causal_statistics_are_of_the_steps_so_far_and_carry_on, 0, RUNS);
    tcase_add_loop_test(tc, masked_steps_do_not_enter_causal_statistics, 0, RUNS);
    tcase_add_loop_test(tc, the_stabilised_scale_is_clamped_by_the_prefix, 0, RUNS);
    suite_add_tcase(suite, tc);
    return suite;
}
