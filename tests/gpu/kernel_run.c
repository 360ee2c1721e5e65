#include "tests/gpu/kernel_run.h"

#include "gpu/device/host_run.h"

enum { MAX_BUFFERS = 128 };

static od_heap heap;
static od_device *dev;
static od_error err;
static void *buffers[MAX_BUFFERS];
static size_t n_buffer;

void test_kernel_open(void) {
    od_options options = od_options_default();
    options.streams = 1;
    ck_assert_msg(!test_device()->open(&dev, &options, &heap, &err), "%s", err.text);
    n_buffer = 0;
}

void test_kernel_close(void) {
    for (size_t i = 0; i < n_buffer; i++) ck_assert_msg(!test_device()->free(dev, buffers[i], &err), "%s", err.text);
    test_device()->close(dev);
    ck_assert_uint_eq(heap.live, 0);
}

void *test_kernel_put(const void *host, size_t bytes) {
    void *buffer;
    ck_assert_uint_lt(n_buffer, MAX_BUFFERS);
    ck_assert_msg(!test_device()->alloc(dev, &buffer, bytes, "of a test", &err), "%s", err.text);
    buffers[n_buffer++] = buffer;
    if (host) ck_assert_msg(!test_device()->upload(dev, buffer, host, bytes, &err), "%s", err.text);
    return buffer;
}

void test_kernel_get(void *host, const void *buffer, size_t bytes) {
    ck_assert_msg(!test_device()->download(dev, host, buffer, bytes, &err), "%s", err.text);
}

void test_kernel_run(int order, enum od_kernel kernel, od_grid grid, const void *args, size_t size) {
    const od_host_order orders[TEST_ORDERS] = {{0, 0}, {1, 0}, {2, 1}, {2, 2}, {2, 3}};
    ck_assert_uint_eq(size, od_kernel_args_size(kernel));
    if (test_device()->emulated)
        ck_assert_int_eq(od_host_run(kernel, grid, args, 0, orders[order]), 0);
    else
        ck_assert_msg(!test_device()->launch(dev, 0, kernel, grid, args, size, &err), "%s", err.text);
    ck_assert_msg(!test_device()->sync(dev, &err), "%s", err.text);
}

void test_product_run(const od_product_args *args, size_t max_rows) {
    ck_assert_msg(!test_device()->product(dev, args, max_rows, max_rows / 2 + 1, &err), "%s", err.text);
    ck_assert_msg(!test_device()->sync(dev, &err), "%s", err.text);
}
