/* Queries, keys and values, attention and the scaler alone, against closed forms; keys on both sides of a tile. What
 * must not be read is NaN. */
#include <math.h>
#include <string.h>

#include "tests/gpu/kernel_run.h"

enum { D = 4, HEADS = 2, ROWS = 2, T = OD_ATTEND_TILE, MOST_KEYS = 2 * T + 1, ROOM = MOST_KEYS + 2, LAYERS = 2 };
static const uint32_t n_keys[] = {1, T - 1, T, T + 1, 2 * T, 2 * T + 1};
enum { SIZES = sizeof n_keys / sizeof *n_keys, RUNS = SIZES * TEST_ORDERS };

static float key[LAYERS * ROWS * HEADS * ROOM * D], value[LAYERS * ROWS * HEADS * ROOM * D];

static void all_nan(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = NAN;
}

/* What identifies a value: exact, and so are sums of up to 129 of them. */
static float value_of(size_t row, size_t h, size_t j, size_t f) {
    return (float)(j + 1 + 200 * (f + D * (h + HEADS * row)));
}

/* A cache whose second layer holds n keys of 0 with value_of's values; the rest is NaN. */
static size_t place_of(size_t row, size_t h, size_t j) {
    return (((ROWS + row) * HEADS + h) * ROOM + j) * D;
}

static void fill_cache(size_t n) {
    all_nan(key, sizeof key / sizeof *key);
    all_nan(value, sizeof value / sizeof *value);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t h = 0; h < HEADS; h++)
            for (size_t j = 0; j < n; j++)
                for (size_t f = 0; f < D; f++) {
                    key[place_of(row, h, j) + f] = 0;
                    value[place_of(row, h, j) + f] = value_of(row, h, j, f);
                }
}

/* Time-wise attention of n_patch queries at `position` over the cache's second layer; q[0] of each is `strength`.
 * out [ROWS, n_patch, HEADS, D] */
static void attend_time(float *out, int order, uint32_t n_patch, uint32_t position, float strength) {
    const size_t n = ROWS * HEADS * n_patch * D;
    float q[ROWS * HEADS * 3 * D] = {0};
    for (size_t i = 0; i < n; i += D) q[i] = strength;
    const od_call call = {.key = PUT(key),
                          .cached = PUT(value),
                          .layer_stride = ROWS * HEADS * ROOM * D,
                          .patch_stride = ROOM,
                          .key_stride = ROOM,
                          .position = position};
    const od_attend_args args = {.call = test_kernel_put(&call, sizeof call),
                                 .out = test_kernel_put(NULL, n * 4),
                                 .q = PUT(q),
                                 .inverse_root = 0.5f,
                                 .n_patch = n_patch,
                                 .n_head = HEADS,
                                 .d_head = D,
                                 .layer = 1,
                                 .variates = 1};
    RUN(order, attend_time, ((od_grid){ROWS * n_patch, HEADS, 8, T * 4 + 16 + 16}), args);
    test_kernel_get(out, args.out, n * 4);
}

START_TEST(equal_scores_give_the_mean_of_all_values_so_far) {
    const uint32_t n = n_keys[_i / TEST_ORDERS];
    float out[ROWS * HEADS * D];
    fill_cache(n);
    attend_time(out, _i % TEST_ORDERS, 1, n - 1, 1);
    for (size_t i = 0; i < ROWS * HEADS * D; i++)
        ck_assert_float_eq(out[i], value_of(i / D / HEADS, i / D % HEADS, 0, i % D) + (float)(n - 1) / 2);
}
END_TEST

START_TEST(a_patch_sees_itself_and_earlier_ones_only) {
    float out[ROWS * 3 * HEADS * D];
    for (uint32_t position = 0; position < T + 2; position += T - 1) {
        fill_cache(position + 3);
        attend_time(out, _i, 3, position, 1);
        for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
            const size_t h = i / D % HEADS, patch = i / D / HEADS % 3, row = i / D / HEADS / 3;
            ck_assert_float_eq(out[i], value_of(row, h, 0, i % D) + (float)(position + patch) / 2);
        }
    }
}
END_TEST

/* Scores of 100·(a + 1) at two keys, of 0 at the others, which e^-100 loses: the stronger one's value or, where both
 * are alike, the mean of the two. The first key is in the first tile, the second in the last. */
START_TEST(the_strongest_keys_win_in_any_tile) {
    const uint32_t n = n_keys[_i / TEST_ORDERS];
    float out[ROWS * HEADS * D];
    for (int which = -1; which <= 1; which++) {
        fill_cache(n);
        for (size_t i = 0; i < ROWS * HEADS; i++) {
            key[place_of(i / HEADS, i % HEADS, 0)] = which < 0 ? 2 : 1;
            key[place_of(i / HEADS, i % HEADS, n - 1)] = which > 0 || (which < 0 && n == 1) ? 2 : 1;
        }
        attend_time(out, _i % TEST_ORDERS, 1, n - 1, 200);
        const float at = which < 0 ? 0 : which > 0 ? (float)(n - 1) : (float)(n - 1) / 2;
        for (size_t i = 0; i < ROWS * HEADS * D; i++)
            ck_assert_float_eq(out[i], value_of(i / D / HEADS, i / D % HEADS, 0, i % D) + at);
    }
}
END_TEST

