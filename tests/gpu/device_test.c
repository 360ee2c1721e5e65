/* What the twin's device promises beyond a GPU: guard bands, poison, orders of threads and of replay. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/device/buffer.h"
#include "gpu/device/host_graph.h"
#include "gpu/device/host_run.h"
#include "tests/gpu/suites.h"

#if defined(__SANITIZE_ADDRESS__)
#define OD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OD_ASAN 1
#endif
#endif

static od_heap heap;
static od_device *dev;
static od_error err;

static const od_device_ops *twin(void) {
    return od_device_host();
}

static void open_with(uint64_t order) {
    od_options options = od_options_default();
    options.order = order;
    ck_assert(!twin()->open(&dev, &options, &heap, &err));
}

static void setup(void) {
    open_with(0);
}

static void teardown(void) {
    twin()->close(dev);
    ck_assert_uint_eq(heap.live, 0);
}

START_TEST(fresh_memory_is_nan) {
    float *x;
    ck_assert(!twin()->alloc(dev, (void **)&x, 12, "x", &err));
    for (int i = 0; i < 3; i++) ck_assert(isnan(x[i]));
    ck_assert(!twin()->free(dev, x, &err));
}
END_TEST

#ifndef OD_ASAN
/* Under ASan the write itself is reported, so the bands' own check is tested without it. */
START_TEST(a_write_outside_is_found_and_named) {
    volatile unsigned char *x;
    ck_assert(!twin()->alloc(dev, (void **)&x, 10, "victim", &err));
    ck_assert(!twin()->sync(dev, &err));
    const long at = _i ? 10 : -1;
    x[at] = 1;
    ck_assert_int_eq(twin()->sync(dev, &err), OD_DEVICE_FAULT);
    ck_assert_ptr_nonnull(strstr(err.text, "victim"));
    x[at] = OD_GUARD_BYTE;
    ck_assert(!twin()->free(dev, (void *)x, &err));
}
END_TEST
#endif

#ifndef OD_ASAN
/* On the device under test: one byte copied past the end, or before the beginning. */
START_TEST(check_names_the_buffer_that_was_overrun) {
    const od_device_ops *ops = test_device();
    const od_options options = od_options_default();
    const unsigned char one = 1, band = OD_GUARD_BYTE;
    od_heap own = {0};
    od_device *d;
    unsigned char *x;
    ck_assert_msg(!ops->open(&d, &options, &own, &err), "%s", err.text);
    ck_assert(!ops->alloc(d, (void **)&x, 10, "victim", &err));
    ck_assert(!ops->check(d, &err));
    unsigned char *at = _i ? x + 10 : x - 1;
    ck_assert(!ops->upload(d, at, &one, 1, &err));
    ck_assert_int_eq(ops->check(d, &err), OD_DEVICE_FAULT);
    ck_assert_ptr_nonnull(strstr(err.text, "victim"));
    ck_assert(!ops->upload(d, at, &band, 1, &err));
    ck_assert(!ops->check(d, &err));
    ck_assert(!ops->free(d, x, &err));
    ops->close(d);
    ck_assert_uint_eq(own.live, 0);
}
END_TEST
#endif

START_TEST(any_byte_of_either_band_is_looked_at) {
    const od_buffer b = {.bytes = 10, .what = "victim"};
    unsigned char bands[2 * OD_GUARD];
    memset(bands, OD_GUARD_BYTE, sizeof bands);
    ck_assert(!od_buffer_check(&b, bands, "twin", &err));
    for (size_t i = 0; i < sizeof bands; i++) {
        bands[i] ^= (unsigned char)(1u << i % 8);
        ck_assert_int_eq(od_buffer_check(&b, bands, "twin", &err), OD_DEVICE_FAULT);
        ck_assert_ptr_nonnull(strstr(err.text, i < OD_GUARD ? "before" : "past the end of"));
        bands[i] = OD_GUARD_BYTE;
    }
    for (size_t i = 0; i < 2; i++) { /* all of one, alike */
        memset(bands + i * OD_GUARD, 0, OD_GUARD);
        ck_assert_int_eq(od_buffer_check(&b, bands, "twin", &err), OD_DEVICE_FAULT);
        memset(bands + i * OD_GUARD, OD_GUARD_BYTE, OD_GUARD);
    }
}
END_TEST

