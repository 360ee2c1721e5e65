/* The reference against the values of the official code, every tensor of every vector. */
#include "tests/common/vectors.h"

#include <stdio.h>
#include <string.h>

#include "oracles/tolerance.h"
#include "ref/ref.h"
#include "tests/ref/suites.h"

struct tally {
    const char *vector;
    bool is_float;
    size_t n_over;
    double worst;
};

/* Runs vector `name` on api and hands every tensor's error to `visit`; at least 30 are golden in each vector. */
static void hold(const od_engine_api *api, struct tally *tally, od_vector_visit *visit) {
    od_vector v;
    od_forward_result result;
    od_error e;
    size_t n;
    const od_options options = od_options_default();
    ck_assert_msg(!od_vector_open(&v, tally->vector, OD_XPOS_CALL, &e), "%s", e.text);
    ck_assert_msg(!od_forward_run(&result, api, v.model, &options, &v.input, &e), "%s: %s", v.name, e.text);
    ck_assert_msg(!od_vector_each(&n, &v, &result, visit, tally, &e), "%s", e.text);
    ck_assert_uint_ge(n, 30);
    ck_assert_uint_gt(result.stats.cache_hits, 0);
    ck_assert_uint_eq(result.stats.replaced, 0);
    ck_assert_uint_eq(tally->n_over, 0);
    ck_assert_msg(tally->worst > 0, "every tensor equals the golden one exactly: nothing was computed");
    od_forward_free(&result);
    od_vector_close(&v);
}

static void note(struct tally *t, const od_tensor *golden, double err, bool ok) {
    if (!(err <= t->worst)) t->worst = err;
    if (ok) return;
    t->n_over++;
    printf("%s %s: %g\n", t->vector, golden->name, err);
}

static void visit64(void *context, const od_tensor *golden, const od_vector_error *error) {
    note(context, golden, error->relative, od_within(error->relative, od_bounds.golden));
}

static void visit32(void *context, const od_tensor *golden, const od_vector_error *error) {
    const bool is_free = strncmp(golden->name, "forecast_", 9) == 0;
    note(context, golden, error->mae,
         od_within(error->first_mae, od_bounds.mae) &&
             od_within(error->mae, is_free ? od_bounds.free_mae : od_bounds.mae));
}

START_TEST(there_are_sixteen) {
    ck_assert_ptr_nonnull(od_vector_name(15));
    ck_assert_ptr_null(od_vector_name(16));
}
END_TEST

START_TEST(float64_gives_the_official_values) {
    struct tally tally = {.vector = od_vector_name((size_t)_i)};
    hold(od_ref64_engine(), &tally, visit64);
}
END_TEST

/* On data of 1e6 the rounding of loc to float32 alone costs 5e-6 in model space: no float32 engine can hold there. */
START_TEST(float32_holds_the_contract) {
    struct tally tally = {.vector = od_vector_name((size_t)_i)};
    if (strcmp(tally.vector, "large-values") != 0) hold(od_ref_engine(), &tally, visit32);
}
END_TEST

Suite *suite_vectors(void) {
    Suite *suite = suite_create("golden vectors");
    TCase *tc = tcase_create("vectors");
    int n = 0;
    while (od_vector_name((size_t)n)) n++;
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, there_are_sixteen);
    tcase_add_loop_test(tc, float64_gives_the_official_values, 0, n);
    tcase_add_loop_test(tc, float32_holds_the_contract, 0, n);
    suite_add_tcase(suite, tc);
    return suite;
}
