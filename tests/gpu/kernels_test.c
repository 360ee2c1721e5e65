/* Every kernel but attention alone, against closed forms: exact where small numbers are exact in float32. Sizes lie on
 * both sides of a block's threads, and a block's threads run in several orders. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "tests/gpu/kernel_run.h"

enum { THREADS = 8, MOST = 5 * THREADS + 1, ROWS = 3 };
static const size_t sizes[] = {1, THREADS - 1, THREADS, THREADS + 1, MOST};
enum { SIZES = sizeof sizes / sizeof *sizes, RUNS = SIZES * TEST_ORDERS };

/* A loop test's number is a size and an order. */
static size_t size_of(int i) {
    return sizes[i / TEST_ORDERS];
}
static int order_of(int i) {
    return i % TEST_ORDERS;
}

START_TEST(a_bias_is_added_to_each_row) {
    const size_t width = size_of(_i);
    float x[ROWS * MOST] = {0}, bias[MOST], y[ROWS * MOST];
    for (size_t i = 0; i < ROWS * width; i++) x[i] = (float)i;
    for (size_t f = 0; f < width; f++) bias[f] = 100.0f * (float)(f + 1);
    const od_add_bias_args args = {test_kernel_put(x, ROWS * width * 4), PUT(bias), (uint32_t)width};
    RUN(order_of(_i), add_bias, ((od_grid){ROWS, 1, THREADS, 0}), args);
    test_kernel_get(y, args.x, ROWS * width * 4);
    for (size_t i = 0; i < ROWS * width; i++) ck_assert_float_eq(y[i], (float)i + 100.0f * (float)(i % width + 1));
}
END_TEST

START_TEST(the_residual_stream_takes_product_and_bias) {
    const size_t width = size_of(_i);
    float x[ROWS * MOST] = {0}, y[ROWS * MOST], bias[MOST], out[ROWS * MOST];
    for (size_t i = 0; i < ROWS * width; i++) {
        x[i] = (float)i;
        y[i] = 0.25f * (float)i;
    }
    for (size_t f = 0; f < width; f++) bias[f] = 100.0f * (float)(f + 1);
    const od_residual_args args = {test_kernel_put(x, ROWS * width * 4), PUT(y), PUT(bias), (uint32_t)width};
    RUN(order_of(_i), residual, ((od_grid){ROWS, 1, THREADS, 0}), args);
    test_kernel_get(out, args.x, ROWS * width * 4);
    for (size_t i = 0; i < ROWS * width; i++)
        ck_assert_float_eq(out[i], 1.25f * (float)i + 100.0f * (float)(i % width + 1));
}
END_TEST

/* Rows of 2 (mean square 4, which 1e-8 does not move), of 0, and of 1e-4, whose mean square is the 1e-8 that is added:
 * y = scale, 0, scale/√2. The last passes n + 6 roundings of 2^-24. */
START_TEST(constant_rows_are_normed) {
    const size_t width = size_of(_i);
    const float row[ROWS] = {2, 0, 1e-4f};
    float x[ROWS * MOST], scale[MOST], y[ROWS * MOST];
    for (size_t i = 0; i < ROWS * width; i++) x[i] = row[i / width];
    for (size_t f = 0; f < width; f++) scale[f] = (float)(f + 1);
    const od_rmsnorm_args args = {test_kernel_put(NULL, ROWS * width * 4), PUT(x), PUT(scale), (uint32_t)width};
    RUN(order_of(_i), rmsnorm, ((od_grid){ROWS, 1, THREADS, THREADS * sizeof(float)}), args);
    test_kernel_get(y, args.y, ROWS * width * 4);
    for (size_t f = 0; f < width; f++) {
        const double expected = scale[f] / sqrt(2);
        ck_assert_float_eq(y[f], scale[f]);
        ck_assert_float_eq(y[width + f], 0);
        ck_assert(fabs(y[2 * width + f] - expected) <= (double)(width + 6) * 0x1p-24 * expected);
    }
}
END_TEST