START_TEST(a_nan_among_visible_keys_is_answered_with_nan) {
    const uint32_t n = n_keys[_i / TEST_ORDERS];
    float out[ROWS * HEADS * D];
    for (size_t at = 0; at<n; at += n> 1 ? n - 1 : 1) {
        fill_cache(n);
        key[place_of(1, 1, at)] = NAN;
        attend_time(out, _i % TEST_ORDERS, 1, n - 1, 1);
        for (size_t i = 0; i < ROWS * HEADS * D; i++) ck_assert(isnan(out[i]) == (i / D == 1 * HEADS + 1));
    }
}
END_TEST

/* Variates of two groups at patch 1 of 2, whose ids stand at position 3 + 1. The other group's keys and values are NaN.
 * Group g holds variates [g·n/2, …) or every second one, so that whole tiles are hidden, or a part of each. */
START_TEST(other_groups_are_never_read) {
    enum { BATCH = 2, PATCHES = 2, STRIDE = 8, POSITION = 3 };
    const uint32_t n = n_keys[_i / TEST_ORDERS];
    static float q[BATCH * MOST_KEYS * PATCHES * D], k[sizeof q / 4], v[sizeof q / 4], out[sizeof q / 4];
    static int32_t id[BATCH * MOST_KEYS * STRIDE];
    for (int split = 0; split < 2; split++)
        for (int32_t group = 0; group < 2 && group < (int32_t)n; group++) {
            double sum[BATCH] = {0}, members = 0;
            memset(id, 0x7f, sizeof id);
            all_nan(k, sizeof k / 4);
            all_nan(v, sizeof v / 4);
            all_nan(q, sizeof q / 4);
            for (uint32_t row = 0; row < BATCH * n; row++) {
                const uint32_t u = row % n;
                const int32_t g = (int32_t)(split ? (n > 1 ? u / ((n + 1) / 2) : 0) : u % 2);
                id[row * STRIDE + POSITION + 1] = g;
                if (g != group) continue;
                members += row < n;
                sum[row / n] += row + 1;
                for (size_t f = 0; f < D; f++) {
                    const size_t at = (row * PATCHES + 1) * D + f;
                    q[at] = 1;
                    k[at] = 3;
                    v[at] = (float)(row + 1);
                }
            }
            const od_call call = {.id = PUT(id), .patch_stride = STRIDE, .position = POSITION};
            const od_attend_args args = {
                test_kernel_put(&call, sizeof call), PUT(out), PUT(q), PUT(k), PUT(v), 0.5f, PATCHES, 1, D, 0, n};
            RUN(_i % TEST_ORDERS, attend_space, ((od_grid){BATCH * n * PATCHES, 1, 8, T * 4 + 16 + 16}), args);
            GET(out, args.out);
            for (uint32_t row = 0; row < BATCH * n; row++)
                for (size_t f = 0; f < D; f++)
                    if (id[row * STRIDE + POSITION + 1] == group)
                        ck_assert_float_eq(out[(row * PATCHES + 1) * D + f], (float)sum[row / n] / (float)members);
        }
}
END_TEST

enum { QKV_D = 6, HALF = QKV_D / 2, QKV_HEADS = 3, WIDTH = QKV_D * QKV_HEADS, TABLE = 8, SLOTS = 9 };

/* Feature j of head h of a part, for token n: part, j and heads as the projection holds them, (3, d, H). */
static float projected(size_t token, size_t part, size_t j, size_t h) {
    return (float)(((token * 3 + part) * QKV_D + j) * QKV_HEADS + h);
}

typedef struct split {
    float q[ROWS * 2 * WIDTH], k[LAYERS * ROWS * SLOTS * WIDTH], v[LAYERS * ROWS * SLOTS * WIDTH];
} split;

