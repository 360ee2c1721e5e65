/* The fused path's rotary embedding and attention alone: against closed forms and float64, at both sides of every tile,
 * and bit by bit whatever the bucket, the batch and the cache's stride. What must not be read is NaN. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/fused_grid_attention.h"
#include "tests/gpu/attend64.h"
#include "tests/gpu/kernel_run.h"

enum { D_MOST = ATTEND64_DEPTH, KEYS = ATTEND64_KEYS };
enum { ROWS = 4, LAYERS = 2, LAYER = 1, WIDE = ROWS * KEYS * 3 * D_MOST };

/* A case: patches from `position` on, of rows from first_row on. */
typedef struct shape {
    uint32_t d, heads, rows, patches, position, first_row;
} shape;

/* What must not change a bit. */
typedef struct room {
    uint32_t tokens, seen, stride, blocks; /* the bucket's; cache's; blocks 0: as many as the grid has */
} room;

static room room_of(shape s) {
    return (room){s.rows * s.patches, s.position + s.patches, s.position + s.patches, 0};
}

static float qkv[WIDE], out_a[WIDE], out_b[WIDE];
static float key[LAYERS * ROWS * 2 * (KEYS + 9) * D_MOST], value[sizeof key / 4];
static uint32_t nan_key; /* a key that, with its value, is NaN in row 1's last head, or none: KEYS */

static float kept(unsigned part, shape s, uint32_t row, uint32_t h, uint32_t j, uint32_t f) {
    return j == nan_key && row == 1 && h + 1 == s.heads ? NAN : test_feature(part, row, h, j, f);
}

static size_t place(shape s, uint32_t stride, uint32_t row, uint32_t h, uint32_t j) {
    return ((((size_t)LAYER * s.rows + row) * s.heads + h) * stride + j) * s.d;
}
static size_t cache_bytes(shape s, uint32_t stride) {
    return (size_t)LAYERS * s.rows * s.heads * stride * s.d * 4;
}

/* n keys and values in the second layer; NaN elsewhere. */
static void fill_cache(shape s, uint32_t stride, uint32_t n) {
    ck_assert_uint_le(cache_bytes(s, stride), sizeof key);
    for (size_t i = 0; i < cache_bytes(s, stride) / 4; i++) key[i] = value[i] = NAN;
    for (uint32_t row = 0; row < s.rows; row++)
        for (uint32_t h = 0; h < s.heads; h++)
            for (uint32_t j = 0; j < n; j++)
                for (uint32_t f = 0; f < s.d; f++) {
                    key[place(s, stride, row, h, j) + f] = kept(1, s, s.first_row + row, h, j, f);
                    value[place(s, stride, row, h, j) + f] = kept(2, s, s.first_row + row, h, j, f);
                }
}

/* The projection's slot: parts from `first` on are NaN. */
static void fill_qkv(shape s, unsigned first) {
    const uint32_t width = s.heads * s.d;
    for (size_t i = 0; i < (size_t)s.rows * s.patches * 3 * width; i++) {
        const uint32_t f = i % s.d, h = i / s.d % s.heads, part = i / width % 3;
        const uint32_t token = (uint32_t)(i / (3 * width));
        qkv[i] = part < first
                     ? test_feature(part, s.first_row + token / s.patches, h, s.position + token % s.patches, f)
                     : NAN;
    }
}

/* Any numbers do as tables; od_rope's own are tested with od_rope. */
static float cosine[KEYS * D_MOST / 2], sine[KEYS * D_MOST / 2], xpos[2 * KEYS * D_MOST / 2];

static void fill_tables(void) {
    for (size_t i = 0; i < sizeof cosine / 4; i++) {
        cosine[i] = cosf((float)i);
        sine[i] = sinf((float)i);
    }
    for (size_t i = 0; i < sizeof xpos / 4; i++) xpos[i] = 1 + 0.25f * test_feature(9, 0, 0, 0, i);
}

static void setup(void) {
    nan_key = KEYS;
    fill_tables();
    test_kernel_open();
}

static od_call call_of(shape s, room r) {
    const size_t n = (size_t)s.rows * s.patches * s.heads * s.d * 4;
    od_call call = {.key = test_kernel_put(key, cache_bytes(s, r.stride)),
                    .cached = test_kernel_put(value, cache_bytes(s, r.stride)),
                    .layer_stride = cache_bytes(s, r.stride) / 4 / LAYERS,
                    .key_stride = r.stride,
                    .patch_stride = s.patches,
                    .position = s.position,
                    .center = s.position / 2,
                    .cosine = PUT(cosine),
                    .sine = PUT(sine),
                    .xpos = PUT(xpos),
                    .rope_rows = KEYS,
                    .n_row = s.rows,
                    .variates = 1,
                    .n_patch = s.patches,
                    .n_token = s.rows * s.patches};
    call.scratch[OD_SCRATCH_QKV] = test_kernel_put(qkv, 3 * n);
    call.scratch[OD_SCRATCH_ATTENDED] = test_kernel_put(NULL, n);
    return call;
}

