/* Witnesses of memory: the slope's bound by its definition, and engines that take memory which they do not count. */
#include "oracles/witness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "oracles/judge.h"
#include "oracles/tolerance.h"
#include "tests/common/sanitized.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_judge judge;
static od_verdict v;

static void setup(void) {
    fake_reset();
    fake_case(&c);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
}

static void teardown(void) {
    od_judge_free(&judge);
}

/* ---- the slope --------------------------------------------------------------------------------------------------- */

START_TEST(a_straight_line_has_its_slope_without_doubt) {
    size_t y[OD_WITNESS_REPEAT];
    for (size_t n = 8; n <= OD_WITNESS_REPEAT; n++) {
        for (size_t i = 0; i < n; i++) y[i] = 1000 + 64 * i;
        const od_slope up = od_slope_fit(y, n, 1.645);
        ck_assert_double_eq(up.value, 64);
        ck_assert_double_eq(up.low, 64);
        for (size_t i = 0; i < n; i++) y[i] = 100000 - 64 * i;
        const od_slope down = od_slope_fit(y, n, 1.645);
        ck_assert_double_eq(down.value, -64);
        ck_assert_double_eq(down.low, -64);
    }
}
END_TEST

START_TEST(a_step_that_stays_has_no_slope) {
    for (size_t at = 1; at < OD_WITNESS_REPEAT; at++) {
        size_t y[OD_WITNESS_REPEAT];
        for (size_t i = 0; i < OD_WITNESS_REPEAT; i++) y[i] = i < at ? 4096 : 1 << 20;
        ck_assert_double_le(od_slope_fit(y, OD_WITNESS_REPEAT, od_bounds.witness_z).low, 0);
    }
}
END_TEST

/* 16 points have 120 pairs; (120 - 3.09 sqrt(16 15 37 / 18)) / 2 = 51.4 / 2: the 25th slope is the lower end. A flat
 * beginning of 7 points has 21 pairs without a slope, one of 8 points 28. */
START_TEST(the_lower_end_is_the_slope_of_that_rank) {
    for (size_t flat = 1; flat <= OD_WITNESS_REPEAT; flat++) {
        size_t y[OD_WITNESS_REPEAT];
        for (size_t i = 0; i < OD_WITNESS_REPEAT; i++) y[i] = 500 + (i < flat ? 0 : (i + 1 - flat) * 4096);
        const od_slope s = od_slope_fit(y, OD_WITNESS_REPEAT, 3.09);
        ck_assert_msg((s.low > 0) == (flat <= 7), "%zu flat points: %g", flat, s.low);
    }
}
END_TEST

/* Seven flat points have 21 pairs that do not grow, and each two neighbours behind them that change places one more. */
START_TEST(of_120_pairs_24_may_stand_still) {
    for (size_t swaps = 0; swaps <= 4; swaps++) {
        size_t y[OD_WITNESS_REPEAT];
        for (size_t i = 0; i < OD_WITNESS_REPEAT; i++) y[i] = 500 + (i < 7 ? 0 : (i - 6) * 4096);
        for (size_t k = 0; k < swaps; k++) {
            const size_t kept = y[7 + 2 * k];
            y[7 + 2 * k] = y[8 + 2 * k];
            y[8 + 2 * k] = kept;
        }
        const od_slope s = od_slope_fit(y, OD_WITNESS_REPEAT, 3.09);
        ck_assert_msg((s.low > 0) == (swaps <= 3), "%zu swaps: %g", swaps, s.low);
    }
}
END_TEST

START_TEST(few_points_have_a_slope_and_no_bound) {
    const size_t y[] = {10, 20, 30, 40};
    ck_assert_double_eq(od_slope_fit(y, 4, 0).value, 10);
    ck_assert_double_eq(od_slope_fit(y, 4, 0).low, 10); /* z = 0: the median's own rank */
    ck_assert(isinf(od_slope_fit(y, 4, 3.09).low));
    ck_assert(isinf(od_slope_fit(y, 1, 0).low) && od_slope_fit(y, 1, 0).value == 0);
}
END_TEST

