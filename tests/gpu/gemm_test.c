/* The products of the device under test: exact on small integers, batch-invariant, near float64. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/device/host_gemm.h"
#include "model/rng.h"
#include "tests/gpu/suites.h"

static const size_t sizes[] = {1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 127, 128, 129, 257};
enum { SIZES = sizeof sizes / sizeof *sizes };

static od_heap heap;
static od_device *dev;
static od_error err;

static void open_device(void) {
    od_options options = od_options_default();
    ck_assert_msg(!test_device()->open(&dev, &options, &heap, &err), "%s", err.text);
}

static void close_device(void) {
    test_device()->close(dev);
    ck_assert_uint_eq(heap.live, 0);
}

static float *random_floats(size_t n, uint64_t seed) {
    float *x = malloc(n * sizeof *x);
    ck_assert_ptr_nonnull(x);
    od_rng_fill_uniform(x, 0, n, 1, seed, 0);
    return x;
}

/* y[m, n] on the device, host pointers. */
static void product(float *y, const float *x, const float *w, size_t m, size_t n, size_t k) {
    const od_device_ops *ops = test_device();
    void *dx, *dw, *dy;
    ck_assert(!ops->alloc(dev, &dx, m * k * 4, "x", &err) && !ops->alloc(dev, &dw, n * k * 4, "w", &err) &&
              !ops->alloc(dev, &dy, m * n * 4, "y", &err));
    ck_assert(!ops->upload(dev, dx, x, m * k * 4, &err) && !ops->upload(dev, dw, w, n * k * 4, &err));
    ck_assert_msg(!ops->gemm(dev, 0, dy, dx, dw, m, n, k, &err), "%s", err.text);
    ck_assert(!ops->download(dev, y, dy, m * n * 4, &err) && !ops->sync(dev, &err));
    ck_assert(!ops->free(dev, dx, &err) && !ops->free(dev, dw, &err) && !ops->free(dev, dy, &err));
}

/* Integers up to 8: every partial sum is an exact float, so any order must give the closed form. */
START_TEST(small_integers_are_exact) {
    const size_t m = sizes[_i];
    for (size_t s = 0; s < SIZES * SIZES; s++) {
        const size_t n = sizes[s / SIZES], k = sizes[s % SIZES];
        float *x = malloc(m * k * 4), *w = malloc(n * k * 4), *y = malloc(m * n * 4);
        for (size_t i = 0; i < m * k; i++) x[i] = (float)(int)(i % 17) - 8;
        for (size_t i = 0; i < n * k; i++) w[i] = (float)(int)(i % 13) - 6;
        product(y, x, w, m, n, k);
        size_t wrong = 0;
        for (size_t r = 0; r < m; r++)
            for (size_t c = 0; c < n; c++) {
                long expected = 0;
                for (size_t i = 0; i < k; i++)
                    expected += ((long)((r * k + i) % 17) - 8) * ((long)((c * k + i) % 13) - 6);
                wrong += !(y[r * n + c] == (float)expected);
            }
        ck_assert_msg(wrong == 0, "m %zu n %zu k %zu: %zu elements are wrong", m, n, k, wrong);
        free(x);
        free(w);
        free(y);
    }
}
END_TEST

/* |float32 sum of k products - exact| <= k·u·Σ|x·w| with u = 2^-24 (Higham, Accuracy and Stability, 3.1; k+1 terms). */
START_TEST(error_stays_within_the_bound_of_summation) {
    const size_t m = 5, n = 37, k = 1000;
    float *x = random_floats(m * k, 1), *w = random_floats(n * k, 2), y[5 * 37];
    product(y, x, w, m, n, k);
    for (size_t r = 0; r < m; r++)
        for (size_t c = 0; c < n; c++) {
            double exact = 0, size = 0;
            for (size_t i = 0; i < k; i++) {
                exact += (double)x[r * k + i] * w[c * k + i];
                size += fabs((double)x[r * k + i] * w[c * k + i]);
            }
            ck_assert(fabs(y[r * n + c] - exact) <= (double)(k + 1) * 0x1p-24 * size);
        }
    free(x);
    free(w);
}
END_TEST

/* The twin's own promise; cuBLAS makes none. */
START_TEST(a_row_does_not_depend_on_the_rows_around_it) {
    enum { M = 9, N = 40, K = 300 };
    float *x = random_floats(M * K, 3), *w = random_floats(N * K, 4), whole[M * N], alone[N];
    od_host_gemm(whole, x, w, M, N, K);
    for (size_t r = 0; r < M; r++) {
        od_host_gemm(alone, x + r * K, w, 1, N, K);
        ck_assert_mem_eq(alone, whole + r * N, sizeof alone);
    }
    free(x);
    free(w);
}
END_TEST

/* Chunks of 128 along k, each in order, then the chunks: term by term, as the header says. Few outputs, few rows, and
 * rows that are left over go other ways through the loop. */
START_TEST(each_sum_has_the_order_that_is_promised) {
    const size_t m = sizes[_i];
    for (size_t s = 0; s < SIZES * SIZES; s++) {
        const size_t n = sizes[s / SIZES], k = sizes[s % SIZES];
        float *x = random_floats(m * k, 5), *w = random_floats(n * k, 6), *y = malloc(m * n * 4);
        size_t wrong = 0;
        od_host_gemm(y, x, w, m, n, k);
        for (size_t r = 0; r < m; r++)
            for (size_t c = 0; c < n; c++) {
                float sum = 0;
                for (size_t first = 0; first < k; first += 128) {
                    float chunk = 0;
                    for (size_t i = first; i < k && i < first + 128; i++) chunk += x[r * k + i] * w[c * k + i];
                    sum = first ? sum + chunk : chunk;
                }
                wrong += memcmp(&sum, &y[r * n + c], sizeof sum) != 0;
            }
        ck_assert_msg(wrong == 0, "m %zu n %zu k %zu: %zu elements are wrong", m, n, k, wrong);
        free(x);
        free(w);
        free(y);
    }
}
END_TEST

START_TEST(nan_in_an_input_reaches_its_outputs_alone) {
    float x[3 * 20] = {0}, w[20 * 20] = {0}, y[3 * 20];
    x[1 * 20 + 7] = NAN;
    product(y, x, w, 3, 20, 20);
    for (size_t i = 0; i < 60; i++) ck_assert(isnan(y[i]) == (i / 20 == 1));
}
END_TEST

Suite *suite_gemm(void) {
    Suite *suite = suite_create("gemm");
    TCase *tc = tcase_create("gemm");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, open_device, close_device);
    tcase_add_loop_test(tc, small_integers_are_exact, 0, SIZES);
    tcase_add_test(tc, error_stays_within_the_bound_of_summation);
    tcase_add_test(tc, a_row_does_not_depend_on_the_rows_around_it);
    tcase_add_loop_test(tc, each_sum_has_the_order_that_is_promised, 0, SIZES);
    tcase_add_test(tc, nan_in_an_input_reaches_its_outputs_alone);
    suite_add_tcase(suite, tc);
    return suite;
}
