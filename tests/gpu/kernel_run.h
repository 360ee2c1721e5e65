/* Running single kernels for tests, with memory of the device under test. On the twin a block's threads take turns in
 * an order of choice, on a GPU as they like. */
#ifndef OD_TESTS_GPU_KERNEL_RUN_H
#define OD_TESTS_GPU_KERNEL_RUN_H

#include "tests/gpu/suites.h"

/* Forward, backward and three shuffles. */
enum { TEST_ORDERS = 5 };

/* Fixture: a device; the second frees all buffers, checks their guard bands, and closes it. */
void test_kernel_open(void);
void test_kernel_close(void);

/* A buffer of `bytes` with a copy of host memory, or, for NULL, as fresh memory is: NaN, or -1 as integer. */
void *test_kernel_put(const void *host, size_t bytes);
#define PUT(array) test_kernel_put(array, sizeof(array))

/* The first bytes of a buffer, back on the host. */
void test_kernel_get(void *host, const void *buffer, size_t bytes);
#define GET(array, buffer) test_kernel_get(array, buffer, sizeof(array))

/* Integers from -4 to 4, whose short sums of products are exact: element (i, j) of a matrix. */
static inline float test_small(size_t i, size_t j) {
    return (float)((3 * i + 5 * j + i * j) % 9) - 4;
}

/* Runs all blocks in order number `order` (0 … TEST_ORDERS - 1), and waits. */
void test_kernel_run(int order, enum od_kernel kernel, od_grid grid, const void *args, size_t size);
#define RUN(order, kernel, grid, args) test_kernel_run(order, OD_KERNEL_##kernel, grid, &(args), sizeof(args))

/* od_device_ops.product for at most max_rows rows, most likely for half of them (so that tests of several sizes meet
 * several tiles), and waits. */
void test_product_run(const od_product_args *args, size_t max_rows);

/* ck_assert_float_eq and ck_assert(isnan()) for long loops: Check writes a file at each assertion, these at a failure.
 */
#define SAME_FLOAT(is, wanted)                                                                                         \
    do {                                                                                                               \
        const float is_ = (is), wanted_ = (wanted);                                                                    \
        if (!(is_ == wanted_)) ck_abort_msg("%s is %.9g, not %.9g", #is, is_, wanted_);                                \
    } while (0)
#define IS_NAN(is)                                                                                                     \
    do {                                                                                                               \
        if (!isnan(is)) ck_abort_msg("%s is %.9g, not NaN", #is, (double)(is));                                        \
    } while (0)

/* Blocks of `threads` that cover n. */
static inline od_grid test_cover(size_t n, unsigned threads) {
    return (od_grid){(unsigned)((n + threads - 1) / threads), 1, threads, 0};
}

#endif
