/* The fast path against the golden values of the official code, and against the reference. */
#include <stdio.h>
#include <string.h>

#include "oracles/tolerance.h"
#include "ref/ref.h"
#include "tests/common/vectors.h"
#include "tests/gpu/suites.h"

static od_error err;

typedef struct tally {
    const char *vector;
    size_t n_over;
    double worst;
    char at[OD_NAME_MAX];
} tally;

/* Free-running forecasts are held as a whole to the wider bound, and below in their first patch to the contract. */
static void hold(void *context, const od_tensor *golden, const od_vector_error *error) {
    tally *t = context;
    const bool is_free = strncmp(golden->name, "forecast_", 9) == 0;
    const double bound = is_free ? od_bounds.free_mae : od_bounds.mae;
    if (!od_within(error->mae, bound)) {
        t->n_over++;
        printf("%s %s: mae %g, max %g\n", t->vector, golden->name, error->mae, error->max);
    }
    if (!(error->mae <= t->worst)) {
        t->worst = error->mae;
        snprintf(t->at, sizeof t->at, "%s", golden->name);
    }
}

static void run(od_forward_result *out, const od_engine_api *api, const od_vector *v, bool graph, bool fused) {
    od_options options = od_options_default();
    options.graph = graph;
    options.fused = fused;
    ck_assert_msg(!od_forward_run(out, api, v->model, &options, &v->input, &err), "%s: %s", v->name, err.text);
}

/* Every test is run without and with fused kernels: vector _i / 2. */
static const char *vector_name(int i) {
    return od_vector_name((size_t)i / 2);
}

/* model.md: float32 rounding of a loc far from zero leaves float64 by 5e-6 before the network begins. */
static bool is_far_from_zero(const char *name) {
    return strcmp(name, "large-values") == 0;
}

START_TEST(the_official_values_come_out) {
    od_vector v;
    od_forward_result got;
    size_t n = 0;
    tally t = {.vector = vector_name(_i)};
    if (is_far_from_zero(t.vector)) return;
    ck_assert_msg(!od_vector_open(&v, t.vector, OD_XPOS_CALL, &err), "%s", err.text);
    run(&got, test_engine(), &v, true, _i % 2);
    ck_assert_uint_gt(got.stats.replays, 0);
    ck_assert_msg(!od_vector_each(&n, &v, &got, hold, &t, &err), "%s", err.text);
    ck_assert_uint_gt(n, 10);
    ck_assert_uint_eq(t.n_over, 0);
    ck_assert_msg(t.worst > 0, "every tensor equals float64 exactly: nothing was computed");
    od_forward_free(&got);
    od_vector_close(&v);
}
END_TEST

/* first: patch length of a free-running forecast, whose first patch alone is held; 0 for other tensors. */
static double mae_between(const od_tensor *a, const od_tensor *b, double unit, size_t first) {
    const size_t n = od_tensor_size(a), row = a->shape[a->rank - 1];
    double sum = 0;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (first && i % row >= first) continue;
        const double d = od_tensor_at(a, i) - od_tensor_at(b, i);
        sum += d < 0 ? -d : d;
        used++;
    }
    return sum / (double)used / unit;
}

START_TEST(the_reference_agrees) {
    od_vector v;
    od_forward_result got, want;
    ck_assert_msg(!od_vector_open(&v, vector_name(_i), OD_XPOS_CALL, &err), "%s", err.text);
    run(&got, test_engine(), &v, true, _i % 2);
    run(&want, od_ref_engine(), &v, true, false);
    ck_assert_uint_eq(got.n_tensor, want.n_tensor);
    for (size_t i = 0; i < got.n_tensor; i++) {
        const od_tensor *a = &got.tensor[i], *b = od_forward_find(&want, a->name);
        ck_assert_ptr_nonnull(b);
        const double unit = od_vector_unit(a->name, od_forward_find(&want, "prefill.scaler_scale"));
        const bool is_free = strncmp(a->name, "forecast_", 9) == 0;
        const double all = mae_between(a, b, unit, 0);
        ck_assert_msg(od_within(all, is_free ? od_bounds.free_mae : od_bounds.mae), "%s %s: mae %g", v.name, a->name,
                      all);
        if (is_free) ck_assert(od_within(mae_between(a, b, unit, v.model->config.patch), od_bounds.mae));
        /* the scaler's numbers are the same doubles rounded alike: not near, equal */
        if (strstr(a->name, "scaler_")) ck_assert_mem_eq(a->data, b->data, od_tensor_size(a) * sizeof(float));
    }
    od_forward_free(&got);
    od_forward_free(&want);
    od_vector_close(&v);
}
END_TEST

START_TEST(graph_and_plain_launches_give_the_same_bits) {
    od_vector v;
    od_forward_result graph, plain;
    ck_assert_msg(!od_vector_open(&v, vector_name(_i), OD_XPOS_CALL, &err), "%s", err.text);
    run(&graph, test_engine(), &v, true, _i % 2);
    run(&plain, test_engine(), &v, false, _i % 2);
    ck_assert_uint_eq(plain.stats.replays, 0);
    ck_assert_uint_eq(graph.n_tensor, plain.n_tensor);
    for (size_t i = 0; i < graph.n_tensor; i++) {
        const od_tensor *a = &graph.tensor[i];
        ck_assert_str_eq(a->name, plain.tensor[i].name);
        ck_assert_msg(!memcmp(a->data, plain.tensor[i].data, od_tensor_size(a) * sizeof(float)), "%s %s", v.name,
                      a->name);
    }
    od_forward_free(&graph);
    od_forward_free(&plain);
    od_vector_close(&v);
}
END_TEST

Suite *suite_vectors(void) {
    Suite *suite = suite_create("golden vectors");
    TCase *tc = tcase_create("vectors");
    int n = 0;
    while (od_vector_name((size_t)n)) n++;
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, the_official_values_come_out, 0, 2 * n);
    tcase_add_loop_test(tc, the_reference_agrees, 0, 2 * n);
    tcase_add_loop_test(tc, graph_and_plain_launches_give_the_same_bits, 0, 2 * n);
    suite_add_tcase(suite, tc);
    return suite;
}
