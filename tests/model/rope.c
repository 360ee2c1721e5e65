/* Rotary tables: frequencies and xPos scales of the official code (toto-ts 0.2.0, torch 2.11, as float32 bits). */
#include "model/rope.h"
#include "model/suites.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* TimeAwareRotaryEmbedding(d, use_xpos=True): .freqs and .scale. */
static const struct {
    size_t d, n;
    uint32_t frequency[8], scale[8];
} official[] = {
    {4, 2, {0x3f800000, 0x3c23d70a}, {0x3e924925, 0x3f249249}},
    {6, 3, {0x3f800000, 0x3d3e1e95, 0x3b0d3169}, {0x3e924925, 0x3f061862, 0x3f430c32}},
    {8, 4, {0x3f800000, 0x3dcccccd, 0x3c23d70a, 0x3a83126f}, {0x3e924925, 0x3eedb6db, 0x3f249249, 0x3f524925}},
    {12,
     6,
     {0x3f800000, 0x3e5c9d35, 0x3d3e1e95, 0x3c23d70a, 0x3b0d3169, 0x39f35a5c},
     {0x3e924925, 0x3ecf3cf5, 0x3f061862, 0x3f24924a, 0x3f430c32, 0x3f618619}},
    {24,
     8,
     {0x3f800000, 0x3eeda63c, 0x3e5c9d35, 0x3dcccccd, 0x3d3e1e95, 0x3cb07dc6, 0x3c23d70a, 0x3b98187a},
     {0x3e924925, 0x3eb0c30d, 0x3ecf3cf5, 0x3eedb6dd, 0x3f061862, 0x3f155556, 0x3f24924a, 0x3f33cf3e}},
    {64,
     8,
     {0x3f800000, 0x3f3ff911, 0x3f0ff59a, 0x3ed7e89b, 0x3ea1e89b, 0x3e72d423, 0x3e361887, 0x3e088d77},
     {0x3e924925, 0x3e9db6dc, 0x3ea92493, 0x3eb49249, 0x3ec00000, 0x3ecb6db7, 0x3ed6db6d, 0x3ee24924}},
};
enum { N_OFFICIAL = sizeof official / sizeof official[0] };

START_TEST(frequencies_are_the_official_floats) {
    for (size_t c = 0; c < N_OFFICIAL; c++)
        for (size_t i = 0; i < official[c].n; i++)
            ck_assert_msg(bits_of(od_rope_frequency(i, official[c].d)) == official[c].frequency[i], "d %zu i %zu",
                          official[c].d, i);
}
END_TEST

/* Position t at angle t·θ: against long double, to the two roundings of a product and a function at most 2^-52·t·θ
 * + 2^-52. xPos row m holds s^(m/512): row 512 would be s itself, so powers are compared by their logarithm. */
START_TEST(tables_are_the_functions_of_the_official_floats) {
    enum { N = 600 };
    for (size_t c = 0; c < N_OFFICIAL; c++) {
        od_heap heap = {0};
        od_rope r;
        ck_assert_int_eq(od_rope_create(&r, official[c].d, N, &heap, NULL), OD_OK);
        ck_assert(r.n_position == N && r.half == official[c].d / 2);
        ck_assert_uint_eq(heap.live, (2 * N + 2 * N - 1) * r.half * sizeof(double));
        for (size_t i = 0; i < official[c].n; i++) {
            long double theta = float_of(official[c].frequency[i]), s = float_of(official[c].scale[i]);
            for (size_t t = 0; t < N; t++) {
                long double angle = (long double)t * theta, bound = 0x1p-52L * (angle + 1);
                ck_assert(fabsl((long double)r.cosine[t * r.half + i] - cosl(angle)) <= bound);
                ck_assert(fabsl((long double)r.sine[t * r.half + i] - sinl(angle)) <= bound);
            }
            for (int m = -(N - 1); m <= N - 1; m++) {
                long double got = r.xpos[(size_t)(m + N - 1) * r.half + i], want = powl(s, (long double)m / 512);
                ck_assert(fabsl(got - want) <= 0x1p-51L * want);
            }
        }
        od_rope_destroy(&r, &heap);
        ck_assert_uint_eq(heap.live, 0);
    }
}
END_TEST

START_TEST(origin_has_no_rotation_and_no_scale) {
    od_heap heap = {0};
    od_rope r;
    for (size_t n = 1; n <= 2; n++) {
        ck_assert_int_eq(od_rope_create(&r, 8, n, &heap, NULL), OD_OK);
        for (size_t i = 0; i < 4; i++) {
            ck_assert(r.cosine[i] == 1 && r.sine[i] == 0);
            ck_assert(r.xpos[(n - 1) * 4 + i] == 1);
        }
        od_rope_destroy(&r, &heap);
    }
}
END_TEST

START_TEST(centre_is_the_middle_of_the_call_or_the_origin) {
    for (size_t t = 0; t < 10; t++) {
        ck_assert_uint_eq(od_rope_center(OD_XPOS_CALL, 2 * t), t);
        ck_assert_uint_eq(od_rope_center(OD_XPOS_CALL, 2 * t + 1), t);
        ck_assert_uint_eq(od_rope_center(OD_XPOS_ORIGIN, t), 0);
    }
}
END_TEST

START_TEST(a_destroyed_rope_is_a_zeroed_one) {
    od_heap heap = {0};
    od_rope r;
    ck_assert_int_eq(od_rope_create(&r, 8, 5, &heap, NULL), OD_OK);
    ck_assert_uint_gt(heap.live, 0);
    for (int i = 0; i < 2; i++) { /* and may be destroyed again */
        od_rope_destroy(&r, &heap);
        ck_assert(!r.cosine && !r.sine && !r.xpos && r.n_position == 0 && r.half == 0);
        ck_assert_uint_eq(heap.live, 0);
    }
}
END_TEST

START_TEST(a_failing_heap_leaves_nothing) {
    for (uint64_t n = 1; n <= 4; n++) {
        od_heap heap = {.fail_at = n};
        od_rope r;
        od_error e = {OD_OK, ""};
        ck_assert_int_eq(od_rope_create(&r, 8, 5, &heap, &e), n <= 3 ? OD_NO_MEMORY : OD_OK);
        ck_assert_int_eq(e.status, n <= 3 ? OD_NO_MEMORY : OD_OK);
        if (n <= 3) ck_assert(heap.live == 0 && !r.cosine && !r.sine && !r.xpos); /* nothing is left to destroy */
        od_rope_destroy(&r, &heap);                                               /* also after a failure */
        ck_assert_uint_eq(heap.live, 0);
    }
    od_heap heap = {0};
    od_rope r;
    ck_assert_int_eq(od_rope_create(&r, 8, SIZE_MAX, &heap, NULL), OD_NO_MEMORY);
    ck_assert_int_eq(od_rope_create(&r, 8, SIZE_MAX / 8, &heap, NULL), OD_NO_MEMORY);
    ck_assert_uint_eq(heap.live, 0);
}
END_TEST

Suite *suite_rope(void) {
    Suite *s = suite_create("rope");
    TCase *t = tcase_create("rope");
    tcase_add_test(t, frequencies_are_the_official_floats);
    tcase_add_test(t, tables_are_the_functions_of_the_official_floats);
    tcase_add_test(t, origin_has_no_rotation_and_no_scale);
    tcase_add_test(t, centre_is_the_middle_of_the_call_or_the_origin);
    tcase_add_test(t, a_destroyed_rope_is_a_zeroed_one);
    tcase_add_test(t, a_failing_heap_leaves_nothing);
    suite_add_tcase(s, t);
    return s;
}
