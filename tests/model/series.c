/* Generated series: what each generator's definition says of its numbers. Statistical bounds are five standard errors
 * of the statistic, so that a right generator fails one test in a million; seeds are fixed, so that none does. */
#include "model/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/suites.h"

enum { LONG = 20000 };

static od_series make(enum od_generator g, size_t b, size_t v, size_t n, uint64_t seed, double scale) {
    od_series s;
    od_error e;
    ck_assert_msg(od_series_alloc(&s, b, v, n, &e) == OD_OK, "%s", e.text);
    od_series_generate(&s, g, seed, scale);
    return s;
}

static double mean_of(const float *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

static double square_of(const float *x, size_t n, double mean) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return sum / (double)n;
}

START_TEST(names_differ) {
    for (int i = 0; i < OD_GENERATORS; i++)
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(od_generator_name((enum od_generator)i), od_generator_name((enum od_generator)j));
}
END_TEST

START_TEST(alloc_refuses_what_overflows) {
    od_series s;
    od_error e = {0};
    ck_assert_int_eq(od_series_alloc(&s, SIZE_MAX / 2, 3, 5, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "series"));
    ck_assert_ptr_null(s.value);
    ck_assert_int_eq(od_series_alloc(&s, 1, 1, SIZE_MAX / 3, &e), OD_BAD_INPUT);
    od_series_free(&s);
}
END_TEST

START_TEST(alloc_gives_zeros) {
    od_series s;
    ck_assert_int_eq(od_series_alloc(&s, 2, 3, 5, NULL), OD_OK);
    for (size_t i = 0; i < 30; i++) ck_assert(s.value[i] == 0 && s.mask[i] == 0 && s.id[i] == 0);
    od_series_free(&s);
}
END_TEST

START_TEST(longer_begins_with_shorter) {
    enum od_generator g = (enum od_generator)_i;
    od_series a = make(g, 2, 3, 37, 5, 1), b = make(g, 2, 3, 200, 5, 1);
    for (size_t r = 0; r < 6; r++)
        ck_assert_mem_eq(a.value + r * a.n_step, b.value + r * b.n_step, a.n_step * sizeof(float));
    od_series_free(&a);
    od_series_free(&b);
}
END_TEST

START_TEST(rows_do_not_depend_on_their_number) {
    enum od_generator g = (enum od_generator)_i;
    od_series a = make(g, 2, 2, 40, 9, 1), b = make(g, 3, 4, 40, 9, 1);
    for (size_t r = 0; r < 2; r++)
        for (size_t v = 0; v < 2; v++)
            ck_assert_mem_eq(a.value + (r * 2 + v) * 40, b.value + (r * 4 + v) * 40, 40 * sizeof(float));
    ck_assert_mem_ne(a.value, a.value + 40, 40 * sizeof(float));
    od_series_free(&a);
    od_series_free(&b);
}
END_TEST

START_TEST(seeds_differ_and_scale_multiplies) {
    enum od_generator g = (enum od_generator)_i;
    od_series a = make(g, 1, 1, 100, 1, 1), b = make(g, 1, 1, 100, 2, 1), c = make(g, 1, 1, 100, 1, 4);
    ck_assert_mem_ne(a.value, b.value, 100 * sizeof(float));
    /* A power of two scales a float exactly. */
    for (size_t t = 0; t < 100; t++) ck_assert(c.value[t] == 4 * a.value[t]);
    od_series_free(&a);
    od_series_free(&b);
    od_series_free(&c);
}
END_TEST

/* Mean 0 within 5/sqrt(n), variance 1 within 5·sqrt(2/n), neighbours uncorrelated within 5/sqrt(n). */
static void check_standard_normal(const float *x, size_t n) {
    double m = mean_of(x, n), v = square_of(x, n, m), lag = 0, sd = sqrt((double)n);
    for (size_t i = 0; i + 1 < n; i++) lag += (double)x[i] * x[i + 1] / (double)n;
    ck_assert_msg(fabs(m) <= 5 / sd, "mean %g", m);
    ck_assert_msg(fabs(v - 1) <= 5 * sqrt(2.0) / sd, "variance %g", v);
    ck_assert_msg(fabs(lag) <= 5 / sd, "correlation of neighbours %g", lag);
}

START_TEST(normal_is_standard_normal) {
    od_series s = make(OD_GEN_NORMAL, 1, 1, LONG, 3, 1);
    check_standard_normal(s.value, LONG);
    od_series_free(&s);
}
END_TEST

START_TEST(steps_of_a_walk_are_standard_normal) {
    od_series s = make(OD_GEN_WALK, 1, 1, LONG, 4, 1);
    float *d = malloc(LONG * sizeof *d);
    for (size_t t = 0; t < LONG; t++) d[t] = s.value[t] - (t ? s.value[t - 1] : 0);
    check_standard_normal(d, LONG);
    free(d);
    od_series_free(&s);
}
END_TEST

/* For frequency w, x_{t+1} + x_{t-1} - 2cos(w)·x_t vanishes on a pure sine; with 0.3·N(0,1) it has the variance
 * 0.09·(2 + 4cos²w). The best cos(w) by least squares gives the period. */