static float root_of(uint32_t d) {
    return 1.0f / sqrtf((float)d);
}

/* out [rows, patches, heads, d] */
static void prefill(float *out, int order, shape s, room r) {
    fill_cache(s, r.stride, s.position + s.patches);
    fill_qkv(s, 1);
    const od_call call = call_of(s, r);
    od_attend_tile_args args = {test_kernel_put(&call, sizeof call), root_of(s.d), s.heads, s.d, LAYER, 0, 0};
    od_grid grid = od_attend_prefill_grid(&args, r.tokens, r.seen);
    if (r.blocks) grid.x = r.blocks;
    RUN(order, attend_prefill, grid, args);
    test_kernel_get(out, call.scratch[OD_SCRATCH_ATTENDED], (size_t)s.rows * s.patches * s.heads * s.d * 4);
}

/* The call's one patch a row; the cache holds what came before it, and what is then in it is left in key and value. */
static void step(float *out, int order, shape s, room r) {
    ck_assert_uint_eq(s.patches, 1);
    fill_cache(s, r.stride, s.position);
    fill_qkv(s, 3);
    const od_call call = call_of(s, r);
    od_attend_step_args args = {.call = test_kernel_put(&call, sizeof call),
                                .inverse_root = root_of(s.d),
                                .n_head = s.heads,
                                .d_head = s.d,
                                .layer = LAYER};
    const od_grid grid = od_attend_step_grid(&args, r.tokens, r.seen);
    ck_assert_uint_ge(grid.x, OD_PROCESSORS); /* each has its place kept */
    RUN(order, attend_step, grid, args);
    test_kernel_get(out, call.scratch[OD_SCRATCH_ATTENDED], (size_t)s.rows * s.heads * s.d * 4);
    test_kernel_get(key, call.key, cache_bytes(s, r.stride));
    test_kernel_get(value, call.cached, cache_bytes(s, r.stride));
}

/* Feature f of the patch at `position`, turned as a query (part 0) or a key. */
static attend64_sum turned(unsigned part, shape s, uint32_t row, uint32_t h, uint32_t position, uint32_t f) {
    const uint32_t half = s.d / 2;
    const int64_t from_center = (int64_t)position - (int64_t)(s.position / 2);
    const size_t line = (size_t)(KEYS - 1 + (part == 0 ? from_center : -from_center));
    const double own = (double)test_feature(part, row, h, position, f) * cosine[position * half + f / 2];
    const double other = (double)test_feature(part, row, h, position, f ^ 1) * sine[position * half + f / 2];
    const double scale = xpos[line * half + f % half];
    return (attend64_sum){(f % 2 ? own + other : own - other) * scale, (fabs(own) + fabs(other)) * scale};
}

/* The keys that a row's head has in its cache, the last of them turned from the projection for a step. */
static void known_keys(attend64_keys *all, shape s, uint32_t row, uint32_t h, bool last_turns) {
    for (uint32_t j = 0; j < s.position + s.patches; j++) {
        all->seen[j] = true;
        for (uint32_t f = 0; f < s.d; f++) {
            const double x = test_feature(1, row, h, j, f);
            all->k[j][f] = last_turns && j == s.position ? turned(1, s, row, h, j, f) : (attend64_sum){x, fabs(x)};
            all->v[j][f] = test_feature(2, row, h, j, f);
        }
    }
}

static void check_rows(const float *out, shape s, bool is_step) {
    static attend64_keys all;
    double y[D_MOST];
    attend64_sum q[D_MOST];
    for (uint32_t at = 0; at < s.rows * s.heads; at++) {
        const uint32_t row = at / s.heads, h = at % s.heads;
        known_keys(&all, s, row, h, is_step);
        for (uint32_t i = 0; i < s.patches; i++) {
            for (uint32_t f = 0; f < s.d; f++) {
                const double x = test_feature(0, row, h, s.position + i, f);
                q[f] = is_step ? turned(0, s, row, h, s.position, f) : (attend64_sum){x, fabs(x)};
            }
            const double bound = test_attend64(y, q, &all, s.position + i + 1, s.d);
            for (uint32_t f = 0; f < s.d; f++) {
                const float got = out[((row * s.patches + i) * s.heads + h) * s.d + f];
                if (!(fabs(got - y[f]) <= bound))
                    ck_abort_msg("row %u head %u patch %u feature %u: %g, not %g", row, h, i, f, got, y[f]);
            }
        }
    }
}