/* silu(0) = 0; silu(100) = 100 since e^-100 is lost beside 1; silu(-200) = 0, for e^200 is infinite. */
START_TEST(swiglu_at_zero_and_far_out) {
    const size_t width = size_of(_i);
    const float gates[] = {0, 100, -200, NAN}, silu[] = {0, 100, 0, NAN};
    float x[ROWS * 2 * MOST], bias[2 * MOST], y[ROWS * MOST];
    for (size_t f = 0; f < 2 * width; f++) bias[f] = f < width ? 0.5f : 0.25f;
    for (size_t r = 0; r < ROWS; r++)
        for (size_t f = 0; f < width; f++) {
            x[(r * 2) * width + f] = gates[(r + f) % 4] - 0.5f;
            x[(r * 2 + 1) * width + f] = (float)(f + 1) - 0.25f;
        }
    const od_swiglu_args args = {test_kernel_put(NULL, ROWS * width * 4), PUT(x), PUT(bias), (uint32_t)width, ROWS};
    RUN(order_of(_i), swiglu, ((od_grid){ROWS, 1, THREADS, 0}), args);
    test_kernel_get(y, args.y, ROWS * width * 4);
    for (size_t i = 0; i < ROWS * width; i++) {
        const size_t which = (i / width + i % width) % 4;
        if (which == 3)
            ck_assert(isnan(y[i]));
        else
            ck_assert_float_eq(y[i], silu[which] * (float)(i % width + 1));
    }
}
END_TEST

/* What the heads' products become: softplus(0) = ln 2, of 21 and 100 the same (e^100 is infinite), of -200 eps. eps is
 * half an ulp of 2, so that df rounds to 2. */
START_TEST(one_student_t_has_its_closed_forms) {
    const float raw[] = {0, 21, 100, -200, NAN}, soft[] = {0.69314718f, 21, 100, FLT_EPSILON, NAN};
    const size_t n = size_of(_i);
    const float df_bias = 1, loc_bias = 0.5f, scale_bias = -1;
    float df[MOST], loc[MOST], scale[MOST], out[3][MOST];
    for (size_t i = 0; i < n; i++) {
        df[i] = raw[i % 5] - df_bias;
        loc[i] = (float)i;
        scale[i] = raw[(i + 1) % 5] - scale_bias;
    }
    const od_call call = {.out_df = test_kernel_put(NULL, n * 4),
                          .out_loc = test_kernel_put(NULL, n * 4),
                          .out_scale = test_kernel_put(NULL, n * 4)};
    const od_head_args args = {.call = test_kernel_put(&call, sizeof call),
                               .df = PUT(df),
                               .loc = PUT(loc),
                               .scale = PUT(scale),
                               .df_bias = test_kernel_put(&df_bias, 4),
                               .loc_bias = test_kernel_put(&loc_bias, 4),
                               .scale_bias = test_kernel_put(&scale_bias, 4),
                               .n_component = 1,
                               .count = n};
    RUN(order_of(_i), head, test_cover(n, THREADS), args);
    test_kernel_get(out[0], call.out_df, n * 4);
    test_kernel_get(out[1], call.out_loc, n * 4);
    test_kernel_get(out[2], call.out_scale, n * 4);
    for (size_t i = 0; i < n; i++) {
        const float want_df = 2 + soft[i % 5], want_scale = soft[(i + 1) % 5];
        if (isnan(want_df))
            ck_assert(isnan(out[0][i]));
        else
            ck_assert(fabsf(out[0][i] - want_df) <= 0x1p-22f * want_df / 2); /* one ulp of ln 2 aside */
        if (isnan(want_scale))
            ck_assert(isnan(out[2][i]));
        else if ((i + 1) % 5 == 0)
            ck_assert(fabsf(out[2][i] - want_scale) <= 0x1p-23f);
        else
            ck_assert_float_eq(out[2][i], want_scale);
        ck_assert_float_eq(out[1][i], (float)i + 0.5f);
    }
}
END_TEST

