/* Bad input and failing allocations: a status, one clear line, nothing leaked, and the engine still usable. */
#include <math.h>
#include <string.h>

#include "model/case.h"
#include "tests/ref/fixture.h"
#include "tests/ref/suites.h"

enum { P = 4, B = 2, V = 3, N = 6 * P };

static fixture f;
static od_error e;
static od_session *s;

static void setup(void) {
    const od_config config = fixture_config();
    fixture_open(&f, fixture_api(0), &config, OD_CACHE_FIXED, B, V, N);
    s = fixture_session(&f, N);
}

static void teardown(void) {
    fixture_close(&f);
}

/* The call failed with this status, and its line says so. */
static void says(enum od_status got, enum od_status want, const char *part) {
    ck_assert_int_eq(got, want);
    ck_assert_int_eq(e.status, want);
    ck_assert_msg(strstr(e.text, part), "\"%s\" says nothing of \"%s\"", e.text, part);
    ck_assert_ptr_null(strchr(e.text, '\n'));
}

/* After an error the session refuses until it is reset, then works. */
static void usable_after_reset(void) {
    const od_window window = fixture_window(&f, 0, P);
    od_outputs out;
    says(f.api->prefill(s, &window, &e), OD_BAD_INPUT, "reset it first");
    says(f.api->decode(s, NULL, &e), OD_BAD_INPUT, "reset it first");
    says(f.api->outputs(s, &out, &e), OD_BAD_INPUT, "no answer");
    ck_assert(!f.api->reset(s, &e));
    fixture_prefill(&f, s, P);
    fixture_own(&f, s, 1);
    fixture_answer(&f, s, 0);
}

START_TEST(calls_out_of_order) {
    od_outputs out;
    const od_window window = fixture_window(&f, 0, P);
    says(f.api->outputs(s, &out, &e), OD_BAD_INPUT, "prefill it first");
    says(f.api->decode(s, NULL, &e), OD_BAD_INPUT, "no context");
    usable_after_reset();
    says(f.api->prefill(s, &window, &e), OD_BAD_INPUT, "already has a context");
    usable_after_reset();
}
END_TEST

START_TEST(windows_of_wrong_length) {
    od_window window = fixture_window(&f, 0, 0);
    says(f.api->prefill(s, &window, &e), OD_BAD_INPUT, "no step");
    usable_after_reset();
    for (size_t n = P - 1; n <= P + 1; n += 2) {
        window.n_step = n;
        says(f.api->decode(s, &window, &e), OD_BAD_INPUT, "one patch of 4");
        usable_after_reset();
    }
    ck_assert(!f.api->reset(s, &e));
    window.n_step = N;
    window.stride = N - 1;
    says(f.api->prefill(s, &window, &e), OD_BAD_INPUT, "23 apart");
    usable_after_reset();
}
END_TEST

START_TEST(past_the_limit) {
    od_session *small;
    ck_assert(!f.api->session_open(&small, f.engine, B, V, 3 * P + 1, &e)); /* holds 3 patches */
    const od_window long_window = fixture_window(&f, 0, 3 * P + 1), window = fixture_window(&f, 0, 2 * P + 1);
    says(f.api->prefill(small, &long_window, &e), OD_BAD_INPUT, "do not fit");
    ck_assert(!f.api->reset(small, &e));
    ck_assert(!f.api->prefill(small, &window, &e)); /* padded to 3 patches */
    says(f.api->decode(small, NULL, &e), OD_BAD_INPUT, "limit");
    ck_assert(!f.api->reset(small, &e));
    fixture_prefill(&f, small, 2 * P);
    fixture_own(&f, small, 1);
    says(f.api->decode(small, NULL, &e), OD_BAD_INPUT, "limit");
}
END_TEST

START_TEST(values_that_are_no_numbers) {
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const size_t at = (V + 1) * N + 7; /* batch 1, variate 1, step 7 */
    f.value[at] = bad[_i];
    const od_window window = fixture_window(&f, 0, N), next = fixture_window(&f, P, P);
    says(f.api->prefill(s, &window, &e), OD_BAD_INPUT, "batch 1, variate 1, step 7");
    usable_after_reset();
    says(f.api->decode(s, &next, &e), OD_BAD_INPUT, "batch 1, variate 1, step 3");
    usable_after_reset();
    f.mask[at] = 0; /* no real value: nobody's business */
    ck_assert(!f.api->reset(s, &e));
    ck_assert(!f.api->prefill(s, &window, &e));
}
END_TEST

