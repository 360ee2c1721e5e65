/* The fused prefill's product (od_device_ops.product): exact small integers, operands of all 24 bits against float64,
 * closed forms of each epilogue, and the bits of a row, which must depend on nothing but the row. On a GPU this is the
 * tensor cores' product, on the twin a loop. */
#include <math.h>
#include <string.h>

#include "model/rng.h"
#include "tests/gpu/kernel_run.h"

enum { MOST_ROWS = 130, MOST_OUTS = 200, MOST_DEPTH = 768 };
static const uint32_t depths[] = {1, 3, 4, 6, 30, 32, 33, 64, 100, 768}, outs[] = {1, 3, 24, 96, MOST_OUTS};
static const uint32_t row_counts[] = {1, 7, 8, 63, 64, 65, MOST_ROWS};
enum {
    DEPTHS = sizeof depths / sizeof *depths,
    OUTS = sizeof outs / sizeof *outs,
    COUNTS = sizeof row_counts / sizeof *row_counts,
    SHAPES = DEPTHS * OUTS
};

static float x[MOST_ROWS * MOST_DEPTH], w[2 * MOST_OUTS * MOST_DEPTH], bias[2 * MOST_OUTS];
static float y[MOST_ROWS * MOST_OUTS], other[MOST_ROWS * MOST_OUTS], before[MOST_ROWS * MOST_OUTS];

typedef struct shape {
    uint32_t depth, outs, epilogue;
} shape;

static shape shape_of(int i, uint32_t epilogue) {
    return (shape){depths[i % DEPTHS], outs[i / DEPTHS], epilogue};
}

/* Rows that the call has, within a bucket's capacity: what lies beyond them stays as fresh memory is. */
static void run(float *to, const float *from, shape s, uint32_t rows, uint32_t capacity) {
    const size_t weights = (size_t)s.outs * (s.epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1), n = (size_t)rows * s.outs;
    float beyond;
    od_call call = {.n_row = rows, .n_patch = 1, .n_token = rows, .head_patch = 1};
    call.scratch[OD_SCRATCH_X] = test_kernel_put(from, (size_t)rows * s.depth * 4);
    call.scratch[OD_SCRATCH_MLP] = test_kernel_put(NULL, (n + 1) * 4);
    if (s.epilogue == OD_EPILOGUE_RESIDUAL) call.scratch[OD_SCRATCH_MLP] = test_kernel_put(before, n * 4);
    const od_product_args args = {.call = test_kernel_put(&call, sizeof call),
                                  .w = test_kernel_put(w, weights * s.depth * 4),
                                  .bias = test_kernel_put(bias, weights * 4),
                                  .x = OD_SCRATCH_X,
                                  .y = OD_SCRATCH_MLP,
                                  .outs = s.outs,
                                  .depth = s.depth,
                                  .epilogue = s.epilogue,
                                  .rows = OD_ROWS_TOKENS};
    test_product_run(&args, capacity);
    test_kernel_get(to, call.scratch[OD_SCRATCH_MLP], n * 4);
    if (s.epilogue == OD_EPILOGUE_RESIDUAL) return;
    test_kernel_get(&beyond, (float *)call.scratch[OD_SCRATCH_MLP] + n, 4);
    IS_NAN(beyond);
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
            for (size_t i = 0; i < (size_t)rows * s.outs; i++) before[i] = 1000 + (float)(i % 77);
            run(y, x, s, rows, rows + 100);
            for (size_t i = 0; i < (size_t)rows * s.outs; i++) {
                float sum = (float)(i % s.outs) + (e == OD_EPILOGUE_RESIDUAL ? before[i] : 0);
                for (size_t f = 0; f < s.depth; f++) sum += x[i / s.outs * s.depth + f] * w[i % s.outs * s.depth + f];
                SAME_FLOAT(y[i], sum);
            }
        }
}
END_TEST

static void draw(size_t rows, shape s, uint64_t seed) {
    const size_t weights = (size_t)s.outs * (s.epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1);
    od_rng_fill_normal(x, rows * s.depth, 0, 1, seed, 0);
    od_rng_fill_normal(w, weights * s.depth, 0, 1, seed, 1);
    od_rng_fill_normal(bias, weights, 0, 1, seed, 2);
}

/* An operand cut into two parts of 11 bits keeps 22 of its 24: at most 2^-21 of each product is lost with the cut, and
 * as much with the product of the two small parts; a sum of depth terms in float32, however ordered and cut to 25 bits
 * within a group of 8, loses at most depth·2^-23 of the sum of magnitudes. One TF32 product loses 2^-11 of each. */
START_TEST(all_bits_of_the_operands_count) {
    if (test_left_out(_i)) return;
    const shape s = shape_of(_i, OD_EPILOGUE_BIAS);
    const uint32_t rows = 65;
    draw(rows, s, (uint64_t)_i);
    run(y, x, s, rows, rows);
    for (size_t i = 0; i < (size_t)rows * s.outs; i++) {
        double sum = bias[i % s.outs], size = fabs(sum);
        for (size_t f = 0; f < s.depth; f++) {
            const double term = (double)x[i / s.outs * s.depth + f] * w[i % s.outs * s.depth + f];
            sum += term;
            size += fabs(term);
        }
        const double bound = size * (4 * 0x1p-21 + (s.depth + 1) * 0x1p-23), off = fabs(y[i] - sum);
        if (!(off <= bound)) ck_abort_msg("%u x %u: %g is off by %g, more than %g", s.outs, s.depth, y[i], off, bound);
    }
}
END_TEST