/* Positions with equal logits, with large equal ones, with one far above the rest, with a NaN: 1/K, 1/K, a one and
 * zeros, NaN throughout. Each component has biases of its own. */
START_TEST(a_mixture_has_its_closed_forms) {
    enum { K = 24 };
    const size_t n = size_of(_i);
    static float zero[MOST * K], mix[MOST * K], bias[K], mix_bias[K], probs[MOST * K], loc[MOST * K];
    for (size_t k = 0; k < K; k++) {
        bias[k] = (float)k + 30;
        mix_bias[k] = (float)k;
    }
    for (size_t i = 0; i < n * K; i++) {
        const size_t p = i / K % 4, k = i % K;
        mix[i] = (p == 1 ? 10000.0f : 0.0f) - mix_bias[k];
        if (p == 2 && k == 5) mix[i] = 200;
        if (p == 3 && k == 7) mix[i] = NAN;
    }
    const od_call call = {.out_df = test_kernel_put(NULL, n * K * 4),
                          .out_loc = test_kernel_put(NULL, n * K * 4),
                          .out_scale = test_kernel_put(NULL, n * K * 4),
                          .out_probs = test_kernel_put(NULL, n * K * 4)};
    const float *nothing = PUT(zero), *biases = PUT(bias);
    const od_head_args args = {test_kernel_put(&call, sizeof call),
                               nothing,
                               nothing,
                               nothing,
                               PUT(mix),
                               biases,
                               biases,
                               biases,
                               PUT(mix_bias),
                               K,
                               n};
    RUN(order_of(_i), head, test_cover(n, THREADS), args);
    test_kernel_get(probs, call.out_probs, n * K * 4);
    for (size_t i = 0; i < n * K; i++) {
        const size_t p = i / K % 4, k = i % K;
        if (p == 3)
            ck_assert(isnan(probs[i]));
        else
            ck_assert_float_eq(probs[i], p == 2 ? (k == 5 ? 1.0f : 0.0f) : 1.0f / K);
    }
    float *const outs[] = {call.out_df, call.out_loc, call.out_scale};
    for (int o = 0; o < 3; o++) {
        test_kernel_get(loc, outs[o], n * K * 4);
        for (size_t i = 0; i < n * K; i++) ck_assert_float_eq(loc[i], (float)(i % K + 30) + (o == 0 ? 2.0f : 0.0f));
    }
}
END_TEST

/* (value - loc)/scale with powers of two, of patches that begin in the middle of longer rows. */
START_TEST(patches_are_cut_and_scaled) {
    enum { STRIDE = 136, FIRST = 6, PATCH = 3 };
    const size_t n_patch = size_of(_i), count = ROWS * n_patch * PATCH;
    static float value[ROWS * STRIDE], loc[ROWS * STRIDE], scale[ROWS * STRIDE], out[ROWS * MOST * PATCH];
    for (size_t i = 0; i < ROWS * STRIDE; i++) {
        value[i] = (float)i;
        loc[i] = (float)(i % 7);
        scale[i] = i % 2 ? 0.5f : 4.0f;
    }
    const od_call call = {
        .value = PUT(value), .loc = PUT(loc), .scale = PUT(scale), .step_stride = STRIDE, .first_step = FIRST};
    const od_patchify_args args = {test_kernel_put(&call, sizeof call), test_kernel_put(NULL, count * 4),
                                   (uint32_t)n_patch, PATCH, count};
    RUN(order_of(_i), patchify, test_cover(count, THREADS), args);
    test_kernel_get(out, args.out, count * 4);
    for (size_t i = 0; i < count; i++) {
        const size_t at = i / (n_patch * PATCH) * STRIDE + FIRST + i % (n_patch * PATCH);
        ck_assert_float_eq(out[i], ((float)at - (float)(at % 7)) / (at % 2 ? 0.5f : 4.0f));
    }
}
END_TEST

enum { IN_STRIDE = 96, IN_PATCH = 2, IN_NEW = 8 };

