/* The decode steps' product alone: exact small integers, closed forms of each epilogue, and the bits of a row, which
 * must depend on nothing but the row. Sizes lie on both sides of a float4, of a block's rows and of a block's outputs.
 */
#include <math.h>
#include <string.h>

#include "gpu/row_plan.h"
#include "tests/gpu/kernel_run.h"

enum { MOST_ROWS = 17, MOST_OUTS = 800, MOST_DEPTH = 64, CAPACITY = 64 };
static const uint32_t depths[] = {1, 2, 3, 4, 6, 8, 30, 33, 64};
static const uint32_t outs[] = {1, 2, 3, 7, 133, 2 * OD_ROW_BLOCKS, MOST_OUTS}; /* a block: 1, 2 and 7 */
static const uint32_t row_counts[] = {1, 7, 8, 9, 17};
enum {
    DEPTHS = sizeof depths / sizeof *depths,
    OUTS = sizeof outs / sizeof *outs,
    COUNTS = sizeof row_counts / sizeof *row_counts,
    SHAPES = DEPTHS * OUTS
};

static float x[CAPACITY * MOST_DEPTH], w[2 * MOST_OUTS * MOST_DEPTH], bias[2 * MOST_OUTS], scale[MOST_DEPTH];
static float y[CAPACITY * MOST_OUTS], before[CAPACITY * MOST_OUTS], other[CAPACITY * MOST_OUTS];

typedef struct shape {
    uint32_t depth, outs, epilogue;
    bool normed;
} shape;

/* to[rows, outs] = the product of from[rows, depth], in place on `before`, through a graph's grid for `capacity` rows;
 * what a block beyond the call's rows writes would not be what fresh memory holds. */
static void run(float *to, const float *from, shape s, uint32_t rows, uint32_t capacity, int order) {
    const size_t weights = (size_t)s.outs * (s.epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1), n = (size_t)rows * s.outs;
    od_call call = {.n_row = rows, .n_patch = 1, .n_token = rows, .head_patch = 1};
    call.scratch[OD_SCRATCH_X] = test_kernel_put(from, (size_t)rows * s.depth * 4);
    call.scratch[OD_SCRATCH_MLP] =
        test_kernel_put(s.epilogue == OD_EPILOGUE_RESIDUAL ? before : NULL, (size_t)capacity * s.outs * 4);
    const od_product_args args = {.call = test_kernel_put(&call, sizeof call),
                                  .w = test_kernel_put(w, weights * s.depth * 4),
                                  .bias = test_kernel_put(bias, weights * 4),
                                  .norm = s.normed ? test_kernel_put(scale, s.depth * 4) : NULL,
                                  .x = OD_SCRATCH_X,
                                  .y = OD_SCRATCH_MLP,
                                  .outs = s.outs,
                                  .depth = s.depth,
                                  .epilogue = s.epilogue,
                                  .rows = OD_ROWS_TOKENS};
    const od_row_product_args planned = od_row_args(&args);
    RUN(order, row_product, od_row_product_grid(&args, capacity), planned);
    test_kernel_get(to, call.scratch[OD_SCRATCH_MLP], (size_t)capacity * s.outs * 4);
    for (size_t i = n; i < (size_t)capacity * s.outs; i++)
        if (s.epilogue == OD_EPILOGUE_RESIDUAL)
            SAME_FLOAT(to[i], before[i]);
        else
            IS_NAN(to[i]);
}

static shape shape_of(int i, uint32_t epilogue) {
    return (shape){depths[i % DEPTHS], outs[i / DEPTHS], epilogue, false};
}

START_TEST(small_integers_are_exact) {
    if (test_left_out(_i)) return;
    for (int k = 0; k < COUNTS; k++)
        for (uint32_t e = OD_EPILOGUE_BIAS; e <= OD_EPILOGUE_RESIDUAL; e++) {
            const shape s = shape_of(_i, e);
            const uint32_t rows = row_counts[k];
            for (size_t i = 0; i < (size_t)rows * s.depth; i++) x[i] = test_small(i / s.depth, i % s.depth);
            for (size_t i = 0; i < (size_t)s.outs * s.depth; i++) w[i] = test_small(i % s.depth, i / s.depth + 1);
            for (size_t j = 0; j < s.outs; j++) bias[j] = (float)j;
            for (size_t i = 0; i < sizeof before / 4; i++) before[i] = 1000 + (float)i;
            run(y, x, s, rows, rows, (_i + k) % TEST_ORDERS);
            for (size_t i = 0; i < (size_t)rows * s.outs; i++) {
                float sum = (float)(i % s.outs) + (e == OD_EPILOGUE_RESIDUAL ? before[i] : 0);
                for (size_t f = 0; f < s.depth; f++) sum += x[i / s.outs * s.depth + f] * w[i % s.outs * s.depth + f];
                SAME_FLOAT(y[i], sum);
            }
        }
}
END_TEST

