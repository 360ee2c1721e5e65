/* Closed forms of the three scalers. */
#include "ref/scaler.h"

#include <math.h>
#include <string.h>

#include "model/rng.h"
#include "tests/ref/suites.h"

enum { N = 24, P = 4 };

static double loc[N], scale[N], x[N];
static uint8_t w[N];
static od_ref_scaler state;

static od_config config_of(enum od_scaler scaler) {
    return (od_config){.patch = P, .scaler = scaler, .stabilize = false, .scale_exponent = 10};
}

static void all_real(void) {
    memset(w, 1, sizeof w);
}

static void run(const od_config *config, size_t n) {
    od_ref_scaler_begin(&state, config, x, w, n);
    od_ref_scaler_next(&state, loc, scale, config, x, w, n);
}

static void near(double got, double want) {
    ck_assert_msg(fabs(got - want) <= 1e-14 * fmax(1, fabs(want)), "%.17g is not %.17g", got, want);
}

/* Dyadic values sum exactly, so that only the minimum is left of the variance. */
START_TEST(a_constant_series_has_only_the_minimum_scale) {
    const od_config config = config_of((enum od_scaler)_i);
    const double minimum = _i == OD_SCALER_STD_MEAN ? 1e-3 : 0.1;
    all_real();
    for (int t = 0; t < N; t++) x[t] = -2.5;
    run(&config, N);
    for (int t = 0; t < N; t++) {
        ck_assert_double_eq(loc[t], -2.5);
        /* Welford's first increment is (x - 0)·(x - x) = 0 */
        ck_assert_double_eq(scale[t], sqrt(minimum));
    }
}
END_TEST

START_TEST(nothing_real_means_loc_0) {
    const od_config config = config_of((enum od_scaler)_i);
    memset(w, 0, sizeof w);
    for (int t = 0; t < N; t++) x[t] = 1000 + t;
    run(&config, N);
    for (int t = 0; t < N; t++) {
        ck_assert_double_eq(loc[t], 0);
        ck_assert_double_eq(scale[t], sqrt(_i == OD_SCALER_STD_MEAN ? 1e-3 : 0.1));
    }
}
END_TEST

/* 1, 2, 3, …: mean (t+2)/2; sum of squares of n = t+1 of them about it (n³ - n)/12, over n - 1 (Bessel), at least 1. */
START_TEST(causal_statistics_of_a_ramp) {
    const od_config config = config_of(OD_SCALER_CAUSAL_STD_MEAN);
    all_real();
    for (int t = 0; t < N; t++) x[t] = t + 1;
    run(&config, N);
    for (int t = 0; t < N; t++) {
        const double n = t + 1;
        near(loc[t], (n + 1) / 2);
        near(scale[t], sqrt((n * n * n - n) / 12 / fmax(n - 1, 1) + 0.1));
    }
}
END_TEST

START_TEST(a_patch_uses_the_values_of_its_last_step) {
    const od_config step = config_of(OD_SCALER_CAUSAL_STD_MEAN), patch = config_of(OD_SCALER_CAUSAL_PATCH_STD_MEAN);
    double step_loc[N], step_scale[N];
    all_real();
    for (int t = 0; t < N; t++) x[t] = t * t % 11;
    run(&step, N);
    memcpy(step_loc, loc, sizeof loc);
    memcpy(step_scale, scale, sizeof scale);
    run(&patch, N);
    for (int t = 0; t < N; t++) {
        ck_assert_double_eq(loc[t], step_loc[t / P * P + P - 1]);
        ck_assert_double_eq(scale[t], step_scale[t / P * P + P - 1]);
    }
}
END_TEST

/* Mean and variance without Bessel, over the prefix alone: later steps change nothing. */
START_TEST(std_mean_is_fixed_by_the_prefix) {
    const od_config config = config_of(OD_SCALER_STD_MEAN);
    all_real();
    for (int t = 0; t < N; t++) x[t] = t < 4 ? t + 1 : 1e9;
    run(&config, 4);
    for (int t = 0; t < 4; t++) {
        near(loc[t], 2.5);
        near(scale[t], sqrt(1.25 + 1e-3));
    }
    od_ref_scaler_next(&state, loc, scale, &config, x + 4, w + 4, P);
    near(loc[P - 1], 2.5);
    near(scale[P - 1], sqrt(1.25 + 1e-3));
}
END_TEST

START_TEST(missing_steps_do_not_count) {
    const od_config config = config_of(OD_SCALER_CAUSAL_STD_MEAN);
    for (int t = 0; t < N; t++) {
        w[t] = t % 2;
        x[t] = w[t] ? t / 2 + 1 : 777; /* the real ones are 1, 2, 3, … */
    }
    run(&config, N);
    for (int t = 1; t < N; t++) {
        const double n = (t + 1) / 2;
        near(loc[t], (n + 1) / 2);
        near(scale[t], sqrt((n * n * n - n) / 12 / fmax(n - 1, 1) + 0.1));
    }
}
END_TEST