typedef struct series {
    float value[ROWS * IN_STRIDE];
    uint8_t mask[ROWS * IN_STRIDE];
    int32_t id[ROWS * IN_STRIDE / IN_PATCH];
} series;

/* Series of 0, mask 7 and ids 10, 11, … a patch before new steps come in at step IN_NEW. */
static void ingest(series *s, int order, size_t new_count, bool own, const od_ingest_args *window, const float *mean) {
    for (size_t i = 0; i < ROWS * IN_STRIDE; i++) {
        s->value[i] = 0;
        s->mask[i] = 7;
        s->id[i / IN_PATCH] = 10 + (int32_t)(i / IN_PATCH);
    }
    const od_call call = {.value = PUT(s->value),
                          .mask = PUT(s->mask),
                          .id = PUT(s->id),
                          .mean = mean ? test_kernel_put(mean, ROWS * IN_PATCH * 4) : NULL,
                          .step_stride = IN_STRIDE,
                          .patch_stride = IN_STRIDE / IN_PATCH,
                          .first_step = 0,
                          .new_step = IN_NEW,
                          .own = own};
    od_ingest_args args = window ? *window : (od_ingest_args){0};
    args.call = test_kernel_put(&call, sizeof call);
    args.new_count = (uint32_t)new_count;
    args.patch = IN_PATCH;
    RUN(order, ingest, ((od_grid){ROWS, 1, THREADS, 0}), args);
    GET(s->value, call.value);
    GET(s->mask, call.mask);
    GET(s->id, call.id);
}

START_TEST(a_window_goes_to_its_steps_and_nowhere_else) {
    const size_t n_patch = size_of(_i), n = n_patch * IN_PATCH;
    static float value[ROWS * MOST * IN_PATCH];
    static uint8_t mask[ROWS * MOST * IN_PATCH];
    static int32_t id[ROWS * MOST];
    static series s;
    for (size_t i = 0; i < ROWS * n; i++) {
        value[i] = (float)(i + 1);
        mask[i] = i % 3 == 0;
    }
    for (size_t i = 0; i < ROWS * n_patch; i++) id[i] = 100 + (int32_t)i;
    const od_ingest_args window = {.value = PUT(value), .mask = PUT(mask), .id = PUT(id)};
    ingest(&s, order_of(_i), n, false, &window, NULL);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t t = 0; t < IN_STRIDE; t++) {
            const size_t at = r * IN_STRIDE + t, from = r * n + t - IN_NEW;
            const bool fresh = t >= IN_NEW && t < IN_NEW + n;
            ck_assert_float_eq(s.value[at], fresh ? (float)(from + 1) : 0.0f);
            ck_assert_int_eq(s.mask[at], fresh ? from % 3 == 0 : 7);
            ck_assert_int_eq(s.id[at / IN_PATCH], fresh ? 100 + (int)(from / IN_PATCH) : 10 + (int)(at / IN_PATCH));
        }
}
END_TEST

/* The staged window of an own patch is whatever an earlier call left there: it must not be read. */
START_TEST(an_own_patch_is_the_mean_with_mask_1_and_the_last_id) {
    float mean[ROWS * IN_PATCH];
    static series s;
    for (size_t i = 0; i < ROWS * IN_PATCH; i++) mean[i] = (float)(i + 1);
    ingest(&s, _i, IN_PATCH, true, NULL, mean);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t t = 0; t < IN_STRIDE; t++) {
            const size_t at = r * IN_STRIDE + t;
            const bool fresh = t >= IN_NEW && t < IN_NEW + IN_PATCH;
            ck_assert_float_eq(s.value[at], fresh ? mean[r * IN_PATCH + t - IN_NEW] : 0.0f);
            ck_assert_int_eq(s.mask[at], fresh ? 1 : 7);
            ck_assert_int_eq(s.id[at / IN_PATCH], 10 + (int)(at / IN_PATCH) - (fresh ? 1 : 0));
        }
}
END_TEST