/* ---- readings ---------------------------------------------------------------------------------------------------- */

START_TEST(a_block_in_use_is_seen_and_its_return_too) {
    const size_t bytes = 8 << 20, heap = od_witness_malloc(), rss = od_witness_rss();
    if (TEST_SANITIZED) {
        ck_assert(heap == 0 && rss == 0);
        return;
    }
    char *block = malloc(bytes);
    ck_assert_ptr_nonnull(block);
    for (size_t i = 0; i < bytes; i += 512) ((volatile char *)block)[i] = 1;
    ck_assert_uint_ge(od_witness_malloc(), heap + bytes);
    ck_assert_uint_le(od_witness_malloc(), heap + bytes + 8192);
    ck_assert_uint_ge(od_witness_rss(), rss + bytes / 2); /* older kernels count a few pages late */
    free(block);
    ck_assert_uint_le(od_witness_malloc(), heap + 8192);
    ck_assert_uint_le(od_witness_rss(), rss + bytes / 2);
}
END_TEST

/* Pages of files come and go with the code that runs: no leak. */
START_TEST(pages_of_files_are_not_counted) {
    enum { BYTES = 4 << 20 };
    static const char zeros[4096];
    FILE *f = tmpfile();
    ck_assert_ptr_nonnull(f);
    for (size_t i = 0; i < BYTES / sizeof zeros; i++) ck_assert_uint_eq(fwrite(zeros, sizeof zeros, 1, f), 1);
    ck_assert_int_eq(fflush(f), 0);
    const size_t before = od_witness_rss();
    const volatile char *pages = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fileno(f), 0);
    ck_assert(pages != MAP_FAILED);
    for (size_t i = 0; i < BYTES; i += 512) ck_assert_int_eq(pages[i], 0);
    ck_assert_uint_le(od_witness_rss(), before + BYTES / 4);
    munmap((void *)(uintptr_t)pages, BYTES);
    fclose(f);
}
END_TEST

/* ---- engines ----------------------------------------------------------------------------------------------------- */

static const od_ruling *memory(void) {
    unsigned number;
    ck_assert_int_eq(od_oracle_find(&number, "memory", NULL), OD_OK);
    od_judge_case(&v, &judge, &c);
    return &v.ruling[number];
}

static void is_found(const od_ruling *r, const char *witness) {
    ck_assert_msg(r->outcome == OD_FINDING, "%s: %s", witness, r->reason);
    ck_assert_str_eq(r->subject, "slope");
    ck_assert_msg(strstr(r->reason, witness) == r->reason, "%s", r->reason);
}

START_TEST(what_an_engine_takes_and_does_not_count_is_found) {
    fake_fast_knobs.hidden_device = 65536;
    is_found(memory(), "the device's driver: ");
    ck_assert_double_eq(v.value, 65536);
    if (TEST_SANITIZED) return;
    fake_fast_knobs = (fake_knobs){.hidden_malloc = 65536};
    is_found(memory(), "malloc: ");
    ck_assert_double_eq_tol(v.value, 65536, 64);
    fake_fast_knobs = (fake_knobs){.hidden_malloc = 8192};
    is_found(memory(), "malloc: ");
    fake_fast_knobs = (fake_knobs){.hidden_pages = 65536};
    is_found(memory(), "RssAnon: ");
    ck_assert_double_ge(v.value, 32768);
}
END_TEST

/* Where other threads judge in this process it is nobody's in particular; the device's driver is asked all the same. */
START_TEST(a_crowded_process_is_no_witness) {
    judge.setup.crowded = true;
    fake_fast_knobs.hidden_malloc = fake_fast_knobs.hidden_pages = 65536;
    ck_assert_int_eq(memory()->outcome, OD_PASS);
    ck_assert_uint_eq(v.evidence->witnessed.bytes[OD_WITNESS_MALLOC][0], 0);
    ck_assert_uint_eq(v.evidence->witnessed.bytes[OD_WITNESS_RSS][0], 0);
    fake_fast_knobs = (fake_knobs){.hidden_device = 65536};
    is_found(memory(), "the device's driver: ");
}
END_TEST