/* One real value is its own mean and has no deviation: W is 1, in the prefix and step by step. */
START_TEST(a_single_real_step_is_its_own_mean) {
    const od_config config = config_of((enum od_scaler)_i);
    memset(w, 0, sizeof w);
    for (int t = 0; t < N; t++) x[t] = 777;
    w[2] = 1;
    x[2] = 6;
    run(&config, N);
    for (int t = _i == OD_SCALER_CAUSAL_STD_MEAN ? 2 : 0; t < N; t++) {
        ck_assert_double_eq(loc[t], 6);
        if (_i == OD_SCALER_STD_MEAN) ck_assert_double_eq(scale[t], sqrt(1e-3));
    }
    ck_assert_double_eq(state.global_mean, 6);
    ck_assert_double_eq(state.global_scale, sqrt(_i == OD_SCALER_STD_MEAN ? 1e-3 : 0.1));
}
END_TEST

/* Exponent 0 leaves one value: the global scale of the prefix, or 0.1 where that is larger. */
START_TEST(exponent_0_clamps_to_the_global_scale) {
    od_config config = config_of(OD_SCALER_CAUSAL_PATCH_STD_MEAN);
    config.stabilize = true;
    config.scale_exponent = 0;
    all_real();
    for (int t = 0; t < N; t++) x[t] = t % 2 ? 3 : -3;
    run(&config, N);
    for (int t = 0; t < N; t++) near(scale[t], sqrt(9.1));
    config.scale_exponent = 10; /* wide bounds: back to the causal scale, which Bessel makes larger */
    run(&config, N);
    near(scale[N - 1], sqrt(9.0 * N / (N - 1) + 0.1));
}
END_TEST

START_TEST(clamping_is_two_sided) {
    od_config config = config_of(OD_SCALER_CAUSAL_PATCH_STD_MEAN);
    config.stabilize = true;
    config.scale_exponent = 0.25;
    all_real();
    for (int t = 0; t < N; t++) x[t] = t < P ? 0 : 100; /* causal scale begins below and never leaves the band */
    x[N - 1] = 0;
    run(&config, N);
    const double mean = 1900.0 / N, g = sqrt((5 * mean * mean + 19 * (100 - mean) * (100 - mean)) / N + 0.1);
    near(scale[0], g * pow(10, -0.25));
    config.scale_exponent = 0.01;
    x[N - 1] = 100;
    for (int t = 0; t < N; t++) x[t] = t < P ? (t % 2 ? 100 : -100) : 0; /* begins above */
    run(&config, N);
    near(scale[0], sqrt(10000.0 * P / N + 0.1) * pow(10, 0.01));
}
END_TEST

/* The sums of a call begin where the last call's ended: cutting a series anywhere rounds alike. */
START_TEST(carrying_the_sums_on_rounds_as_recomputing) {
    const od_config config = config_of((enum od_scaler)_i);
    double whole_loc[N], whole_scale[N];
    od_rng rng = od_rng_make(11, (uint64_t)_i);
    all_real();
    for (int t = 0; t < N; t++) {
        x[t] = 1e3 + od_rng_normal(&rng);
        w[t] = od_rng_uniform(&rng) < 0.8;
    }
    od_ref_scaler_begin(&state, &config, x, w, 2 * P);
    od_ref_scaler_next(&state, whole_loc, whole_scale, &config, x, w, N);
    for (size_t cut = P; cut < N; cut += P) {
        od_ref_scaler_begin(&state, &config, x, w, 2 * P);
        od_ref_scaler_next(&state, loc, scale, &config, x, w, cut);
        for (size_t t = cut; t < N; t += P) od_ref_scaler_next(&state, loc + t, scale + t, &config, x + t, w + t, P);
        ck_assert_mem_eq(loc, whole_loc, sizeof loc);
        ck_assert_mem_eq(scale, whole_scale, sizeof scale);
    }
}
END_TEST

Suite *suite_scaler(void) {
    Suite *suite = suite_create("scalers");
    TCase *tc = tcase_create("scalers");
    tcase_add_loop_test(tc, a_constant_series_has_only_the_minimum_scale, 0, 3);
    tcase_add_loop_test(tc, nothing_real_means_loc_0, 0, 3);
    tcase_add_test(tc, causal_statistics_of_a_ramp);
    tcase_add_test(tc, a_patch_uses_the_values_of_its_last_step);
    tcase_add_test(tc, std_mean_is_fixed_by_the_prefix);
    tcase_add_test(tc, missing_steps_do_not_count);
    tcase_add_loop_test(tc, a_single_real_step_is_its_own_mean, 0, 3);
    tcase_add_test(tc, exponent_0_clamps_to_the_global_scale);
    tcase_add_test(tc, clamping_is_two_sided);
    tcase_add_loop_test(tc, carrying_the_sums_on_rounds_as_recomputing, 0, 3);
    suite_add_tcase(suite, tc);
    return suite;
}