enum { MEAN_STRIDE = 96, MEAN_FIRST = 5, MEAN_PATCHES = 2 };

/* The last patch's means of ROWS series: loc[i] alone or as every component of a mixture of four quarters; the scaler's
 * loc is 1 and its scale 2. Returns the count of replaced values. */
static uint32_t forecast(float *mean, int order, size_t patch, bool mixture, const float *loc) {
    const size_t K = mixture ? 4 : 1, steps = ROWS * MEAN_PATCHES * patch;
    static float wide[ROWS * MEAN_PATCHES * MOST * 4], probs[ROWS * MEAN_PATCHES * MOST * 4];
    static float scaler_loc[ROWS * MEAN_STRIDE], scaler_scale[ROWS * MEAN_STRIDE];
    uint32_t replaced = 5;
    for (size_t i = 0; i < steps * K; i++) {
        wide[i] = loc[i / K];
        probs[i] = 0.25f;
    }
    for (size_t i = 0; i < ROWS * MEAN_STRIDE; i++) { /* the call's last patch alone may be read */
        const size_t t = i % MEAN_STRIDE, from = MEAN_FIRST + (MEAN_PATCHES - 1) * patch;
        const bool is_read = t >= from && t < from + patch;
        scaler_loc[i] = is_read ? 1 : NAN;
        scaler_scale[i] = is_read ? 2 : NAN;
    }
    const od_call call = {.loc = PUT(scaler_loc),
                          .scale = PUT(scaler_scale),
                          .mean = test_kernel_put(NULL, ROWS * patch * 4),
                          .out_loc = PUT(wide),
                          .out_probs = mixture ? PUT(probs) : NULL,
                          .step_stride = MEAN_STRIDE,
                          .first_step = MEAN_FIRST};
    const od_mean_args args = {test_kernel_put(&call, sizeof call),
                               test_kernel_put(&replaced, sizeof replaced),
                               ROWS,
                               MEAN_PATCHES,
                               (uint32_t)patch,
                               (uint32_t)K,
                               mixture};
    RUN(order, mean, test_cover(ROWS * patch, THREADS), args);
    test_kernel_get(mean, call.mean, ROWS * patch * 4);
    test_kernel_get(&replaced, args.replaced, sizeof replaced);
    return replaced - 5;
}

START_TEST(the_mean_is_of_the_last_patch_in_data_space) {
    const size_t patch = size_of(_i), n = MEAN_PATCHES * patch;
    float loc[ROWS * MEAN_PATCHES * MOST], mean[ROWS * MOST];
    for (size_t i = 0; i < ROWS * n; i++) loc[i] = (float)i;
    for (int mixture = 0; mixture < 2; mixture++) {
        ck_assert_uint_eq(forecast(mean, order_of(_i), patch, mixture, loc), 0);
        for (size_t i = 0; i < ROWS * patch; i++)
            ck_assert_float_eq(mean[i], 1 + 2 * (float)(i / patch * n + (n - patch) + i % patch));
    }
}
END_TEST

/* Half of float32's maximum is as bad as infinity, the float below it is not. */
START_TEST(what_is_no_forecast_becomes_0_and_is_counted) {
    enum { PATCH = 7 };
    const float half = FLT_MAX / 2, below = nextafterf(half, 0);
    const float bad[PATCH] = {NAN, INFINITY, -INFINITY, half / 2, below / 2, -half / 2, -below / 2};
    const float expected[PATCH] = {0, 0, 0, 0, below, 0, -below};
    float loc[ROWS * MEAN_PATCHES * PATCH], mean[ROWS * PATCH];
    for (size_t i = 0; i < ROWS * MEAN_PATCHES * PATCH; i++) loc[i] = bad[i % PATCH];
    ck_assert_uint_eq(forecast(mean, _i, PATCH, false, loc), 5 * ROWS);
    for (size_t i = 0; i < ROWS * PATCH; i++) ck_assert_float_eq(mean[i], expected[i % PATCH]);
}
END_TEST