START_TEST(bytes_are_counted_live_and_peak) {
    void *a, *b;
    od_device_stats stats;
    ck_assert(!twin()->alloc(dev, &a, 100, "a", &err) && !twin()->alloc(dev, &b, 50, "b", &err));
    ck_assert(!twin()->free(dev, a, &err));
    twin()->stats(dev, &stats);
    ck_assert_uint_eq(stats.live, 50);
    ck_assert_uint_eq(stats.peak, 150);
    ck_assert(!twin()->free(dev, b, &err));
}
END_TEST

/* On the device under test. The driver counts in pieces of its own, 2 MiB on a GPU. */
START_TEST(what_the_driver_says_is_in_use_follows_what_is_taken) {
    const od_device_ops *ops = test_device();
    const od_options options = od_options_default();
    const size_t bytes = (size_t)64 << 20, piece = (size_t)4 << 20;
    od_heap own = {0};
    od_device *d;
    od_device_stats before, during, after;
    void *x;
    ck_assert_msg(!ops->open(&d, &options, &own, &err), "%s", err.text);
    ops->stats(d, &before);
    ck_assert(!ops->alloc(d, &x, bytes, "x", &err));
    ops->stats(d, &during);
    ck_assert(!ops->free(d, x, &err));
    ops->stats(d, &after);
    ops->close(d);
    if (!ops->emulated && getenv("OD_SHARED_DEVICE")) return; /* the driver counts others too */
    ck_assert_uint_ge(during.used, before.used + bytes);
    ck_assert_uint_le(during.used, before.used + bytes + piece);
    ck_assert_uint_eq(after.used, before.used);
}
END_TEST

/* On the device under test: bytes from locked memory arrive, and what is locked cannot be locked again. */
START_TEST(uploads_from_locked_memory_arrive) {
    enum { BYTES = 8 << 20, FROM = 64 }; /* not at the beginning of a page */
    const od_device_ops *ops = test_device();
    const od_options options = od_options_default();
    od_heap own = {0};
    od_device *d;
    unsigned char *x, *memory = malloc(2 * BYTES + FROM), *back = memory + FROM + BYTES;
    ck_assert_ptr_nonnull(memory);
    ck_assert_msg(!ops->open(&d, &options, &own, &err), "%s", err.text);
    ck_assert(!ops->alloc(d, (void **)&x, BYTES, "x", &err));
    for (size_t i = 0; i < BYTES; i++) memory[FROM + i] = (unsigned char)(i * 2654435761u >> 13);
    const bool pinned = ops->pin(d, memory + FROM, BYTES);
    ck_assert_int_eq(pinned, !ops->emulated);
    if (pinned) ck_assert(!ops->pin(d, memory + FROM, BYTES));
    ck_assert(!ops->upload(d, x, memory + FROM, BYTES, &err) && !ops->sync(d, &err));
    if (pinned) ops->unpin(d, memory + FROM);
    memset(back, 0, BYTES);
    ck_assert(!ops->download(d, back, x, BYTES, &err));
    ck_assert_int_eq(memcmp(memory + FROM, back, BYTES), 0);
    ck_assert(!ops->free(d, x, &err));
    ops->close(d);
    free(memory);
}
END_TEST

START_TEST(an_impossible_size_is_an_error_value) {
    void *p = NULL;
    ck_assert_int_eq(twin()->alloc(dev, &p, SIZE_MAX - 10, "huge", &err), OD_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(err.text, "huge"));
    ck_assert_ptr_null(p);
}
END_TEST

/* x += 1 on one element: node arguments that tell where it ran. */
static void add_one(unsigned stream, float *x, const float *one) {
    const od_add_bias_args args = {.x = x, .bias = one, .width = 1};
    ck_assert(!twin()->launch(dev, stream, OD_KERNEL_add_bias, (od_grid){1, 1, 32, 0}, &args, sizeof args, &err));
}

START_TEST(a_capture_runs_nothing_and_a_replay_all) {
    float x = 0, one = 1;
    od_graph *graph;
    ck_assert(!twin()->capture_begin(dev, &err));
    add_one(0, &x, &one);
    add_one(0, &x, &one);
    ck_assert(!twin()->capture_end(dev, &graph, &err));
    ck_assert_float_eq(x, 0);
    ck_assert(!twin()->replay(dev, graph, &err) && !twin()->replay(dev, graph, &err));
    ck_assert_float_eq(x, 4);
    twin()->graph_free(dev, graph);
}
END_TEST

