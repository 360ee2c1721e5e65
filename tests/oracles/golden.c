/* compare A B: two sets of tensors, small ones by hand. */
#include "oracles/golden.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/suites.h"

enum { MOST = 5 };

/* scaler_scale's mean is 4; a patch has 2 steps, a forecast 4. */
static float scale_a[] = {2, 6}, loc_a[] = {1, 2}, forecast_a[] = {1, 2, 3, 4}, series_a[] = {7};
static float scale_b[2], loc_b[2], forecast_b[4], series_b[1];
static od_tensor a[MOST], b[MOST];
static od_safetensors A, B;
static od_golden g;

static void put(od_tensor *t, const char *name, const float *x, size_t n) {
    size_t shape[] = {1, 1, n};
    od_tensor_set(t, name, OD_F32, 3, shape, x);
}

static void setup(void) {
    loc_a[0] = 1;
    memcpy(scale_b, scale_a, sizeof scale_b);
    memcpy(loc_b, loc_a, sizeof loc_b);
    memcpy(forecast_b, forecast_a, sizeof forecast_b);
    memcpy(series_b, series_a, sizeof series_b);
    for (int side = 0; side < 2; side++) {
        od_tensor *t = side ? b : a;
        put(&t[0], "forecast_cached", side ? forecast_b : forecast_a, 4);
        put(&t[1], "in.series", side ? series_b : series_a, 1);
        put(&t[2], "prefill.scaler_scale", side ? scale_b : scale_a, 2);
        put(&t[3], "uncached.0.loc", side ? loc_b : loc_a, 2);
    }
    A = (od_safetensors){.n_tensor = 4, .tensors = a};
    B = (od_safetensors){.n_tensor = 4, .tensors = b};
}

/* Number of bad tensors. */
static size_t bad(double relative) {
    od_error e = {0};
    ck_assert_msg(od_golden_compare(&g, &A, &B, relative, &e) == OD_OK, "%s", e.text);
    size_t n = g.n_bad;
    od_golden_free(&g);
    return n;
}

START_TEST(equal_files_agree_in_every_tensor_but_the_inputs) {
    series_b[0] = 8;
    od_error e;
    ck_assert_int_eq(od_golden_compare(&g, &A, &B, -1, &e), OD_OK);
    ck_assert_uint_eq(g.n, 3);
    ck_assert_uint_eq(g.n_compared, 3);
    ck_assert_uint_eq(g.n_bad, 0);
    od_golden_free(&g);
}
END_TEST

START_TEST(missing_extra_and_misshapen_tensors_fail) {
    B.n_tensor = 3; /* without uncached.0.loc */
    ck_assert_uint_eq(bad(-1), 1);
    B.n_tensor = 4;
    put(&b[3], "uncached.0.scale", loc_b, 2); /* one missing, one too many */
    ck_assert_uint_eq(bad(-1), 2);
    put(&b[3], "uncached.0.loc", loc_b, 1);
    ck_assert_uint_eq(bad(-1), 1);
    ck_assert_uint_eq(bad(1e-3), 1);
}
END_TEST

START_TEST(worst_stand_first) {
    loc_b[0] = 1.5f;
    od_error e;
    ck_assert_int_eq(od_golden_compare(&g, &A, &B, -1, &e), OD_OK);
    ck_assert_str_eq(g.row[0].name, "uncached.0.loc");
    ck_assert_int_eq(g.row[0].state, OD_GOLDEN_DIFFERS);
    ck_assert_double_eq(g.row[0].cmp.mae, 0.25);
    od_golden_free(&g);
}
END_TEST

START_TEST(nan_differs_in_either_mode) {
    loc_b[1] = NAN;
    ck_assert_uint_eq(bad(-1), 1);
    ck_assert_uint_eq(bad(1e-3), 1);
    loc_b[1] = loc_a[1];
    forecast_b[3] = NAN; /* behind the first patch */
    ck_assert_uint_eq(bad(-1), 1);
    forecast_b[3] = forecast_a[3];
    forecast_b[0] = INFINITY;
    ck_assert_uint_eq(bad(-1), 1);
    ck_assert_uint_eq(bad(1e-3), 1);
}
END_TEST

/* 2^-18 over 2 elements: MAE 1.9e-6, in data space divided by 4: 4.8e-7. */
START_TEST(scaler_tensors_are_held_in_model_space) {
    loc_b[0] = 1 + 0x1p-18f;
    ck_assert_uint_eq(bad(-1), 1);
    loc_b[0] = 1;
    scale_b[0] = 2 + 0x1p-18f;
    ck_assert_uint_eq(bad(-1), 0);
    scale_b[0] = 2 + 0x1p-16f;
    ck_assert_uint_eq(bad(-1), 1);
}
END_TEST

/* First patch: 2^-17 over 2 steps and the scale 4 is 9.5e-7, twice that too much. Behind it 2^-14 over 4 steps is
 * 3.8e-6 of 1e-5, four times that too much. */