/* Rows of w longer than a block keeps at once: one row a block, and a full block of forty-eight. */
START_TEST(long_rows_are_exact) {
    if (test_left_out(_i)) return;
    enum { LONG = 4 * (OD_ROW_KEPT + 1) * OD_ROW_THREADS + 20, ROWS = 9, MANY = OD_ROW_BLOCKS * 48, SHORT = 660 };
    static float long_x[ROWS * LONG], long_w[MANY * SHORT], long_bias[MANY], long_y[ROWS * MANY];
    const uint32_t depth = _i / TEST_ORDERS ? SHORT : LONG, n = _i / TEST_ORDERS ? MANY : 1;
    for (size_t i = 0; i < (size_t)ROWS * depth; i++) long_x[i] = test_small(i / depth, i % depth);
    for (size_t i = 0; i < (size_t)n * depth; i++) long_w[i] = test_small(i % depth, i / depth + 1);
    od_call call = {.n_row = ROWS, .n_patch = 1, .n_token = ROWS, .head_patch = 1};
    call.scratch[OD_SCRATCH_X] = PUT(long_x);
    call.scratch[OD_SCRATCH_MLP] = test_kernel_put(NULL, (size_t)ROWS * n * 4);
    const od_product_args args = {.call = test_kernel_put(&call, sizeof call),
                                  .w = PUT(long_w),
                                  .bias = PUT(long_bias),
                                  .x = OD_SCRATCH_X,
                                  .y = OD_SCRATCH_MLP,
                                  .outs = n,
                                  .depth = depth};
    const od_row_product_args planned = od_row_args(&args);
    RUN(_i % TEST_ORDERS, row_product, od_row_product_grid(&args, ROWS), planned);
    test_kernel_get(long_y, call.scratch[OD_SCRATCH_MLP], (size_t)ROWS * n * 4);
    for (size_t i = 0; i<(size_t)ROWS * n; i += n> 1 ? 97 : 1) {
        float sum = 0;
        for (size_t f = 0; f < depth; f++) sum += long_x[i / n * depth + f] * long_w[i % n * depth + f];
        SAME_FLOAT(long_y[i], sum);
    }
}
END_TEST

/* silu(0) = 0; silu(100) = 100 since e^-100 is lost beside 1; silu(-200) = 0, for e^200 is infinite. The gate is a
 * row's first value less its bias, `up` the last times the output's number. */
START_TEST(swiglu_at_zero_and_far_out) {
    if (test_left_out(_i)) return;
    const float gates[] = {0, 100, -200, NAN}, silu[] = {0, 100, 0, NAN};
    const shape s = shape_of(_i, OD_EPILOGUE_SWIGLU);
    const uint32_t rows = 9;
    if (s.depth < 2) return;
    memset(w, 0, sizeof w);
    memset(x, 0, sizeof x);
    for (size_t j = 0; j < s.outs; j++) {
        w[j * s.depth] = 1;
        w[(s.outs + j + 1) * s.depth - 1] = (float)(j + 1);
        bias[j] = 0.5f;
        bias[s.outs + j] = 0.25f;
    }
    for (size_t r = 0; r < rows; r++) {
        x[r * s.depth] = gates[r % 4] - 0.5f;
        x[(r + 1) * s.depth - 1] = (float)r;
    }
    run(y, x, s, rows, rows, _i % TEST_ORDERS);
    for (size_t i = 0; i < rows * s.outs; i++) {
        const size_t r = i / s.outs;
        if (r % 4 == 3)
            IS_NAN(y[i]);
        else
            SAME_FLOAT(y[i], silu[r % 4] * ((float)r * (float)(i % s.outs + 1) + 0.25f));
    }
}
END_TEST

/* Terms in (-1, 1), of a period that no size divides. */
static float rough(size_t i) {
    return (float)((i * 7919 + 12345) % 10007) / 10007.0f * 2 - 1;
}