/* silu(0) = 0; silu(100) = 100 since e^-100 is lost beside 1; silu(-200) = 0, for e^200 is infinite. */
START_TEST(swiglu_at_zero_and_far_out) {
    if (test_left_out(_i)) return;
    const float gates[] = {0, 100, -200, NAN}, silu[] = {0, 100, 0, NAN};
    const shape s = shape_of(_i, OD_EPILOGUE_SWIGLU);
    const uint32_t rows = 65;
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
    run(y, x, s, rows, rows);
    for (size_t i = 0; i < rows * s.outs; i++) {
        const size_t r = i / s.outs;
        if (r % 4 == 3)
            IS_NAN(y[i]);
        else
            SAME_FLOAT(y[i], silu[r % 4] * ((float)r * (float)(i % s.outs + 1) + 0.25f));
    }
}
END_TEST

/* Neither the number of rows, nor the bucket's capacity, nor a row's place changes a bit; NaN and infinity in one row
 * reach no other. */
START_TEST(a_row_has_the_same_bits_in_any_company) {
    if (test_left_out(_i)) return;
    const shape s = shape_of(_i % SHAPES, (uint32_t)_i / SHAPES);
    draw(MOST_ROWS, s, 1000 + (uint64_t)_i);
    od_rng_fill_normal(before, MOST_OUTS, 0, 1, 5, 5);
    for (size_t r = 1; r < MOST_ROWS; r++) memcpy(before + r * s.outs, before, s.outs * 4);
    x[(size_t)(MOST_ROWS - 1) * s.depth] = INFINITY;
    run(y, x, s, MOST_ROWS, MOST_ROWS);
    for (int k = 0; k + 1 < COUNTS; k++) {
        const uint32_t rows = row_counts[k], first = (MOST_ROWS - 1 - rows) / 2;
        run(other, x + (size_t)first * s.depth, s, rows, rows + (uint32_t)k * 300);
        ck_assert_mem_eq(other, y + (size_t)first * s.outs, (size_t)rows * s.outs * 4);
    }
    for (size_t i = 0; i < (size_t)MOST_ROWS * s.outs; i++)
        if (!isfinite(y[i]) != (i / s.outs == MOST_ROWS - 1) && s.epilogue != OD_EPILOGUE_SWIGLU)
            ck_abort_msg("row %zu output %zu: %g", i / s.outs, i % s.outs, y[i]);
}
END_TEST

START_TEST(heads_read_the_last_patches_of_each_row) {
    if (test_left_out(_i)) return;
    enum { R = 3, S = 5, OUT = 24 };
    const uint32_t depth = depths[_i / 2], head = _i % 2 ? S : 1;
    for (size_t i = 0; i < (size_t)R * S * depth; i++) x[i] = i % depth ? 0 : (float)(i / depth + 1);
    memset(bias, 0, sizeof bias);
    for (size_t i = 0; i < (size_t)OUT * depth; i++) w[i] = i % depth ? 0 : (float)(i / depth + 1);
    od_call call = {.n_row = R, .n_patch = S, .n_token = R * S, .head_patch = head};
    call.scratch[OD_SCRATCH_X] = test_kernel_put(x, (size_t)R * S * depth * 4);
    call.scratch[OD_SCRATCH_HEADS] = test_kernel_put(NULL, (size_t)R * head * OUT * 4);
    const od_product_args args = {.call = test_kernel_put(&call, sizeof call),
                                  .w = test_kernel_put(w, (size_t)OUT * depth * 4),
                                  .bias = PUT(bias),
                                  .x = OD_SCRATCH_X,
                                  .y = OD_SCRATCH_HEADS,
                                  .outs = OUT,
                                  .depth = depth,
                                  .rows = OD_ROWS_HEAD};
    test_product_run(&args, 64);
    test_kernel_get(y, call.scratch[OD_SCRATCH_HEADS], (size_t)R * head * OUT * 4);
    for (size_t i = 0; i < (size_t)R * head * OUT; i++) {
        const size_t row = i / OUT / head, patch = S - head + i / OUT % head;
        SAME_FLOAT(y[i], (float)((row * S + patch + 1) * (i % OUT + 1)));
    }
}
END_TEST

Suite *suite_product(void) {
    Suite *s = suite_create("product");
    TCase *t = tcase_create("product");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(t, small_integers_are_exact, 0, SHAPES);
    tcase_add_loop_test(t, all_bits_of_the_operands_count, 0, SHAPES);
    tcase_add_loop_test(t, swiglu_at_zero_and_far_out, 0, SHAPES);
    tcase_add_loop_test(t, a_row_has_the_same_bits_in_any_company, 0, 3 * SHAPES);
    tcase_add_loop_test(t, heads_read_the_last_patches_of_each_row, 0, 2 * DEPTHS);
    suite_add_tcase(s, t);
    return s;
}
