/* Pins how the project's flags treat NaN: every verdict is `ok = err <= bound`, which must be false for a NaN.
 * Under -ffast-math or -Ofast these tests fail, and so would every oracle, silently. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

/* volatile: the compiler must compare at run time, as the oracles do */
static volatile double nan_value, inf_value, bound = 1e-6, zero;

static void set_up(void) {
    nan_value = zero / zero;
    inf_value = 1.0 / zero;
}

START_TEST(nan_is_within_no_bound) {
    double err = nan_value;
    ck_assert(!(err <= bound));
    ck_assert(!(err > bound)); /* why no verdict is written this way round */
    ck_assert(!((float)err <= (float)bound));
}
END_TEST

START_TEST(infinity_is_within_no_bound) {
    double err = inf_value;
    ck_assert(!(err <= bound));
    ck_assert(!(err - err <= bound));
}
END_TEST

START_TEST(nan_and_infinity_are_seen) {
    double x = nan_value, y = inf_value;
    ck_assert(isnan(x) && !isfinite(x) && x != x);
    ck_assert(isinf(y) && !isfinite(y));
}
END_TEST

START_TEST(a_nan_survives_a_sum) {
    double sum = 0;
    for (int i = 0; i < 8; i++) sum += i == 3 ? nan_value : 1.0;
    ck_assert(!(sum <= DBL_MAX));
}
END_TEST

START_TEST(sums_keep_their_order) {
    volatile float big = 1e8f, one = 1.0f;
    float there_and_back = (big + one) - big; /* reassociated it would be 1 */
    ck_assert(there_and_back == 0.0f);
}
END_TEST

START_TEST(products_are_not_contracted) {
    /* (1+2^-12)^2 = 1 + 2^-11 + 2^-24 rounds to 1 + 2^-11; fused with the subtraction, 2^-24 would remain */
    volatile float a = 1.0f + 0x1p-12f, c = -(1.0f + 0x1p-11f);
    float a1 = a, c1 = c;
    ck_assert(a1 * a1 + c1 == 0.0f);
}
END_TEST

START_TEST(denormals_are_kept) {
    volatile float tiny = FLT_MIN;
    float half = tiny / 2;
    ck_assert(half > 0 && half * 2 == tiny);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("checks");
    TCase *tests = tcase_create("floats");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, nan_is_within_no_bound);
    tcase_add_test(tests, infinity_is_within_no_bound);
    tcase_add_test(tests, nan_and_infinity_are_seen);
    tcase_add_test(tests, a_nan_survives_a_sum);
    tcase_add_test(tests, sums_keep_their_order);
    tcase_add_test(tests, products_are_not_contracted);
    tcase_add_test(tests, denormals_are_kept);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