static void fill_rough(shape s, uint32_t rows) {
    for (size_t i = 0; i < (size_t)rows * s.depth; i++) x[i] = rough(i) + (i % 5 == 0);
    for (size_t i = 0; i < 2 * (size_t)s.outs * s.depth; i++) w[i] = rough(3 * i + 1);
    for (size_t i = 0; i < 2 * s.outs; i++) bias[i] = rough(5 * i + 2);
    for (size_t i = 0; i < s.depth; i++) scale[i] = 1 + 0.2f * rough(7 * i + 3);
    for (size_t i = 0; i < sizeof before / 4; i++) before[i] = rough(11 * i);
}

/* Against float64. With u = 2^-24: a term passes at most two roundings of its own and two of x·scale and w, then
 * depth + 2 additions of lanes and segments; the sum of squares, all positive, is within (depth + 6)·u with its mean,
 * its inverse root within half of that and three more; the product with it and the bias add one each. Together under
 * (2·depth + 16)·u of the terms' absolute sum and of the bias. */
START_TEST(normed_rows_are_near_float64) {
    if (test_left_out(_i)) return;
    shape s = shape_of(_i, OD_EPILOGUE_BIAS);
    const uint32_t rows = 9;
    s.normed = true;
    fill_rough(s, rows);
    memset(x + s.depth, 0, s.depth * 4); /* a row of zeros: the bias alone */
    run(y, x, s, rows, rows, _i % TEST_ORDERS);
    for (size_t i = 0; i < rows * s.outs; i++) {
        const size_t r = i / s.outs, j = i % s.outs;
        double square = 0, sum = 0, size = fabs(bias[j]);
        for (size_t f = 0; f < s.depth; f++) square += (double)x[r * s.depth + f] * x[r * s.depth + f];
        const double root = sqrt(square / s.depth + 1e-8);
        for (size_t f = 0; f < s.depth; f++) {
            const double term = x[r * s.depth + f] / root * scale[f] * w[j * s.depth + f];
            sum += term;
            size += fabs(term);
        }
        ck_assert(fabs(y[i] - (sum + bias[j])) <= (2.0 * s.depth + 16) * 0x1p-24 * size);
        if (r == 1) SAME_FLOAT(y[i], bias[j]);
    }
}
END_TEST

/* Bitwise: with fewer rows beside it, under a larger grid, in another place, in every order of threads. */
START_TEST(a_row_has_the_same_bits_in_any_company) {
    if (test_left_out(_i)) return;
    const uint32_t epilogue = (uint32_t)(_i / SHAPES), alone = 11; /* a row of the second group */
    shape s = shape_of(_i % SHAPES, epilogue);
    s.normed = epilogue != OD_EPILOGUE_RESIDUAL;
    fill_rough(s, MOST_ROWS);
    for (size_t i = 0; i < sizeof before / 4; i++) before[i] = rough(i % s.outs); /* alike in each row */
    run(y, x, s, MOST_ROWS, MOST_ROWS, 0);
    for (int k = 0; k < COUNTS - 1; k++) {
        run(other, x, s, row_counts[k], k % 2 ? row_counts[k] : CAPACITY, 1 + k % (TEST_ORDERS - 1));
        ck_assert_mem_eq(other, y, (size_t)row_counts[k] * s.outs * 4);
    }
    run(other, x + alone * s.depth, s, 1, 1, _i % TEST_ORDERS);
    ck_assert_mem_eq(other, y + alone * s.outs, s.outs * 4);
}
END_TEST

/* Three rows of four patches: the last two, or all, of each. */
START_TEST(heads_read_the_last_patches_of_each_row) {
    if (test_left_out(_i)) return;
    enum { R = 3, S = 4, OUT = 2 };
    const uint32_t depth = depths[_i % DEPTHS], head = _i / DEPTHS ? S : 2;
    for (size_t i = 0; i < (size_t)R * S * depth; i++) x[i] = i % depth ? 0 : (float)(i / depth + 1);
    for (size_t i = 0; i < OUT * depth; i++) w[i] = i < depth ? 1 : 10;
    memset(bias, 0, sizeof bias);
    od_call call = {.n_row = R, .n_patch = S, .n_token = R * S, .head_patch = head};
    call.scratch[OD_SCRATCH_X] = test_kernel_put(x, (size_t)R * S * depth * 4);
    call.scratch[OD_SCRATCH_HEADS] = test_kernel_put(NULL, R * head * OUT * 4);
    const od_product_args args = {.call = test_kernel_put(&call, sizeof call),
                                  .w = PUT(w),
                                  .bias = PUT(bias),
                                  .x = OD_SCRATCH_X,
                                  .y = OD_SCRATCH_HEADS,
                                  .outs = OUT,
                                  .depth = depth,
                                  .rows = OD_ROWS_HEAD};
    const od_row_product_args planned = od_row_args(&args);
    RUN(_i % TEST_ORDERS, row_product, od_row_product_grid(&args, R * S), planned);
    test_kernel_get(y, call.scratch[OD_SCRATCH_HEADS], R * head * OUT * 4);
    for (size_t i = 0; i < (size_t)R * head * OUT; i++) {
        const size_t row = i / OUT / head, patch = S - head + i / OUT % head;
        SAME_FLOAT(y[i], (float)(row * S + patch + 1) * (i % OUT ? 10 : 1));
    }
}
END_TEST

