/* A small prefill's attention in one kernel against the two that it stands for: bit by bit the same answers, keys and
 * values, in every bucket that it serves. What those two compute is tested in fused_attention_test.c and
 * fused_group_test.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/fused_grid_attention.h"
#include "tests/gpu/attend64.h"
#include "tests/gpu/kernel_run.h"

enum { D_MOST = 128, PATCHES = 64, TOKENS = 128, HEADS = 2, LAYERS = 2, TABLE = PATCHES + 3 };

/* Patches on both sides of a tile of queries (16), of groups of four keys, and of where a thread takes more at a time.
 */
static const struct {
    uint32_t d, rows, patches;
} shapes[] = {{8, 1, 1},   {8, 8, 1},   {8, 8, 8},    {8, 3, 15},  {8, 2, 16},   {8, 2, 17},   {4, 2, 5},
              {6, 1, 1},   {6, 2, 7},   {6, 4, 16},   {6, 1, 33},  {6, 1, 64},   {10, 2, 3},   {12, 5, 12},
              {12, 1, 63}, {12, 2, 32}, {64, 1, 1},   {64, 2, 8},  {64, 7, 9},   {64, 1, 17},  {64, 1, 64},
              {62, 1, 31}, {8, 1, 64},  {128, 1, 32}, {128, 4, 1}, {128, 1, 17}, {126, 1, 31}, {8, 64, 1}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static float cosine[TABLE * D_MOST / 2], sine[TABLE * D_MOST / 2], xpos[2 * TABLE * D_MOST / 2];
static float qkv[TOKENS * 3 * HEADS * D_MOST], out[2][TOKENS * HEADS * D_MOST];
static float cache[2][2][LAYERS * TOKENS * HEADS * (D_MOST + 4)]; /* [kernel][key or value] */

/* A case: the session's cache, or with `off` one layer's place for all; a NaN feature of token `spoiled`. */
typedef struct world {
    uint32_t d, rows, patches, stride, spoiled;
    bool off;
} world;

static size_t layer_floats(world w) {
    return (size_t)w.rows * HEADS * w.stride * w.d;
}

static od_call call_of(world w) {
    const uint32_t width = HEADS * w.d, tokens = w.rows * w.patches;
    const size_t bytes = LAYERS * layer_floats(w) * sizeof(float);
    ck_assert_uint_le(bytes, sizeof cache[0][0]);
    for (size_t i = 0; i < (size_t)tokens * 3 * width; i++) qkv[i] = 2 * test_feature(i / width % 3, 1, 0, i, 0);
    if (w.spoiled < tokens) qkv[((size_t)w.spoiled * 3 + 1) * width + w.d] = NAN;
    od_call call = {.key = test_kernel_put(NULL, bytes),
                    .cached = test_kernel_put(NULL, bytes),
                    .layer_stride = w.off ? 0 : layer_floats(w),
                    .key_stride = w.stride,
                    .center = w.patches / 2,
                    .cosine = PUT(cosine),
                    .sine = PUT(sine),
                    .xpos = PUT(xpos),
                    .rope_rows = TABLE,
                    .n_row = w.rows,
                    .variates = 1,
                    .n_patch = w.patches,
                    .n_token = tokens};
    call.scratch[OD_SCRATCH_QKV] = test_kernel_put(qkv, (size_t)tokens * 3 * width * sizeof(float));
    call.scratch[OD_SCRATCH_ATTENDED] = test_kernel_put(NULL, (size_t)tokens * width * sizeof(float));
    return call;
}

static void keep(int which, world w, const od_call *call) {
    const size_t bytes = LAYERS * layer_floats(w) * sizeof(float);
    test_kernel_get(out[which], call->scratch[OD_SCRATCH_ATTENDED],
                    (size_t)w.rows * w.patches * HEADS * w.d * sizeof(float));
    test_kernel_get(cache[which][0], call->key, bytes);
    test_kernel_get(cache[which][1], call->cached, bytes);
}

static od_attend_tile_args args_of(const od_call *put, world w) {
    return (od_attend_tile_args){
        .call = put, .inverse_root = 1.0f / sqrtf((float)w.d), .n_head = HEADS, .d_head = w.d, .layer = 1};
}

static void run_two(int order, world w) {
    const od_call call = call_of(w), *put = test_kernel_put(&call, sizeof call);
    const od_rotate_args turn = {.call = put, .n_head = HEADS, .d_head = w.d, .layer = 1};
    od_attend_tile_args attend = args_of(put, w);
    RUN(order, rotate, od_rotate_grid(call.n_token, HEADS, w.d), turn);
    const od_grid grid = od_attend_prefill_grid(&attend, 512, 1 << 20);
    RUN(order, attend_prefill, grid, attend);
    keep(0, w, &call);
}

static void run_small(int order, world w, size_t capacity, unsigned blocks) {
    const od_call call = call_of(w);
    od_attend_tile_args attend = args_of(test_kernel_put(&call, sizeof call), w);
    ck_assert(od_attend_small_serves(capacity, w.d));
    od_grid grid = od_attend_small_grid(&attend, capacity);
    if (blocks) grid.x = blocks;
    RUN(order, attend_small, grid, attend);
    keep(1, w, &call);
}

static void check_same(const float *a, const float *b, size_t n, const char *what, world w) {
    for (size_t i = 0; i < n; i++)
        if (!(isnan(a[i]) && isnan(b[i])) && memcmp(a + i, b + i, sizeof *a) != 0)
            ck_abort_msg("d %u, %u rows of %u: %s differ at %zu: %.9g, %.9g", w.d, w.rows, w.patches, what, i, a[i],
                         b[i]);
}

static void check(world w) {
    size_t finite = 0;
    const size_t n = (size_t)w.rows * w.patches * HEADS * w.d;
    for (size_t i = 0; i < n; i++) finite += isfinite(out[1][i]) != 0;
    ck_assert_uint_ge(finite, n / HEADS); /* head 0 at least is never spoiled */
    check_same(out[0], out[1], n, "answers", w);
    check_same(cache[0][0], cache[1][0], LAYERS * layer_floats(w), "keys", w);
    check_same(cache[0][1], cache[1][1], LAYERS * layer_floats(w), "values", w);
}

static void setup(void) {
    for (size_t i = 0; i < sizeof cosine / sizeof *cosine; i++) {
        cosine[i] = cosf((float)i);
        sine[i] = sinf((float)i);
    }
    for (size_t i = 0; i < sizeof xpos / sizeof *xpos; i++) xpos[i] = 1 + 0.25f * test_feature(9, 0, 0, 0, i);
    test_kernel_open();
}

/* Cache exact, with room, and off; then a key that is NaN, and buckets and grids of other sizes. */
START_TEST(one_kernel_answers_as_the_two) {
    if (test_left_out(_i)) return;
    const int order = _i % TEST_ORDERS;
    world w = {.d = shapes[_i / TEST_ORDERS].d,
               .rows = shapes[_i / TEST_ORDERS].rows,
               .patches = shapes[_i / TEST_ORDERS].patches,
               .spoiled = UINT32_MAX};
    const uint32_t tokens = w.rows * w.patches, most = od_grid_tile(w.d, 64);
    const size_t capacity = tokens <= 8 ? 8 : most;
    for (int run = 0; run < 3; run++) {
        w.stride = run == 1 ? w.patches + 1 : w.patches;
        w.off = run == 2;
        w.spoiled = run == 2 ? tokens / 2 : UINT32_MAX;
        run_two(order, w);
        run_small(order, w, capacity, run == 1 ? 1 : 0);
        check(w);
    }
    if (most == capacity) return;
    run_small(order, w, most, 3);
    check(w);
}
END_TEST

START_TEST(every_length_answers_as_the_two) {
    if (test_left_out(_i)) return;
    const world w = {
        .d = 8, .rows = 2, .patches = (uint32_t)_i, .stride = (uint32_t)_i, .spoiled = UINT32_MAX, .off = _i % 2};
    run_two(_i % TEST_ORDERS, w);
    run_small(_i % TEST_ORDERS, w, 64, 0);
    check(w);
}
END_TEST

Suite *suite_attend_small(void) {
    Suite *suite = suite_create("small prefills");
    TCase *tc = tcase_create("identities");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, test_kernel_close);
    tcase_add_loop_test(tc, one_kernel_answers_as_the_two, 0, SHAPES * TEST_ORDERS);
    tcase_add_loop_test(tc, every_length_answers_as_the_two, 1, PATCHES + 1);
    suite_add_tcase(suite, tc);
    return suite;
}