START_TEST(a_stream_left_behind_fails_the_capture) {
    float x = 0, one = 1;
    od_graph *graph;
    ck_assert(!twin()->capture_begin(dev, &err) && !twin()->fork(dev, 1, 0, &err));
    add_one(1, &x, &one);
    ck_assert_int_eq(twin()->capture_end(dev, &graph, &err), OD_DEVICE_FAULT);
    ck_assert_ptr_null(graph);
}
END_TEST

static od_node node_named(unsigned number) {
    od_node node = {.grid = {.x = number}};
    return node;
}

/* stream 0: a, b, c (joins 1), d;  stream 1: forks after a: p, q. Any seed must keep a<b<c<d, a<p<q<c; over the seeds
 * b must come before p, between p and q, and after q. */
START_TEST(replay_orders_respect_edges_and_use_their_freedom) {
    enum { A, B, C, D, P, Q, NODES };
    int seen[3] = {0};
    for (uint64_t seed = 1; seed <= 200; seed++) {
        od_graph *g;
        size_t place[NODES];
        ck_assert(!od_host_graph_create(&g, &heap, &err));
        od_node n = node_named(A);
        ck_assert(!od_host_graph_add(g, 0, &n, &err));
        od_host_graph_fork(g, 1, 0);
        const struct { unsigned stream, name; } rest[] = {{0, B}, {1, P}, {1, Q}};
        for (size_t i = 0; i < 3; i++) {
            n = node_named(rest[i].name);
            ck_assert(!od_host_graph_add(g, rest[i].stream, &n, &err));
        }
        od_host_graph_fork(g, 0, 1);
        n = node_named(C);
        ck_assert(!od_host_graph_add(g, 0, &n, &err));
        n = node_named(D);
        ck_assert(!od_host_graph_add(g, 0, &n, &err));
        ck_assert(!od_host_graph_finish(g, seed, &err));
        ck_assert_uint_eq(od_host_graph_size(g), NODES);
        for (size_t i = 0; i < NODES; i++) {
            od_host_graph_node(&n, g, i);
            place[n.grid.x] = i;
        }
        ck_assert(place[A] < place[B] && place[B] < place[C] && place[C] < place[D]);
        ck_assert(place[A] < place[P] && place[P] < place[Q] && place[Q] < place[C]);
        seen[(place[B] > place[P]) + (place[B] > place[Q])]++;
        od_host_graph_destroy(g);
    }
    for (int i = 0; i < 3; i++) ck_assert_int_gt(seen[i], 0);
}
END_TEST

/* A row whose squares' tree reads its neighbours' sums: right in every order only because phases end in barriers. */
START_TEST(thread_order_does_not_change_a_kernel) {
    enum { D = 40 };
    float x[D], scale[D], first[D], y[D];
    for (int i = 0; i < D; i++) {
        x[i] = (float)i - 17.25f;
        scale[i] = 1.0f + (float)i / 64;
    }
    for (int kind = 0; kind < 3; kind++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            const od_rmsnorm_args args = {.y = y, .x = x, .scale = scale, .width = D};
            ck_assert(!od_host_run(OD_KERNEL_rmsnorm, (od_grid){1, 1, 16, 16 * sizeof(float)}, &args, 0,
                                   (od_host_order){kind, seed}));
            if (kind == 0 && seed == 0) memcpy(first, y, sizeof y);
            ck_assert_mem_eq(first, y, sizeof y);
        }
}
END_TEST

START_TEST(too_little_shared_memory_is_found) {
    float x[8] = {1}, scale[8] = {1}, y[8];
    const od_rmsnorm_args args = {.y = y, .x = x, .scale = scale, .width = 8};
    ck_assert_int_eq(od_host_run(OD_KERNEL_rmsnorm, (od_grid){1, 1, 8, 16}, &args, 0, (od_host_order){0, 0}), 1);
}
END_TEST

#ifndef OD_ASAN
START_TEST(a_write_outside_is_found_when_its_buffer_is_freed) {
    volatile unsigned char *x;
    ck_assert(!twin()->alloc(dev, (void **)&x, 10, "victim", &err));
    x[_i ? 10 : -1] = 1;
    ck_assert_int_eq(twin()->free(dev, (void *)x, &err), OD_DEVICE_FAULT);
    ck_assert_ptr_nonnull(strstr(err.text, "victim"));
}
END_TEST
#endif

/* x[f] += x[f-1] tells in which order threads (a block of N) or blocks (N of one thread) ran: from first to last it
 * makes sums of all before, from last to first sums of two. */
