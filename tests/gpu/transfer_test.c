/* Bytes on their way to and from the device under test: many pieces at a time, of any size and alignment. A GPU moves
 * them in launches of up to 64 pieces (gpu/device/transfer.h), by blocks of words, through a mailbox of 256 KiB where
 * they fit (gpu/device/cuda.h): numbers and sizes here lie on those edges and beside them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/device/buffer.h"
#include "tests/gpu/suites.h"

static const od_device_ops *ops;
static od_device *dev;
static od_heap heap;
static od_error err;

enum { PIECES = 300 };
static void *at[PIECES]; /* a test's buffers: freed by the fixture, so that a test that fails on a GPU, where it runs in
                            this process, ends with what it has to say and not with a device that cannot be closed */

static void setup(void) {
    const od_options options = od_options_default();
    ops = test_device();
    memset(at, 0, sizeof at);
    ck_assert_msg(!ops->open(&dev, &options, &heap, &err), "%s", err.text);
}

static void teardown(void) {
    for (size_t i = 0; i < PIECES; i++) ops->free(dev, at[i], NULL);
    ops->close(dev);
    ck_assert_uint_eq(heap.live, 0);
}

static unsigned char *host_bytes(size_t n) {
    unsigned char *p = malloc(n);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* No two neighbours alike, no period of a power of two. */
static unsigned char pattern(size_t i) {
    return (unsigned char)(i * 2654435761u >> 11);
}

static size_t size_of_piece(size_t i) {
    static const size_t sizes[] = {0, 1, 2, 3, 4, 15, 16, 17, 255, 256, 257, 4096, 8191, 8192, 8193, 70001};
    return sizes[i % (sizeof sizes / sizeof *sizes)];
}

/* Buffers made together. */
static const size_t numbers[] = {1, 63, 64, 65, 127, 128, 129, PIECES};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

START_TEST(every_one_of_many_buffers_is_poisoned) {
    const size_t n = numbers[_i];
    od_slice slices[PIECES] = {{0}};
    unsigned char *got = host_bytes(70001);
    for (size_t i = 0; i < n; i++) slices[i] = (od_slice){&at[i], size_of_piece(i), "piece"};
    ck_assert_msg(!ops->alloc_many(dev, slices, n, &err), "%s", err.text);
    ck_assert_msg(!ops->check(dev, &err), "%s", err.text);
    for (size_t i = 0; i < n; i++) {
        ck_assert(!ops->download(dev, got, at[i], slices[i].bytes, &err));
        for (size_t k = 0; k < slices[i].bytes; k++)
            ck_assert_msg(got[k] == OD_POISON_BYTE, "buffer %zu of %zu bytes, byte %zu: %u", i, slices[i].bytes, k,
                          got[k]);
    }
    ck_assert_msg(!ops->check(dev, &err), "%s", err.text);
    free(got);
}
END_TEST

#if !TEST_SANITIZED /* which would report the write itself */
/* The first and the last byte of both bands of each buffer of many. */
START_TEST(each_band_of_many_buffers_is_looked_at) {
    const size_t n = numbers[_i];
    static char names[PIECES][16];
    od_slice slices[PIECES] = {{0}};
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "piece %zu.", i);
        slices[i] = (od_slice){&at[i], size_of_piece(i), names[i]};
    }
    ck_assert_msg(!ops->alloc_many(dev, slices, n, &err), "%s", err.text);
    for (size_t i = 0; i < n; i++) {
        unsigned char *const x = at[i];
        unsigned char *const places[] = {x - OD_GUARD, x - 1, x + slices[i].bytes, x + slices[i].bytes + OD_GUARD - 1};
        for (size_t k = 0; k < 4; k++) {
            const unsigned char other = OD_GUARD_BYTE ^ 1, band = OD_GUARD_BYTE;
            ck_assert(!ops->upload(dev, places[k], &other, 1, &err));
            ck_assert_msg(ops->check(dev, &err) == OD_DEVICE_FAULT, "buffer %zu place %zu", i, k);
            ck_assert_msg(strstr(err.text, names[i]) && strstr(err.text, k < 2 ? "before" : "past the end"), "%s",
                          err.text);
            ck_assert(!ops->upload(dev, places[k], &band, 1, &err));
        }
    }
    ck_assert_msg(!ops->check(dev, &err), "%s", err.text);
}
END_TEST
#endif

/* Many fills inside of one buffer, at all alignments, one after another with unwritten bytes between: exactly what was
 * asked for has changed. One is as large as the driver fills by itself. */
START_TEST(fills_write_what_they_say_and_nothing_else) {
    enum { FILLS = 200, MOST = 6 << 20 };
    static const size_t sizes[] = {0, 1, 2, 7, 15, 16, 17, 31, 33, 100, 255, 4095, 8192, 9001};
    static const size_t large[] = {262143, 262144, 262145, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 262160, 524287};
    static const size_t together[] = {0, 1, 63, 64, 65, 7};
    od_fill fills[FILLS];
    unsigned char *x, *expected = host_bytes(MOST), *got = host_bytes(MOST);
    size_t next = 0;
    for (size_t i = 0; i < MOST; i++) expected[i] = pattern(i);
    ck_assert(!ops->alloc(dev, &at[0], MOST, "x", &err));
    x = at[0];
    ck_assert(!ops->upload(dev, x, expected, MOST, &err) && !ops->sync(dev, &err));
    for (size_t i = 0; i < FILLS; i++) {
        size_t bytes = sizes[i * 5 % (sizeof sizes / sizeof *sizes)];
        if (i % 25 == 3) bytes = large[i / 25];
        next += i % 19;
        ck_assert_uint_le(next + bytes, MOST);
        fills[i] = (od_fill){x + next, bytes, (int)(i % 256)};
        memset(expected + next, (int)(i % 256), bytes);
        next += bytes;
    }
    size_t filled = 0;
    for (size_t i = 0; i < sizeof together / sizeof *together; filled += together[i++])
        ck_assert_msg(!ops->fill(dev, fills + filled, together[i], &err), "%s", err.text);
    ck_assert_uint_eq(filled, FILLS);
    ck_assert(!ops->download(dev, got, x, MOST, &err));
    for (size_t i = 0; i < MOST; i++)
        ck_assert_msg(got[i] == expected[i], "byte %zu: %u, %u was asked for", i, got[i], expected[i]);
    ck_assert_msg(!ops->check(dev, &err), "%s", err.text);
    free(expected);
    free(got);
}
END_TEST