/* Patches are counted after left padding: with 7 steps of context, the first patch ends after step 2. */
START_TEST(ids_mixed_inside_a_patch) {
    const size_t row = 2 * N; /* batch 0, variate 2 */
    od_window window = fixture_window(&f, 1, 2 * P - 1), next = fixture_window(&f, P, P);
    for (size_t t = P; t < N; t++) f.id[row + t] = 1;
    ck_assert(!f.api->prefill(s, &window, &e)); /* 0 0 0 | 1 1 1 1 */
    ck_assert(!f.api->reset(s, &e));
    window.n_step = 2 * P;
    says(f.api->prefill(s, &window, &e), OD_BAD_INPUT, "batch 0, variate 2, step 3: id 1 after 0");
    usable_after_reset();
    ck_assert(!f.api->decode(s, &next, &e)); /* another id than the context's: a patch of its own */
    f.id[row + P] = 2;
    says(f.api->decode(s, &next, &e), OD_BAD_INPUT, "step 1: id 1 after 2");
    usable_after_reset();
}
END_TEST

START_TEST(sessions_that_cannot_be) {
    od_session *none = s;
    says(f.api->session_open(&none, f.engine, 0, V, N, &e), OD_BAD_INPUT, "batch 0");
    ck_assert_ptr_null(none);
    says(f.api->session_open(&none, f.engine, B, 0, N, &e), OD_BAD_INPUT, "variates 0");
    says(f.api->session_open(&none, f.engine, B, V, P - 1, &e), OD_BAD_INPUT, "no patch");
    says(f.api->session_open(&none, f.engine, SIZE_MAX, 2, N, &e), OD_BAD_INPUT, "exceed");
    says(f.api->session_open(&none, f.engine, 2, 2, SIZE_MAX, &e), OD_BAD_INPUT, "exceed");
    says(f.api->session_open(&none, f.engine, 1 << 16, 1 << 15, N, &e), OD_BAD_INPUT, "exceed");
    says(f.api->session_open(&none, f.engine, SIZE_MAX / 2, SIZE_MAX / 2, SIZE_MAX, &e), OD_BAD_INPUT, "exceed");
}
END_TEST

START_TEST(tf32_cannot_be_had) {
    const od_engine_api *api = fixture_api(_i);
    od_options options = od_options_default();
    od_engine *engine = f.engine;
    od_case c = {0};
    char why[200] = "";
    c.options = options;
    ck_assert(api->can(&c, why, sizeof why));
    c.options.tf32 = options.tf32 = true;
    ck_assert(!api->can(&c, why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "tf32"));
    says(api->create(&engine, f.model, &options, &e), OD_UNSUPPORTED, "tf32");
    ck_assert_ptr_null(engine);
}
END_TEST

/* Every allocation of session_open fails once: each time one line, and the bytes are given back. */
START_TEST(each_allocation_may_fail) {
    const od_config config = fixture_config();
    od_options options = od_options_default();
    fixture g;
    od_stats before, after;
    od_session *opened;
    uint64_t n = 1;
    fixture_open(&g, fixture_api(_i), &config, OD_CACHE_FIXED, B, V, N);
    options.hidden = true;
    fixture_engine(&g, &options);
    g.api->stats(g.engine, &before);
    for (;; n++) {
        ck_assert_uint_lt(n, 200);
        g.api->fail_alloc(g.engine, n);
        enum od_status status = g.api->session_open(&opened, g.engine, B, V, N, &e);
        if (status == OD_OK) break;
        says(status, OD_NO_MEMORY, "cannot allocate");
        ck_assert_ptr_null(opened);
        g.api->stats(g.engine, &after);
        ck_assert_uint_eq(after.host_live, before.host_live);
    }
    ck_assert_uint_gt(n, 30);
    g.api->fail_alloc(g.engine, 1); /* and forward allocates nothing: with memory gone, it still runs */
    fixture_prefill(&g, opened, 2 * P);
    fixture_own(&g, opened, 2);
    ck_assert(!g.api->reset(opened, &e));
    fixture_prefill(&g, opened, N);
    g.api->fail_alloc(g.engine, 0);
    fixture_session(&g, N);
    fixture_close(&g);
}
END_TEST

Suite *suite_errors(void) {
    Suite *suite = suite_create("errors");
    TCase *tc = tcase_create("errors");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, calls_out_of_order);
    tcase_add_test(tc, windows_of_wrong_length);
    tcase_add_test(tc, past_the_limit);
    tcase_add_loop_test(tc, values_that_are_no_numbers, 0, 3);
    tcase_add_test(tc, ids_mixed_inside_a_patch);
    tcase_add_test(tc, sessions_that_cannot_be);
    tcase_add_loop_test(tc, tf32_cannot_be_had, 0, 2);
    tcase_add_loop_test(tc, each_allocation_may_fail, 0, 2);
    suite_add_tcase(suite, tc);
    return suite;
}
