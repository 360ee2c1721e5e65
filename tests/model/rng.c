/* Random numbers: Philox against published and independently made answers, then the definitions on top of it. */
#include "model/rng.h"
#include "model/suites.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static const uint64_t pi_key[2] = {0x452821e638d01377, 0xbe5466cf34e90c6c};

/* Block 0 of key 0 is the first vector of Random123's kat_vectors; all were checked with numpy.random.Philox. */
START_TEST(blocks_match_known_answers) {
    const struct {
        uint64_t key[2], block, words[4];
    } cases[] = {
        {{0, 0}, 0, {0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b}},
        {{1, 2}, 0, {0x46fdf329c224985e, 0x49ebd8a28e9ec134, 0x528e3ef07e630d40, 0x69a57877b5c520c8}},
        {{1, 2}, 1, {0x4f2f4313b5536b09, 0x5b617be3219ff32a, 0x097293476f9275cb, 0xf63f3bf4962c3942}},
        {{UINT64_MAX, UINT64_MAX},
         ((uint64_t)1 << 62) - 1,
         {0xf10a7c4581f1d985, 0x7d9d03d6c59663c7, 0x97001aed3da76285, 0x31eeebee3c17fb80}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        od_rng rng = od_rng_make(cases[c].key[0], cases[c].key[1]);
        for (uint64_t i = 0; i < 4; i++) ck_assert_uint_eq(od_rng_at(&rng, 4 * cases[c].block + i), cases[c].words[i]);
    }
}
END_TEST

START_TEST(name_keys_are_xxh64) {
    ck_assert_uint_eq(od_rng_name_key(""), 0xef46db3751d8e999);
    ck_assert_uint_eq(od_rng_name_key("abc"), 0x44bc2cf5ad770999);
    ck_assert_uint_eq(od_rng_name_key("transformer.layers.5.attention.wQKV.weight"), 0xdd8d97d26f690c65);
}
END_TEST

START_TEST(next_walks_the_stream_from_any_place) {
    od_rng rng = od_rng_make(pi_key[0], pi_key[1]);
    for (uint64_t n = 0; n < 11; n++) ck_assert_uint_eq(od_rng_next(&rng), od_rng_at(&rng, n));
    ck_assert_uint_eq(rng.counter, 11);
    const uint64_t places[] = {3, 9, 8, 0, ((uint64_t)1 << 63) + 5, UINT64_MAX};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        rng.counter = places[i];
        ck_assert_uint_eq(od_rng_next(&rng), od_rng_at(&rng, places[i]));
    }
}
END_TEST

START_TEST(uniform_is_the_top_53_bits) {
    od_rng a = od_rng_make(1, 2), b = od_rng_make(1, 2);
    ck_assert(od_rng_uniform(&a) == 0x1.1bf7cca7089260p-2); /* 0x46fdf329c224985e >> 11, times 2^-53 */
    for (int i = 0; i < 1000; i++) {
        double u = od_rng_uniform(&b);
        ck_assert(u >= 0 && u < 1);
    }
}
END_TEST

/* n uniforms: the mean deviates by more than 6/sqrt(12n) with probability 2e-9; chi-square of 256 cells has mean 255
 * and deviation sqrt(510). The stream is fixed, so a pass is a pass forever. */
START_TEST(uniform_fills_its_cells_evenly) {
    enum { N = 1 << 16, CELLS = 256 };
    od_rng rng = od_rng_make(7, 8);
    int cells[CELLS] = {0};
    double sum = 0, chi = 0;
    for (int i = 0; i < N; i++) {
        double u = od_rng_uniform(&rng);
        sum += u;
        cells[(int)(u * CELLS)]++;
    }
    for (int c = 0; c < CELLS; c++) chi += pow(cells[c] - N / CELLS, 2) / (N / CELLS);
    ck_assert(fabs(sum / N - 0.5) <= 6 / sqrt(12.0 * N));
    ck_assert(fabs(chi - 255) <= 6 * sqrt(510));
}
END_TEST

/* Moments of N(0,1): mean 0, square 1 (variance 2), fourth power 3 (variance 96), each within six deviations;
 * P(|x| <= 1) = erf(1/sqrt 2). */
START_TEST(normal_has_the_moments_of_a_normal) {
    enum { N = 1 << 16 };
    od_rng rng = od_rng_make(9, 10);
    double m1 = 0, m2 = 0, m4 = 0, inside = 0, p = erf(sqrt(0.5));
    for (int i = 0; i < N; i++) {
        double x = od_rng_normal(&rng);
        m1 += x;
        m2 += x * x;
        m4 += x * x * x * x;
        inside += fabs(x) <= 1;
    }
    ck_assert_uint_eq(rng.counter, 2 * N);
    ck_assert(fabs(m1 / N) <= 6 / sqrt(N));
    ck_assert(fabs(m2 / N - 1) <= 6 * sqrt(2.0 / N));
    ck_assert(fabs(m4 / N - 3) <= 6 * sqrt(96.0 / N));
    ck_assert(fabs(inside / N - p) <= 6 * sqrt(p * (1 - p) / N));
}
END_TEST