START_TEST(hidden_states_go_to_their_layer) {
    const size_t n = size_of(_i);
    float x[MOST], kept[3 * MOST];
    for (size_t i = 0; i < n; i++) x[i] = (float)i;
    od_call call = {.hidden = test_kernel_put(NULL, 3 * n * 4), .n_token = (uint32_t)n};
    call.scratch[OD_SCRATCH_X] = PUT(x);
    const od_keep_args args = {test_kernel_put(&call, sizeof call), OD_SCRATCH_X, 1, 1};
    RUN(order_of(_i), keep, test_cover(n, THREADS), args);
    test_kernel_get(kept, call.hidden, 3 * n * 4);
    for (size_t i = 0; i < 3 * n; i++)
        if (i / n == 1)
            ck_assert_float_eq(kept[i], (float)(i - n));
        else
            ck_assert(isnan(kept[i]));
}
END_TEST

/* Each place's used patches move, what lies behind them stays as it was. */
START_TEST(a_cache_grows) {
    enum { PLACES = 3, FROM = 2, TO = 5, D = 3 };
    float key[PLACES * FROM * D], value[PLACES * FROM * D], out[2][PLACES * TO * D];
    for (int i = 0; i < PLACES * FROM * D; i++) {
        key[i] = (float)i;
        value[i] = (float)-i;
    }
    for (uint32_t used = 1; used <= FROM; used++) {
        const od_grow_args args = {.to_key = test_kernel_put(NULL, sizeof out[0]),
                                   .to_value = test_kernel_put(NULL, sizeof out[1]),
                                   .from_key = PUT(key),
                                   .from_value = PUT(value),
                                   .from_stride = FROM,
                                   .to_stride = TO,
                                   .used = used,
                                   .d_head = D};
        RUN(order_of(_i), grow, ((od_grid){PLACES, 1, THREADS, 0}), args);
        test_kernel_get(out[0], args.to_key, sizeof out[0]);
        test_kernel_get(out[1], args.to_value, sizeof out[1]);
        for (uint32_t i = 0; i < PLACES * TO * D; i++) {
            const uint32_t place = i / (TO * D), at = i % (TO * D);
            if (at < used * D) {
                ck_assert_float_eq(out[0][i], key[place * FROM * D + at]);
                ck_assert_float_eq(out[1][i], value[place * FROM * D + at]);
            } else {
                ck_assert(isnan(out[0][i]) && isnan(out[1][i]));
            }
        }
    }
}
END_TEST

Suite *suite_kernels(void) {
    Suite *suite = suite_create("kernels");
    TCase *tc = tcase_create("closed forms");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(tc, a_bias_is_added_to_each_row, 0, RUNS);
    tcase_add_loop_test(tc, the_residual_stream_takes_product_and_bias, 0, RUNS);
    tcase_add_loop_test(tc, constant_rows_are_normed, 0, RUNS);
    tcase_add_loop_test(tc, swiglu_at_zero_and_far_out, 0, RUNS);
    tcase_add_loop_test(tc, one_student_t_has_its_closed_forms, 0, RUNS);
    tcase_add_loop_test(tc, a_mixture_has_its_closed_forms, 0, RUNS);
    tcase_add_loop_test(tc, patches_are_cut_and_scaled, 0, RUNS);
    tcase_add_loop_test(tc, a_window_goes_to_its_steps_and_nowhere_else, 0, RUNS);
    tcase_add_loop_test(tc, an_own_patch_is_the_mean_with_mask_1_and_the_last_id, 0, TEST_ORDERS);
    tcase_add_loop_test(tc, the_mean_is_of_the_last_patch_in_data_space, 0, RUNS);
    tcase_add_loop_test(tc, what_is_no_forecast_becomes_0_and_is_counted, 0, TEST_ORDERS);
    tcase_add_loop_test(tc, hidden_states_go_to_their_layer, 0, RUNS);
    tcase_add_loop_test(tc, a_cache_grows, 0, RUNS);
    suite_add_tcase(suite, tc);
    return suite;
}