static const shape prefills[] = {{4, 2, 2, 1, 0, 0},   {6, 2, 3, 5, 0, 0},   {8, 2, 2, 15, 0, 0}, {8, 2, 2, 17, 3, 0},
                                 {6, 1, 2, 63, 0, 0},  {4, 2, 2, 64, 0, 0},  {8, 1, 2, 65, 0, 0}, {6, 1, 2, 66, 63, 0},
                                 {64, 1, 2, 16, 0, 0}, {64, 1, 2, 66, 0, 0}, {4, 1, 2, 3, 190, 0}};
static const shape steps[] = {{4, 2, 3, 1, 0, 0},   {6, 2, 2, 1, 1, 0},   {8, 2, 2, 1, 6, 0},    {8, 2, 2, 1, 7, 0},
                              {8, 2, 2, 1, 8, 0},   {6, 2, 2, 1, 126, 0}, {64, 2, 2, 1, 127, 0}, {8, 1, 2, 1, 128, 0},
                              {64, 1, 2, 1, 70, 0}, {4, 1, 2, 1, 255, 0}, {6, 1, 2, 1, 256, 0},  {64, 1, 2, 1, 256, 0}};
enum { PREFILLS = sizeof prefills / sizeof *prefills, STEPS = sizeof steps / sizeof *steps };

START_TEST(a_prefill_attends_as_float64_does) {
    if (test_left_out(_i)) return;
    const shape s = prefills[_i / TEST_ORDERS];
    prefill(out_a, _i % TEST_ORDERS, s, room_of(s));
    check_rows(out_a, s, false);
}
END_TEST

START_TEST(a_step_turns_and_attends_as_float64_does) {
    if (test_left_out(_i)) return;
    const shape s = steps[_i / TEST_ORDERS];
    step(out_a, _i % TEST_ORDERS, s, room_of(s));
    check_rows(out_a, s, true);
}
END_TEST

/* The new key within 4 roundings of float64's, the new value itself; nothing else in the cache has moved. */
START_TEST(a_step_keeps_its_key_and_value_at_its_position) {
    if (test_left_out(_i)) return;
    const shape s = steps[_i / TEST_ORDERS];
    room r = room_of(s);
    r.stride += 3;
    step(out_a, _i % TEST_ORDERS, s, r);
    for (size_t i = 0; i < cache_bytes(s, r.stride) / 4; i++) {
        const uint32_t f = i % s.d, j = i / s.d % r.stride, h = i / s.d / r.stride % s.heads;
        const size_t row = i / s.d / r.stride / s.heads;
        if (row < LAYER * s.rows || j > s.position) {
            if (!isnan(key[i]) || !isnan(value[i])) ck_abort_msg("%zu: %g, %g", (size_t)i, key[i], value[i]);
            continue;
        }
        const uint32_t at = (uint32_t)row - LAYER * s.rows;
        SAME_FLOAT(value[i], test_feature(2, at, h, j, f));
        if (j < s.position)
            SAME_FLOAT(key[i], test_feature(1, at, h, j, f));
        else {
            const attend64_sum k = turned(1, s, at, h, j, f);
            ck_assert(fabs(key[i] - k.is) <= 4 * ldexp(1, -24) * k.size);
        }
    }
}
END_TEST

typedef void run_function(float *out, int order, shape s, room r);

/* Bit for bit: a larger bucket, another stride, one block for all, and each row alone. */
static void check_bits(run_function *run, shape s, int order) {
    const size_t row = (size_t)s.patches * s.heads * s.d;
    room r = room_of(s);
    run(out_a, order, s, r);
    r = (room){2 * r.tokens + 5, KEYS, r.stride + 7, 0};
    run(out_b, order, s, r);
    ck_assert_mem_eq(out_a, out_b, s.rows * row * 4);
    if (run == prefill) {
        r.blocks = 1;
        run(out_b, order, s, r);
        ck_assert_mem_eq(out_a, out_b, s.rows * row * 4);
    }
    shape alone = s;
    for (alone.rows = 1; alone.first_row < s.rows; alone.first_row++) {
        run(out_b, order, alone, room_of(alone));
        ck_assert_mem_eq(out_a + alone.first_row * row, out_b, row * 4);
    }
}

START_TEST(no_bit_of_a_prefill_depends_on_its_surroundings) {
    if (test_left_out(_i)) return;
    check_bits(prefill, prefills[_i / TEST_ORDERS], _i % TEST_ORDERS);
}
END_TEST

