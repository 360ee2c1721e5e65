/* The kernel norm_rows: closed forms, float64, and that a row's bits are its own. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/fused_grid.h"
#include "tests/gpu/kernel_run.h"

static const uint32_t widths[] = {1, 2, 3, 4, 5, 30, 32, 127, 128, 132, 768, 1024, 1028, 4096};
enum { WIDTHS = sizeof widths / sizeof *widths, RUNS = WIDTHS * TEST_ORDERS, ROWS = 3, MORE = 2, MOST = 4096 };

/* y of `rows` rows of x, in a bucket with room for MORE; what lies past them stays as it was. */
static void norm(float *y, int order, const float *x, const float *scale, uint32_t rows, uint32_t width) {
    const size_t bytes = (size_t)(rows + MORE) * width * 4;
    const od_call call = {.n_token = rows,
                          .scratch = {[OD_SCRATCH_X] = test_kernel_put(x, (size_t)rows * width * 4),
                                      [OD_SCRATCH_NORM] = test_kernel_put(NULL, bytes)}};
    const od_norm_rows_args args = {.call = test_kernel_put(&call, sizeof call),
                                    .scale = test_kernel_put(scale, (size_t)width * 4),
                                    .x = OD_SCRATCH_X,
                                    .y = OD_SCRATCH_NORM,
                                    .width = width};
    float *all = malloc(bytes);
    RUN(order, norm_rows, od_norm_rows_grid(&args, rows + MORE), args);
    test_kernel_get(all, call.scratch[OD_SCRATCH_NORM], bytes);
    for (size_t i = (size_t)rows * width; i < bytes / 4; i++) ck_assert(isnan(all[i]));
    memcpy(y, all, (size_t)rows * width * 4);
    free(all);
}

static uint64_t random_state;

static float draw(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (float)((int)(random_state >> 40) - (1 << 23)) * 0x1p-22f;
}

/* Mean squares of 4, which 1e-8 does not move, and of 0: y = ±scale, 0. */
START_TEST(constant_rows_are_normed) {
    const uint32_t width = widths[_i / TEST_ORDERS];
    static float x[ROWS * MOST], scale[MOST], y[ROWS * MOST];
    for (uint32_t f = 0; f < width; f++) {
        scale[f] = (float)(f + 1);
        x[f] = 2;
        x[width + f] = 0;
        x[2 * width + f] = f % 3 ? -2 : 2;
    }
    norm(y, _i % TEST_ORDERS, x, scale, ROWS, width);
    for (uint32_t f = 0; f < width; f++) {
        ck_assert_float_eq(y[f], scale[f]);
        ck_assert_float_eq(y[width + f], 0);
        ck_assert_float_eq(y[2 * width + f], f % 3 ? -scale[f] : scale[f]);
    }
}
END_TEST

/* A square, three sums one on the other of at most 16 terms each, all positive, a division and 1e-8: to first order
 * that many roundings of 2^-24, of which the root halves the effect; then the root, a division and a product. */
START_TEST(random_rows_are_normed) {
    const uint32_t width = widths[_i / TEST_ORDERS];
    static float x[ROWS * MOST], scale[MOST], y[ROWS * MOST], alone[MOST];
    random_state = (uint64_t)_i;
    for (uint32_t f = 0; f < width; f++) scale[f] = draw();
    for (uint32_t i = 0; i < ROWS * width; i++) x[i] = draw() * (i < width ? 1 : 1e-4f);
    norm(y, _i % TEST_ORDERS, x, scale, ROWS, width);
    for (uint32_t r = 0; r < ROWS; r++) {
        double squares = 0;
        for (uint32_t f = 0; f < width; f++) squares += (double)x[r * width + f] * x[r * width + f];
        const double root = sqrt(squares / width + 1e-8), bound = ((1 + 16 + 16 + 16 + 2) / 2.0 + 3) * 0x1p-24;
        for (uint32_t f = 0; f < width; f++) {
            const double expected = x[r * width + f] / root * scale[f];
            ck_assert(fabs(y[r * width + f] - expected) <= bound * fabs(expected));
        }
        norm(alone, (_i + 1) % TEST_ORDERS, x + (size_t)r * width, scale, 1, width);
        ck_assert_mem_eq(alone, y + (size_t)r * width, width * 4);
    }
}
END_TEST

Suite *suite_norm_rows(void) {
    Suite *suite = suite_create("norm_rows");
    TCase *tc = tcase_create("closed forms");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(tc, constant_rows_are_normed, 0, RUNS);
    tcase_add_loop_test(tc, random_rows_are_normed, 0, RUNS);
    suite_add_tcase(suite, tc);
    return suite;
}