/* Two patches a row, the first at `position`; tables by feature, so that a wrong row or column shows. */
static void split_qkv(split *out, int order, size_t threads, bool space, uint32_t position, uint32_t center,
                      bool turn) {
    static float qkv[ROWS * 2 * 3 * WIDTH], bias[3 * WIDTH], cosine[TABLE * HALF], sine[TABLE * HALF];
    static float xpos[(2 * TABLE - 1) * HALF];
    for (size_t i = 0; i < sizeof qkv / 4; i++) qkv[i] = (float)i - 0.5f;
    for (size_t i = 0; i < 3 * WIDTH; i++) bias[i] = 0.5f;
    for (size_t i = 0; i < TABLE * HALF; i++) {
        cosine[i] = turn ? 0 : (float)(i + 1);
        sine[i] = turn ? (float)(i + 1) : 0;
    }
    for (int m = -(TABLE - 1); m < TABLE; m++)
        for (int i = 0; i < HALF; i++) xpos[(m + TABLE - 1) * HALF + i] = ldexpf(1, m * (i + 1));
    const od_call call = {.key = space ? NULL : test_kernel_put(NULL, sizeof out->k),
                          .cached = space ? NULL : test_kernel_put(NULL, sizeof out->v),
                          .layer_stride = ROWS * SLOTS * WIDTH,
                          .patch_stride = SLOTS,
                          .key_stride = SLOTS,
                          .position = position,
                          .center = center};
    const od_qkv_args args = {.call = test_kernel_put(&call, sizeof call),
                              .q = test_kernel_put(NULL, sizeof out->q),
                              .k = space ? test_kernel_put(NULL, sizeof out->q) : NULL,
                              .v = space ? test_kernel_put(NULL, sizeof out->q) : NULL,
                              .qkv = PUT(qkv),
                              .bias = PUT(bias),
                              .cosine = space ? NULL : PUT(cosine),
                              .sine = space ? NULL : PUT(sine),
                              .xpos = space ? NULL : PUT(xpos),
                              .n_patch = 2,
                              .n_head = QKV_HEADS,
                              .d_head = QKV_D,
                              .layer = 1,
                              .rope_rows = TABLE};
    RUN(order, qkv, ((od_grid){ROWS * 2, 1, (unsigned)threads, 0}), args);
    GET(out->q, args.q);
    test_kernel_get(out->k, space ? args.k : call.key, space ? sizeof out->q : sizeof out->k);
    test_kernel_get(out->v, space ? args.v : call.cached, space ? sizeof out->q : sizeof out->v);
}

static const size_t block_sizes[] = {1, WIDTH - 1, WIDTH, WIDTH + 1};

START_TEST(space_wise_features_are_only_put_in_order) {
    static split s;
    split_qkv(&s, _i % TEST_ORDERS, block_sizes[_i / TEST_ORDERS], true, 3, 1, false);
    for (size_t i = 0; i < ROWS * 2 * WIDTH; i++) {
        const size_t j = i % QKV_D, patch = i / QKV_D % 2, h = i / QKV_D / 2 % QKV_HEADS, row = i / (2 * WIDTH);
        ck_assert_float_eq(s.q[i], projected(row * 2 + patch, 0, j, h));
        ck_assert_float_eq(s.k[i], projected(row * 2 + patch, 1, j, h));
        ck_assert_float_eq(s.v[i], projected(row * 2 + patch, 2, j, h));
    }
}
END_TEST

/* With sine 0 feature j is multiplied by the cosine of pair j/2, with cosine 0 its neighbour (a, b) → (-b, a) by the
 * sine; then a query by 2^(m·(i+1)), i = j mod d/2, m its distance from the centre, and a key by the inverse. */
START_TEST(time_wise_features_turn_and_scale_and_keys_are_kept_at_their_position) {
    static split s;
    for (int turn = 0; turn < 2; turn++) {
        const uint32_t position = 3, center = 5;
        split_qkv(&s, _i % TEST_ORDERS, block_sizes[_i / TEST_ORDERS], false, position, center, turn);
        for (size_t at = 0; at < LAYERS * ROWS * SLOTS * WIDTH; at++) {
            const size_t j = at % QKV_D, slot = at / QKV_D % SLOTS, h = at / QKV_D / SLOTS % QKV_HEADS;
            const size_t row = at / (SLOTS * WIDTH) % ROWS, layer = at / (ROWS * SLOTS * WIDTH);
            if (layer != 1 || slot < position || slot >= position + 2) {
                ck_assert(isnan(s.k[at]) && isnan(s.v[at]));
                continue;
            }
            const size_t patch = slot - position, token = row * 2 + patch, from = turn ? j ^ 1 : j;
            const float factor = (float)(slot * HALF + j / 2 + 1) * (turn && j % 2 == 0 ? -1.0f : 1.0f);
            const int power = ((int)slot - (int)center) * (int)(j % HALF + 1);
            const float q = s.q[((row * QKV_HEADS + h) * 2 + patch) * QKV_D + j];
            ck_assert_float_eq(q, ldexpf(projected(token, 0, from, h) * factor, power));
            ck_assert_float_eq(s.k[at], ldexpf(projected(token, 1, from, h) * factor, -power));
            ck_assert_float_eq(s.v[at], projected(token, 2, j, h));
        }
    }
}
END_TEST

Suite *suite_attention(void) {
    Suite *suite = suite_create("attention");
    TCase *tc = tcase_create("closed forms");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(tc, equal_scores_give_the_mean_of_all_values_so_far, 0, RUNS);
    tcase_add_loop_test(tc, a_patch_sees_itself_and_earlier_ones_only, 0, TEST_ORDERS);
    tcase_add_loop_test(tc, the_strongest_keys_win_in_any_tile, 0, RUNS);
    tcase_add_loop_test(tc, a_nan_among_visible_keys_is_answered_with_nan, 0, RUNS);
    tcase_add_loop_test(tc, other_groups_are_never_read, 0, RUNS);
    tcase_add_loop_test(tc, space_wise_features_are_only_put_in_order, 0, 4 * TEST_ORDERS);
    tcase_add_loop_test(tc, time_wise_features_turn_and_scale_and_keys_are_kept_at_their_position, 0, 4 * TEST_ORDERS);
    suite_add_tcase(suite, tc);
    return suite;
}