START_TEST(forecasts_are_held_to_two_bounds) {
    forecast_b[0] = 1 + 0x1p-17f;
    ck_assert_uint_eq(bad(-1), 0);
    forecast_b[0] = 1 + 0x1p-16f;
    ck_assert_uint_eq(bad(-1), 1);
    forecast_b[0] = 1;
    forecast_b[3] = 4 + 0x1p-14f;
    ck_assert_uint_eq(bad(-1), 0);
    forecast_b[3] = 4 + 0x1p-12f;
    ck_assert_uint_eq(bad(-1), 1);
}
END_TEST

/* |a-b| <= X·max(1, |a|): at 4 a difference of 2^-10 needs X = 2^-12, at 1 it needs 2^-10. */
START_TEST(relative_bounds_are_met_exactly) {
    forecast_b[3] = 4 + 0x1p-10f;
    ck_assert_uint_eq(bad(0x1p-12), 0);
    ck_assert_uint_eq(bad(nextafter(0x1p-12, 0)), 1);
    forecast_b[3] = 4;
    loc_b[0] = 1 + 0x1p-10f;
    ck_assert_uint_eq(bad(0x1p-10), 0);
    ck_assert_uint_eq(bad(nextafter(0x1p-10, 0)), 1);
}
END_TEST

START_TEST(relative_bounds_are_absolute_below_one_and_equal_infinities_agree) {
    loc_a[0] = 1e-3f;
    loc_b[0] = nextafterf(1e-3f, 1); /* 1.2e-10 away */
    ck_assert_uint_eq(bad(1e-9), 0);
    ck_assert_uint_eq(bad(1e-10), 1);
    loc_a[0] = loc_b[0] = INFINITY;
    ck_assert_uint_eq(bad(1e-9), 0);
    loc_b[0] = -INFINITY;
    ck_assert_uint_eq(bad(1e-9), 1);
}
END_TEST

START_TEST(a_forecast_without_rows_and_steps_is_refused) {
    od_error e;
    for (size_t rank = 0; rank < 5; rank++) {
        const size_t one[] = {1, 1, 1, 1};
        od_tensor_set(&a[0], "forecast_cached", OD_F32, rank, one, forecast_a);
        od_tensor_set(&b[0], "forecast_cached", OD_F32, rank, one, forecast_b);
        ck_assert_int_eq(od_golden_compare(&g, &A, &B, -1, &e), rank == 3 ? OD_OK : OD_BAD_INPUT);
        if (rank != 3) ck_assert_ptr_nonnull(strstr(e.text, "[B, V, N]"));
        od_golden_free(&g);
    }
}
END_TEST

START_TEST(empty_tensors_count_as_nothing_compared) {
    put(&a[0], "uncached.0.df", forecast_a, 0);
    put(&b[0], "uncached.0.df", forecast_b, 0);
    A.n_tensor = B.n_tensor = 1;
    od_error e;
    ck_assert_int_eq(od_golden_compare(&g, &A, &B, -1, &e), OD_OK);
    ck_assert_uint_eq(g.n_bad, 0);
    ck_assert_uint_eq(g.n_compared, 0);
    od_golden_free(&g);
}
END_TEST

START_TEST(a_reference_that_defines_no_model_space_is_refused) {
    od_error e;
    A.n_tensor = 2; /* a forecast, and neither scale nor patch */
    ck_assert_int_eq(od_golden_compare(&g, &A, &B, -1, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "prefill.scaler_scale"));
    A.n_tensor = 3;
    ck_assert_int_eq(od_golden_compare(&g, &A, &B, -1, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "uncached.0.loc"));
    scale_a[0] = -10;
    A.n_tensor = 4;
    ck_assert_int_eq(od_golden_compare(&g, &A, &B, -1, &e), OD_BAD_INPUT);
    scale_a[0] = 2;
}
END_TEST

/* In a file a tensor may begin at any byte. */
START_TEST(unaligned_data_is_read) {
    char bytes[1 + sizeof loc_a];
    memcpy(bytes + 1, loc_a, sizeof loc_a);
    put(&b[3], "uncached.0.loc", NULL, 2);
    b[3].data = bytes + 1;
    ck_assert_uint_eq(bad(-1), 0);
}
END_TEST

Suite *suite_golden(void) {
    Suite *s = suite_create("golden");
    TCase *t = tcase_create("golden");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, equal_files_agree_in_every_tensor_but_the_inputs);
    tcase_add_test(t, missing_extra_and_misshapen_tensors_fail);
    tcase_add_test(t, worst_stand_first);
    tcase_add_test(t, nan_differs_in_either_mode);
    tcase_add_test(t, scaler_tensors_are_held_in_model_space);
    tcase_add_test(t, forecasts_are_held_to_two_bounds);
    tcase_add_test(t, relative_bounds_are_met_exactly);
    tcase_add_test(t, relative_bounds_are_absolute_below_one_and_equal_infinities_agree);
    tcase_add_test(t, a_forecast_without_rows_and_steps_is_refused);
    tcase_add_test(t, empty_tensors_count_as_nothing_compared);
    tcase_add_test(t, a_reference_that_defines_no_model_space_is_refused);
    tcase_add_test(t, unaligned_data_is_read);
    suite_add_tcase(s, t);
    return s;
}