/* Three rows' last two patches of five steps: row after row, whatever came before them in the call. */
START_TEST(steps_are_rows_of_their_own) {
    if (test_left_out(_i)) return;
    enum { R = 3, HEAD = 2, P = 5, N = R * HEAD * P, OUT = 2 };
    const uint32_t depth = depths[_i];
    for (size_t i = 0; i < (size_t)N * depth; i++) x[i] = i % depth ? 0 : (float)(i / depth + 1);
    for (size_t i = 0; i < OUT * depth; i++) w[i] = i < depth ? 1 : 10;
    memset(bias, 0, sizeof bias);
    od_call call = {.n_row = R, .n_patch = 4, .n_token = R * 4, .head_patch = HEAD};
    call.scratch[OD_SCRATCH_UNEMBED] = test_kernel_put(x, (size_t)N * depth * 4);
    call.scratch[OD_SCRATCH_HEADS] = test_kernel_put(NULL, N * OUT * 4);
    const od_product_args args = {.call = test_kernel_put(&call, sizeof call),
                                  .w = PUT(w),
                                  .bias = PUT(bias),
                                  .x = OD_SCRATCH_UNEMBED,
                                  .y = OD_SCRATCH_HEADS,
                                  .outs = OUT,
                                  .depth = depth,
                                  .rows = OD_ROWS_STEPS,
                                  .patch = P};
    const od_row_product_args planned = od_row_args(&args);
    RUN(_i % TEST_ORDERS, row_product, od_row_product_grid(&args, 64 * P), planned);
    test_kernel_get(y, call.scratch[OD_SCRATCH_HEADS], N * OUT * 4);
    for (size_t i = 0; i < N * OUT; i++) SAME_FLOAT(y[i], (float)(i / OUT + 1) * (i % OUT ? 10 : 1));
}
END_TEST

/* What a decode step's speed hangs on: two blocks' shared memory fits beside each other at toto-open-base's shapes, and
 * there are blocks for all multiprocessors, of few rows and of many. */
START_TEST(blocks_share_a_multiprocessor_in_pairs) {
    const od_product_args tiny = {.outs = 96, .depth = 32, .norm = scale};
    ck_assert_uint_le(od_row_product_grid(&tiny, 8).shared, 16384);
    const od_product_args up = {.outs = 3072, .depth = 768, .norm = scale, .epilogue = OD_EPILOGUE_SWIGLU};
    const od_product_args down = {.outs = 768, .depth = 3072, .epilogue = OD_EPILOGUE_RESIDUAL};
    ck_assert_uint_le(od_row_product_grid(&up, 8).shared + od_row_product_grid(&down, 8).shared, 226 * 1024);
    for (uint32_t rows = 1; rows <= 4096; rows *= 8) {
        const od_grid grid = od_row_product_grid(&down, rows);
        ck_assert_uint_ge(grid.x * grid.y, OD_ROW_BLOCKS);
    }
}
END_TEST

Suite *suite_row_product(void) {
    Suite *s = suite_create("row_product");
    TCase *t = tcase_create("row_product");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(t, small_integers_are_exact, 0, SHAPES);
    tcase_add_loop_test(t, long_rows_are_exact, 0, TEST_ORDERS + 1);
    tcase_add_loop_test(t, swiglu_at_zero_and_far_out, 0, SHAPES);
    tcase_add_loop_test(t, normed_rows_are_near_float64, 0, SHAPES);
    tcase_add_loop_test(t, a_row_has_the_same_bits_in_any_company, 0, 3 * SHAPES);
    tcase_add_loop_test(t, heads_read_the_last_patches_of_each_row, 0, 2 * DEPTHS);
    tcase_add_loop_test(t, steps_are_rows_of_their_own, 0, DEPTHS);
    tcase_add_test(t, blocks_share_a_multiprocessor_in_pairs);
    suite_add_tcase(s, t);
    return s;
}