/* The card's driver counts everybody: where others use the card it says nothing of one case. */
START_TEST(the_driver_of_a_shared_device_is_no_witness) {
    judge.setup.shared_device = true;
    fake_fast_knobs.hidden_device = 65536;
    ck_assert_int_eq(memory()->outcome, OD_PASS);
    ck_assert_uint_eq(v.evidence->witnessed.bytes[OD_WITNESS_DEVICE][0], 0);
    if (TEST_SANITIZED) return;
    fake_fast_knobs = (fake_knobs){.hidden_malloc = 8192};
    is_found(memory(), "malloc: ");
}
END_TEST

START_TEST(less_than_a_page_a_request_is_found_where_it_is_asked_for) {
    fake_fast_knobs.hidden_device = 1024;
    ck_assert_int_eq(memory()->outcome, OD_PASS);
    judge.setup.watch_memory = true;
    is_found(memory(), "the device's driver: ");
    fake_fast_knobs.hidden_device = 256; /* the bound itself */
    ck_assert_int_eq(memory()->outcome, OD_PASS);
    ck_assert_uint_eq(v.evidence->witnessed.n, OD_WITNESS_REPEAT);
    if (TEST_SANITIZED) return;
    fake_fast_knobs = (fake_knobs){.hidden_malloc = 1024};
    is_found(memory(), "malloc: ");
}
END_TEST

START_TEST(what_a_request_takes_once_is_no_leak) {
    fake_fast_knobs.hidden_once = 65536;
    ck_assert_msg(memory()->outcome == OD_PASS, "%s", v.reason);
    judge.setup.watch_memory = true;
    ck_assert_msg(memory()->outcome == OD_PASS, "%s", v.reason);
}
END_TEST

START_TEST(a_healthy_engine_is_played_no_more_often_than_it_is_asked) {
    ck_assert_int_eq(memory()->outcome, OD_PASS);
    ck_assert_uint_le(v.evidence->witnessed.n, 4); /* the process may come by a page */
    judge.setup.watch_memory = true;
    ck_assert_int_eq(memory()->outcome, OD_PASS);
    ck_assert_uint_eq(v.evidence->witnessed.n, OD_WITNESS_REPEAT);
    judge.setup.oracles &= ~od_oracle_bit(&od_oracle_memory);
    od_judge_case(&v, &judge, &c);
    ck_assert_uint_eq(v.evidence->witnessed.n, 2);
}
END_TEST

Suite *suite_witness(void) {
    Suite *s = suite_create("witness");
    TCase *t = tcase_create("witness");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_straight_line_has_its_slope_without_doubt);
    tcase_add_test(t, a_step_that_stays_has_no_slope);
    tcase_add_test(t, the_lower_end_is_the_slope_of_that_rank);
    tcase_add_test(t, of_120_pairs_24_may_stand_still);
    tcase_add_test(t, pages_of_files_are_not_counted);
    tcase_add_test(t, few_points_have_a_slope_and_no_bound);
    tcase_add_test(t, a_block_in_use_is_seen_and_its_return_too);
    tcase_add_test(t, what_an_engine_takes_and_does_not_count_is_found);
    tcase_add_test(t, a_crowded_process_is_no_witness);
    tcase_add_test(t, the_driver_of_a_shared_device_is_no_witness);
    tcase_add_test(t, less_than_a_page_a_request_is_found_where_it_is_asked_for);
    tcase_add_test(t, what_a_request_takes_once_is_no_leak);
    tcase_add_test(t, a_healthy_engine_is_played_no_more_often_than_it_is_asked);
    suite_add_tcase(s, t);
    return s;
}