START_TEST(range_of_a_power_of_two_is_the_top_bits) {
    od_rng a = od_rng_make(3, 4);
    for (unsigned k = 1; k < 64; k++) {
        uint64_t draw = od_rng_at(&a, a.counter), hi = ((uint64_t)1 << k) - 1;
        ck_assert_uint_eq(od_rng_range(&a, 0, hi), draw >> (64 - k));
        draw = od_rng_at(&a, a.counter);
        ck_assert_uint_eq(od_rng_range(&a, UINT64_MAX - hi, UINT64_MAX), UINT64_MAX - hi + (draw >> (64 - k)));
    }
    uint64_t draw = od_rng_at(&a, a.counter);
    ck_assert_uint_eq(od_rng_range(&a, 0, UINT64_MAX), draw);
}
END_TEST

START_TEST(range_of_one_value_is_that_value) {
    od_rng rng = od_rng_make(3, 4);
    const uint64_t values[] = {0, 1, 12345, UINT64_MAX};
    for (int i = 0; i < 4; i++) ck_assert_uint_eq(od_rng_range(&rng, values[i], values[i]), values[i]);
    ck_assert_uint_eq(rng.counter, 4); /* a draw is a draw: schedules do not shift */
}
END_TEST

START_TEST(range_reaches_both_ends_evenly) {
    enum { N = 7000, LO = 3, HI = 9 };
    od_rng rng = od_rng_make(5, 6);
    int seen[HI + 1] = {0};
    double chi = 0;
    for (int i = 0; i < N; i++) {
        uint64_t x = od_rng_range(&rng, LO, HI);
        ck_assert(x >= LO && x <= HI);
        seen[x]++;
    }
    for (int x = LO; x <= HI; x++) chi += pow(seen[x] - N / 7, 2) / (N / 7);
    ck_assert(chi <= 6 + 6 * sqrt(12)); /* 6 degrees of freedom: mean 6, variance 12 */
}
END_TEST

/* The definition: element i is draw first + i. 0 and 1 elements, a block's edge, and many; the byte behind stays. */
START_TEST(uniform_fill_is_its_definition) {
    const size_t counts[] = {0, 1, 3, 4, 5, 8, 1023};
    od_rng rng = od_rng_make(pi_key[0], pi_key[1]);
    const size_t firsts[] = {0, 4, 262144};
    for (size_t c = 0; c < 3 * sizeof counts / sizeof counts[0]; c++) {
        float out[1024];
        const size_t count = counts[c / 3], first = firsts[c % 3];
        out[count] = -77;
        od_rng_fill_uniform(out, first, count, 0.375, pi_key[0], pi_key[1]);
        for (size_t i = 0; i < count; i++) {
            double u = (double)(od_rng_at(&rng, first + i) >> 11) / 9007199254740992.0;
            ck_assert(out[i] == (float)(0.375 * (2 * u - 1)));
            ck_assert(fabsf(out[i]) <= 0.375f);
        }
        ck_assert(out[count] == -77);
    }
}
END_TEST

START_TEST(normal_fill_is_its_definition) {
    const size_t counts[] = {0, 1, 2, 3, 4, 5, 1023};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        float out[1024];
        od_rng rng = od_rng_make(pi_key[0], pi_key[1]);
        out[counts[c]] = -77;
        od_rng_fill_normal(out, counts[c], 3, 0.5, pi_key[0], pi_key[1]);
        for (size_t i = 0; i < counts[c]; i++) ck_assert(out[i] == (float)(3 + 0.5 * od_rng_normal(&rng)));
        ck_assert(out[counts[c]] == -77);
    }
}
END_TEST

START_TEST(streams_of_other_keys_differ) {
    od_rng a = od_rng_make(1, 2), b = od_rng_make(2, 1), c = od_rng_make(1, 3);
    int same = 0;
    for (uint64_t i = 0; i < 64; i++)
        same += od_rng_at(&a, i) == od_rng_at(&b, i) || od_rng_at(&a, i) == od_rng_at(&c, i);
    ck_assert_int_eq(same, 0);
}
END_TEST

Suite *suite_rng(void) {
    Suite *s = suite_create("rng");
    TCase *t = tcase_create("philox");
    tcase_add_test(t, blocks_match_known_answers);
    tcase_add_test(t, name_keys_are_xxh64);
    tcase_add_test(t, next_walks_the_stream_from_any_place);
    tcase_add_test(t, streams_of_other_keys_differ);
    suite_add_tcase(s, t);
    t = tcase_create("distributions");
    tcase_add_test(t, uniform_is_the_top_53_bits);
    tcase_add_test(t, uniform_fills_its_cells_evenly);
    tcase_add_test(t, normal_has_the_moments_of_a_normal);
    tcase_add_test(t, range_of_a_power_of_two_is_the_top_bits);
    tcase_add_test(t, range_of_one_value_is_that_value);
    tcase_add_test(t, range_reaches_both_ends_evenly);
    tcase_add_test(t, uniform_fill_is_its_definition);
    tcase_add_test(t, normal_fill_is_its_definition);
    suite_add_tcase(s, t);
    return s;
}
