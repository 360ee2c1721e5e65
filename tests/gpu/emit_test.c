/* The kernel emit against the two that it stands for, head and mean, bit by bit. What those compute has its closed
 * forms in kernels_test.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/fused_grid.h"
#include "tests/gpu/kernel_run.h"

static const struct {
    uint32_t rows, n_patch, patch, n_head, n_component;
    uint32_t head_patch, capacity; /* capacity in tokens */
} shapes[] = {{1, 1, 1, 3, 1, 1, 1},     {2, 3, 4, 3, 1, 3, 6},   {3, 5, 4, 3, 1, 1, 20},   {3, 5, 7, 4, 2, 5, 16},
              {2, 2, 33, 4, 5, 2, 4},    {7, 1, 64, 4, 24, 1, 8}, {2, 3, 64, 4, 24, 3, 6},  {2, 3, 64, 4, 24, 1, 60},
              {1, 3, 64, 4, 24, 2, 300}, {2, 2, 3, 4, 64, 2, 4},  {1, 2, 64, 4, 63, 2, 16}, {5, 2, 65, 3, 1, 2, 200}};
enum { SHAPES = sizeof shapes / sizeof *shapes, RUNS = SHAPES * TEST_ORDERS, MARGIN = 3 };

static uint64_t random_state;