START_TEST(season_is_a_sine_with_noise) {
    for (uint64_t seed = 0; seed < 10; seed++) {
        od_series s = make(OD_GEN_SEASON, 1, 1, LONG, seed, 1);
        double m = mean_of(s.value, LONG), v = square_of(s.value, LONG, m), up = 0, down = 0;
        /* variance 10²/2 + 0.3²; an incomplete last period adds at most 40/LONG of 50, the noise less */
        ck_assert_msg(fabs(v - 50.09) <= 0.3, "variance %g", v);
        for (size_t t = 1; t + 1 < LONG; t++) {
            up += ((double)s.value[t + 1] + s.value[t - 1]) * s.value[t];
            down += 2 * (double)s.value[t] * s.value[t];
        }
        double period = 2 * 3.14159265358979323846 / acos(up / down);
        ck_assert_msg(period > 4.9 && period < 42, "period %g", period);
        for (size_t t = 0; t < LONG; t++) ck_assert(fabsf(s.value[t]) <= 10 + 0.3 * 6);
        od_series_free(&s);
    }
}
END_TEST

START_TEST(season_periods_differ) {
    od_series s = make(OD_GEN_SEASON, 1, 20, 400, 6, 1);
    unsigned low = 0, high = 0; /* crossings of zero: 2·400/period, noise adds a few */
    for (size_t v = 0; v < 20; v++) {
        unsigned n = 0;
        for (size_t t = 1; t < 400; t++) n += (s.value[v * 400 + t] > 0) != (s.value[v * 400 + t - 1] > 0);
        low += n < 34;
        high += n > 40;
    }
    ck_assert_uint_gt(low, 0);
    ck_assert_uint_gt(high, 0);
    od_series_free(&s);
}
END_TEST

START_TEST(spike_is_one_step_among_the_first_32) {
    od_series s = make(OD_GEN_SPIKE, 4, 8, 64, 7, 1);
    bool at[32] = {0};
    unsigned distinct = 0;
    for (size_t r = 0; r < 32; r++) {
        unsigned spikes = 0;
        for (size_t t = 0; t < 64; t++) {
            bool high = fabsf(s.value[r * 64 + t] - 1e4f) < 7;
            ck_assert(high || fabsf(s.value[r * 64 + t]) < 7);
            if (!high) continue;
            spikes++;
            ck_assert_uint_lt(t, 32);
            at[t] = true;
        }
        ck_assert_uint_eq(spikes, 1);
    }
    for (size_t t = 0; t < 32; t++) distinct += at[t];
    ck_assert_uint_gt(distinct, 8);
    od_series_free(&s);
}
END_TEST

START_TEST(sparse_is_mostly_zero) {
    od_series s = make(OD_GEN_SPARSE, 1, 1, LONG, 8, 1);
    double n = 0, square = 0;
    for (size_t t = 0; t < LONG; t++) {
        n += s.value[t] != 0;
        square += (double)s.value[t] * s.value[t];
    }
    double share = n / LONG, variance = square / n / 2500;
    ck_assert_msg(fabs(share - 0.1) <= 5 * sqrt(0.09 / LONG), "share %g", share);
    ck_assert_msg(fabs(variance - 1) <= 5 * sqrt(2 / n), "variance %g of 2500", variance);
    od_series_free(&s);
}
END_TEST

START_TEST(constant_is_constant) {
    od_series s = make(OD_GEN_CONSTANT, 5, 20, 50, 9, 1);
    double lowest = 5, highest = -5;
    for (size_t r = 0; r < 100; r++) {
        float x = s.value[r * 50];
        for (size_t t = 0; t < 50; t++) ck_assert(s.value[r * 50 + t] == x);
        lowest = fmin(lowest, x);
        highest = fmax(highest, x);
    }
    /* All of U(-5,5): 100 draws miss the outer tenth on a side with probability 0.9^100 = 3e-5 */
    ck_assert(lowest >= -5 && lowest < -4 && highest <= 5 && highest > 4);
    od_series_free(&s);
}
END_TEST

START_TEST(large_and_small_are_what_they_say) {
    od_series a = make(OD_GEN_LARGE, 1, 1, LONG, 10, 1), b = make(OD_GEN_SMALL, 1, 1, LONG, 10, 1);
    for (size_t t = 0; t < LONG; t++) {
        a.value[t] = (a.value[t] - 1e6f) / 1e4f;
        b.value[t] *= 1e6f;
    }
    check_standard_normal(a.value, LONG);
    check_standard_normal(b.value, LONG);
    od_series_free(&a);
    od_series_free(&b);
}
END_TEST

Suite *suite_series(void) {
    Suite *s = suite_create("series");
    TCase *t = tcase_create("series");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, names_differ);
    tcase_add_test(t, alloc_refuses_what_overflows);
    tcase_add_test(t, alloc_gives_zeros);
    tcase_add_loop_test(t, longer_begins_with_shorter, OD_GEN_NORMAL, OD_GEN_CSV);
    tcase_add_loop_test(t, rows_do_not_depend_on_their_number, OD_GEN_NORMAL, OD_GEN_CSV);
    tcase_add_loop_test(t, seeds_differ_and_scale_multiplies, OD_GEN_NORMAL, OD_GEN_CSV);
    tcase_add_test(t, normal_is_standard_normal);
    tcase_add_test(t, steps_of_a_walk_are_standard_normal);
    tcase_add_test(t, season_is_a_sine_with_noise);
    tcase_add_test(t, season_periods_differ);
    tcase_add_test(t, spike_is_one_step_among_the_first_32);
    tcase_add_test(t, sparse_is_mostly_zero);
    tcase_add_test(t, constant_is_constant);
    tcase_add_test(t, large_and_small_are_what_they_say);
    suite_add_tcase(s, t);
    return s;
}