/* Sets of rows of all widths, at all alignments, apart or not; together far more than a mailbox holds, so that some go
 * through it and some do not. An upload before them has left the mailbox at an odd place. */
START_TEST(rows_come_as_they_lie) {
    enum { SETS = 150, BYTES = 3 << 20, MARK = 0x5A };
    static const size_t widths[] = {4, 1, 16, 3, 64, 20, 48, 5, 4096, 512};
    od_rows_copy rows[SETS];
    size_t first[SETS];
    unsigned char *x, *from = host_bytes(BYTES), *to = host_bytes(BYTES);
    const unsigned char odd[3] = {pattern(0), pattern(1), pattern(2)};
    size_t filled = 0;
    for (size_t i = 0; i < BYTES; i++) from[i] = pattern(i);
    memset(to, MARK, BYTES);
    ck_assert(!ops->alloc(dev, &at[0], BYTES, "x", &err));
    x = at[0];
    ck_assert(!ops->upload(dev, x, from, BYTES, &err) && !ops->sync(dev, &err));
    for (size_t i = 0; i < SETS; i++) {
        const size_t width = widths[i % 10], apart = width + (i % 3) * (i % 2 ? 16 : 5), n = i % 14;
        first[i] = i % 2 ? i * 64 : i * 61;
        ck_assert_uint_le(first[i] + n * apart, BYTES);
        rows[i] = (od_rows_copy){.to = to + filled, .from = x + first[i], .apart = apart, .bytes = width, .n = n};
        filled += width * n + i % 3;
    }
    ck_assert_uint_gt(filled, 300 * 1024);
    ck_assert_uint_lt(filled, BYTES);
    ck_assert(!ops->upload(dev, x, odd, sizeof odd, &err));
    ck_assert_msg(!ops->download_rows(dev, rows, SETS, &err), "%s", err.text);
    unsigned char *next = to;
    for (size_t i = 0; i < SETS; i++) {
        for (unsigned char *gap = next; gap < (unsigned char *)rows[i].to; gap++) ck_assert_uint_eq(*gap, MARK);
        next = rows[i].to;
        for (size_t r = 0; r < rows[i].n; r++, next += rows[i].bytes)
            for (size_t k = 0; k < rows[i].bytes; k++)
                ck_assert_msg(next[k] == pattern(first[i] + r * rows[i].apart + k), "set %zu row %zu byte %zu", i, r,
                              k);
    }
    while (next < to + BYTES) ck_assert_uint_eq(*next++, MARK);
    ck_assert_msg(!ops->check(dev, &err), "%s", err.text);
    free(from);
    free(to);
}
END_TEST

/* Two rows sets behind each other that just fill the mailbox, or come by a byte too late; and one that never fits. */
START_TEST(rows_come_through_a_mailbox_that_is_full) {
    enum { MAILBOX = 256 * 1024, BYTES = 2 * MAILBOX };
    static const size_t sizes[][2] = {{MAILBOX, 1},       {MAILBOX - 1, 1}, {MAILBOX - 16, 16}, {MAILBOX - 16, 17},
                                      {MAILBOX - 17, 17}, {1, MAILBOX - 1}, {16, MAILBOX - 16}, {MAILBOX + 1, 4}};
    const size_t *size = sizes[_i];
    unsigned char *from = host_bytes(BYTES), *to = host_bytes(BYTES);
    for (size_t i = 0; i < BYTES; i++) from[i] = pattern(i);
    memset(to, 0, BYTES);
    ck_assert(!ops->alloc(dev, &at[0], BYTES, "x", &err));
    ck_assert(!ops->upload(dev, at[0], from, BYTES, &err) && !ops->sync(dev, &err));
    const unsigned char *x = at[0];
    const od_rows_copy rows[] = {{.to = to, .from = x, .apart = size[0], .bytes = size[0], .n = 1},
                                 {.to = to + size[0], .from = x + size[0], .apart = 1, .bytes = 1, .n = size[1]}};
    ck_assert_msg(!ops->download_rows(dev, rows, 2, &err), "%s", err.text);
    ck_assert_int_eq(memcmp(to, from, size[0] + size[1]), 0);
    ck_assert_uint_eq(to[size[0] + size[1]], 0);
    free(from);
    free(to);
}
END_TEST

Suite *suite_transfer(void) {
    Suite *suite = suite_create("transfer");
    TCase *tc = tcase_create("transfer");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, every_one_of_many_buffers_is_poisoned, 0, NUMBERS);
#if !TEST_SANITIZED
    tcase_add_loop_test(tc, each_band_of_many_buffers_is_looked_at, 0, NUMBERS);
#endif
    tcase_add_test(tc, fills_write_what_they_say_and_nothing_else);
    tcase_add_test(tc, rows_come_as_they_lie);
    tcase_add_loop_test(tc, rows_come_through_a_mailbox_that_is_full, 0, 8);
    suite_add_tcase(suite, tc);
    return suite;
}