static uint32_t draw(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

/* Products of either sign, some of them far out, a few no numbers: the NaN that a GPU makes, since head adds a bias to
 * it and emit does not. */
static float product(void) {
    const uint32_t bits = 0x7fffffff;
    const float x = ((float)(draw() % 20001) - 10000) / 1777;
    float nan;
    memcpy(&nan, &bits, sizeof nan);
    switch (draw() % 40) {
    case 0: return 50 * x;
    case 1: return draw() % 10 ? x : nan;
    case 2: return draw() % 10 ? x : 1e38f * x;
    default: return x;
    }
}

/* One set of a session's outputs on the device, as poison. */
typedef struct outputs {
    float *part[5]; /* df, loc, scale, probs, mean */
    uint32_t *replaced;
} outputs;

static outputs make_outputs(size_t positions, size_t n_component, size_t means, bool mixture) {
    outputs o;
    const uint32_t seven = 7;
    for (int i = 0; i < 4; i++)
        o.part[i] = i == 3 && !mixture ? NULL : test_kernel_put(NULL, positions * n_component * 4);
    o.part[4] = test_kernel_put(NULL, means * 4);
    o.replaced = test_kernel_put(&seven, sizeof seven);
    return o;
}

static const od_call *put_call(const od_call *call, const outputs *o) {
    od_call c = *call;
    c.out_df = o->part[0];
    c.out_loc = o->part[1];
    c.out_scale = o->part[2];
    c.out_probs = o->part[3];
    c.mean = o->part[4];
    return test_kernel_put(&c, sizeof c);
}

/* head and mean, of every patch of the call. raw: [head][position][component]. */
static void run_two(int i, int order, const od_call *call, const outputs *o, const float *raw, size_t positions) {
    static const float no_bias[64];
    const uint32_t k = shapes[i].n_component;
    const float *bias = PUT(no_bias), *head[4] = {0};
    for (uint32_t h = 0; h < shapes[i].n_head; h++)
        head[h] = test_kernel_put(raw + h * positions * k, positions * k * 4);
    const od_head_args args = {put_call(call, o), head[0], head[1], head[2], head[3], bias, bias, bias, bias, k,
                               positions};
    RUN(order, head, test_cover(positions, 32), args);
    const od_mean_args mean = {args.call,       o->replaced, shapes[i].rows,       shapes[i].n_patch,
                               shapes[i].patch, k,           shapes[i].n_head == 4};
    RUN(order, mean, test_cover(shapes[i].rows * shapes[i].patch, 32), mean);
}

/* The products as the folded head gives them: of each row the last head_patch patches. */
static float *folded(int i, const float *raw, size_t positions) {
    const size_t k = shapes[i].n_component, n_head = shapes[i].n_head, p = shapes[i].patch, last = shapes[i].head_patch;
    float *all = malloc(shapes[i].rows * last * p * n_head * k * 4), *to = all;
    for (size_t at = 0; at < positions; at++) {
        if (at / p % shapes[i].n_patch < shapes[i].n_patch - last) continue;
        for (size_t h = 0; h < n_head; h++, to += k) memcpy(to, raw + (h * positions + at) * k, k * 4);
    }
    return all;
}

/* The new outputs of each row's last head_patch patches, and nothing behind them. */
static void compare(int i, const outputs *old, const outputs *new, size_t positions) {
    const size_t k = shapes[i].n_component, p = shapes[i].patch, row = shapes[i].n_patch * p * k,
                 shown = shapes[i].head_patch * p * k;
    float *x = malloc((positions + MARGIN) * k * 4), *y = malloc((positions + MARGIN) * k * 4);
    for (int o = 0; o < (shapes[i].n_head == 4 ? 4 : 3); o++) {
        test_kernel_get(x, old->part[o], positions * k * 4);
        test_kernel_get(y, new->part[o], (positions + MARGIN) * k * 4);
        for (size_t r = 0; r < shapes[i].rows; r++)
            ck_assert_mem_eq(y + r * shown, x + r * row + (row - shown), shown * 4);
        for (size_t at = shapes[i].rows * shown; at < (positions + MARGIN) * k; at++) ck_assert(isnan(y[at]));
    }
    free(x);
    free(y);
}

START_TEST(emit_is_head_and_mean) {
    const int i = _i / TEST_ORDERS, order = _i % TEST_ORDERS;
    const size_t k = shapes[i].n_component, n_head = shapes[i].n_head, p = shapes[i].patch, rows = shapes[i].rows;
    const size_t positions = rows * shapes[i].n_patch * p, stride = shapes[i].n_patch * p + 5, first = 3;
    random_state = (uint64_t)_i;
    float *raw = malloc(n_head * positions * k * 4), *loc = malloc(rows * stride * 4),
          *scale = malloc(rows * stride * 4);
    for (size_t at = 0; at < n_head * positions * k; at++) raw[at] = product();
    for (size_t at = 0; at < rows * stride; at++) {
        loc[at] = (float)draw() / 7777;
        scale[at] = draw() % 50 ? (float)(1 + draw() % 1000) / 77 : 1e38f;
    }
    float *heads = folded(i, raw, positions);
    od_call call = {.loc = test_kernel_put(loc, rows * stride * 4),
                    .scale = test_kernel_put(scale, rows * stride * 4),
                    .step_stride = (uint32_t)stride,
                    .first_step = (uint32_t)first,
                    .n_row = (uint32_t)rows,
                    .n_patch = shapes[i].n_patch,
                    .n_token = (uint32_t)(rows * shapes[i].n_patch),
                    .head_patch = shapes[i].head_patch};
    const size_t bytes = rows * shapes[i].head_patch * p * n_head * k * 4;
    call.scratch[OD_SCRATCH_HEADS] = test_kernel_put(heads, bytes);
    const outputs old = make_outputs(positions, k, rows * p, n_head == 4),
                  new = make_outputs(positions + MARGIN, k, rows * p, n_head == 4);
    run_two(i, order, &call, &old, raw, positions);
    const od_emit_args args = {put_call(&call, &new), new.replaced, (uint32_t)p, (uint32_t)n_head, (uint32_t)k};
    RUN(order, emit, od_emit_grid(&args, shapes[i].capacity), args);
    compare(i, &old, &new, positions);
    float *x = malloc(rows * p * 4), *y = malloc(rows * p * 4);
    uint32_t n_old, n_new;
    test_kernel_get(x, old.part[4], rows * p * 4);
    test_kernel_get(y, new.part[4], rows * p * 4);
    ck_assert_mem_eq(x, y, rows * p * 4);
    test_kernel_get(&n_old, old.replaced, sizeof n_old);
    test_kernel_get(&n_new, new.replaced, sizeof n_new);
    ck_assert_uint_eq(n_old, n_new);
    ck_assert(n_new > 7 || rows * p < 200); /* something was replaced */
    free(x);
    free(y);
    free(raw);
    free(heads);
    free(loc);
    free(scale);
}
END_TEST

Suite *suite_emit(void) {
    Suite *suite = suite_create("emit");
    TCase *tc = tcase_create("identities");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(tc, emit_is_head_and_mean, 0, RUNS);
    suite_add_tcase(suite, tc);
    return suite;
}