START_TEST(orders_are_what_they_are_called) {
    enum { N = 64 };
    const float bias[N] = {0};
    float x[N + 1], last[N + 1] = {0};
    int differ = 0;
    for (int blocks = 0; blocks < 2; blocks++)
        for (int kind = 0; kind < 3; kind++)
            for (uint64_t seed = 0; seed < 4; seed++) {
                for (int i = 0; i <= N; i++) x[i] = 1;
                const od_residual_args args = {.x = x + 1, .y = x, .bias = bias, .width = blocks ? 1 : N};
                const od_grid grid = {blocks ? N : 1, 1, blocks ? 1 : N, 0};
                ck_assert(!od_host_run(OD_KERNEL_residual, grid, &args, 0, (od_host_order){kind, seed}));
                const bool shuffled = kind == 2 && !blocks; /* blocks go forward there */
                for (int i = 1; i <= N && !shuffled; i++) ck_assert_float_eq(x[i], kind == 1 ? 2 : (float)(i + 1));
                if (!shuffled) continue;
                differ += memcmp(last, x, sizeof x) != 0;
                memcpy(last, x, sizeof x);
            }
    ck_assert_int_eq(differ, 4);
}
END_TEST

/* The option `order` reaches the kernels: launches meet each kind of order, with seed 0 the first alone. */
START_TEST(launches_draw_their_orders_from_the_option) {
    enum { N = 64 };
    const float bias[N] = {0};
    twin()->close(dev);
    open_with((uint64_t)_i);
    int seen[3] = {0};
    for (int i = 0; i < 30; i++) {
        float x[N + 1];
        for (int j = 0; j <= N; j++) x[j] = 1;
        const od_residual_args args = {.x = x + 1, .y = x, .bias = bias, .width = N};
        ck_assert(!twin()->launch(dev, 0, OD_KERNEL_residual, (od_grid){1, 1, N, 0}, &args, sizeof args, &err));
        bool is_forward = true, is_backward = true;
        for (int j = 1; j <= N; j++) {
            is_forward = is_forward && x[j] == (float)(j + 1);
            is_backward = is_backward && x[j] == 2;
        }
        seen[is_forward ? 0 : is_backward ? 1 : 2]++;
    }
    if (_i == 0) ck_assert_int_eq(seen[0], 30);
    for (int kind = 0; kind < 3 && _i > 0; kind++) ck_assert_int_gt(seen[kind], 0);
}
END_TEST

START_TEST(a_kernel_short_of_shared_memory_is_named) {
    float x[8] = {1}, scale[8] = {1}, y[8];
    const od_rmsnorm_args args = {.y = y, .x = x, .scale = scale, .width = 8};
    ck_assert(!twin()->launch(dev, 0, OD_KERNEL_rmsnorm, (od_grid){1, 1, 8, 16}, &args, sizeof args, &err));
    ck_assert_int_eq(twin()->sync(dev, &err), OD_DEVICE_FAULT);
    ck_assert_ptr_nonnull(strstr(err.text, "rmsnorm"));
}
END_TEST

Suite *suite_device(void) {
    Suite *suite = suite_create("twin's device");
    TCase *tc = tcase_create("device");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, fresh_memory_is_nan);
#ifndef OD_ASAN
    tcase_add_loop_test(tc, a_write_outside_is_found_and_named, 0, 2);
    tcase_add_loop_test(tc, check_names_the_buffer_that_was_overrun, 0, 2);
    tcase_add_loop_test(tc, a_write_outside_is_found_when_its_buffer_is_freed, 0, 2);
#endif
    tcase_add_test(tc, any_byte_of_either_band_is_looked_at);
    tcase_add_test(tc, bytes_are_counted_live_and_peak);
    tcase_add_test(tc, what_the_driver_says_is_in_use_follows_what_is_taken);
    tcase_add_test(tc, uploads_from_locked_memory_arrive);
    tcase_add_test(tc, an_impossible_size_is_an_error_value);
    tcase_add_test(tc, a_capture_runs_nothing_and_a_replay_all);
    tcase_add_test(tc, a_stream_left_behind_fails_the_capture);
    tcase_add_test(tc, replay_orders_respect_edges_and_use_their_freedom);
    tcase_add_test(tc, thread_order_does_not_change_a_kernel);
    tcase_add_test(tc, too_little_shared_memory_is_found);
    tcase_add_test(tc, a_kernel_short_of_shared_memory_is_named);
    tcase_add_test(tc, orders_are_what_they_are_called);
    tcase_add_loop_test(tc, launches_draw_their_orders_from_the_option, 0, 4);
    suite_add_tcase(suite, tc);
    return suite;
}