START_TEST(no_bit_of_a_step_depends_on_its_surroundings) {
    if (test_left_out(_i)) return;
    check_bits(step, steps[_i / TEST_ORDERS], _i % TEST_ORDERS);
}
END_TEST

/* Each key in turn (all near the tiles' edges, some of the others) is NaN in one head of one row. */
START_TEST(a_nan_reaches_its_own_patch_and_later_ones_only) {
    if (test_left_out(_i)) return;
    const shape s = prefills[_i / TEST_ORDERS];
    const size_t n = (size_t)s.rows * s.patches * s.heads * s.d;
    prefill(out_a, _i % TEST_ORDERS, s, room_of(s));
    for (uint32_t i = 0, runs = 0; i < s.patches && runs < 5; i += 1 + i / 4 * 3, runs++) {
        nan_key = s.position + i;
        prefill(out_b, _i % TEST_ORDERS, s, room_of(s));
        for (size_t at = 0; at < n; at++) {
            const size_t patch = at / s.d / s.heads % s.patches, h = at / s.d % s.heads;
            const bool reached = at / s.d / s.heads / s.patches == 1 && h + 1 == s.heads && patch >= i;
            ck_assert(reached ? isnan(out_b[at]) : memcmp(out_a + at, out_b + at, 4) == 0);
        }
    }
}
END_TEST

START_TEST(a_nan_among_earlier_keys_is_a_steps_answer) {
    if (test_left_out(_i)) return;
    const shape s = steps[_i / TEST_ORDERS];
    for (nan_key = 0; nan_key < s.position; nan_key += 1 + s.position / 3) {
        step(out_a, _i % TEST_ORDERS, s, room_of(s));
        for (size_t at = 0; at < (size_t)s.rows * s.heads * s.d; at++)
            ck_assert(isnan(out_a[at]) == (at / s.d == 1 * s.heads + s.heads - 1));
    }
}
END_TEST

/* Rotate, then attend: the row of the last patch is what a step answers that finds the earlier ones in the cache. Both
 * are within their bound of one float64 number. */
START_TEST(a_step_after_a_prefill_answers_as_the_longer_prefill) {
    if (test_left_out(_i)) return;
    shape s = steps[_i / TEST_ORDERS];
    const room r = room_of(s);
    step(out_a, _i % TEST_ORDERS, s, r);
    const od_call call = call_of(s, r); /* with the step's own key in the cache, and the raw projection */
    const od_call *put = test_kernel_put(&call, sizeof call);
    const od_rotate_args rotate = {.call = put, .n_head = s.heads, .d_head = s.d, .layer = LAYER};
    RUN(_i % TEST_ORDERS, rotate, od_rotate_grid(r.tokens, s.heads, s.d), rotate);
    od_attend_tile_args attend = {put, root_of(s.d), s.heads, s.d, LAYER, 0, 0};
    const od_grid grid = od_attend_prefill_grid(&attend, r.tokens, r.seen);
    RUN(_i % TEST_ORDERS, attend_prefill, grid, attend);
    test_kernel_get(out_b, call.scratch[OD_SCRATCH_ATTENDED], (size_t)s.rows * s.heads * s.d * 4);
    check_rows(out_a, s, true);
    check_rows(out_b, s, true);
}
END_TEST

Suite *suite_fused_attention(void) {
    Suite *suite = suite_create("fused attention");
    TCase *tc = tcase_create("time-wise");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, test_kernel_close);
    tcase_add_loop_test(tc, a_prefill_attends_as_float64_does, 0, PREFILLS * TEST_ORDERS);
    tcase_add_loop_test(tc, a_step_turns_and_attends_as_float64_does, 0, STEPS * TEST_ORDERS);
    tcase_add_loop_test(tc, a_step_keeps_its_key_and_value_at_its_position, 0, STEPS * TEST_ORDERS);
    tcase_add_loop_test(tc, a_step_after_a_prefill_answers_as_the_longer_prefill, 0, STEPS * TEST_ORDERS);
    tcase_add_loop_test(tc, no_bit_of_a_prefill_depends_on_its_surroundings, 0, PREFILLS * TEST_ORDERS);
    tcase_add_loop_test(tc, no_bit_of_a_step_depends_on_its_surroundings, 0, STEPS * TEST_ORDERS);
    tcase_add_loop_test(tc, a_nan_reaches_its_own_patch_and_later_ones_only, 0, PREFILLS * TEST_ORDERS);
    tcase_add_loop_test(tc, a_nan_among_earlier_keys_is_a_steps_answer, 0, STEPS * TEST_ORDERS);
    suite_add_tcase(suite, tc);
    return suite;
}
