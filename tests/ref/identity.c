/* Identities of the model that hold for whole engines, in both precisions. */
#include <math.h>
#include <string.h>

#include "tests/ref/fixture.h"
#include "tests/ref/suites.h"

enum { P = 4, B = 2, V = 3 };

/* Largest honest distance between two orders of summation; more is another answer. */
static double rounding(const fixture *f) {
    return strcmp(f->api->name, "ref64") == 0 ? 1e-12 : 1e-4;
}

/* Elements of tensor `name` of series r at steps [first, last) of an answer over n steps: equal in a and b? */
static bool same_steps(const answer *a, const answer *b, const char *name, size_t r, size_t first, size_t last) {
    const od_tensor *t;
    const double *x = answer_find(a, name, &t), *y = answer_find(b, name, NULL);
    size_t width = 1;
    for (size_t i = 3; i < t->rank; i++) width *= t->shape[i];
    const size_t at = (r * t->shape[2] + first) * width;
    return memcmp(x + at, y + at, (last - first) * width * sizeof *x) == 0;
}

static const char *const parameters[] = {"df", "loc", "scale", "probs", "scaler_loc", "scaler_scale"};
enum { N_PARAMETER = 6 };

/* Time-wise attention and the scaler are causal: what comes last moves nothing before it, to the bit. */
START_TEST(the_last_patch_does_not_move_the_past) {
    fixture f;
    const od_config config = fixture_config();
    const size_t n = 6 * P;
    fixture_open(&f, fixture_api(_i), &config, OD_CACHE_OFF, B, V, n);
    od_session *s = fixture_session(&f, n);
    fixture_prefill(&f, s, n);
    const answer *before = fixture_answer(&f, s, 0);
    for (size_t r = 0; r < B * V; r++) f.value[r * n + n - 2] += 3;
    ck_assert(!f.api->reset(s, NULL));
    fixture_prefill(&f, s, n);
    const answer *after = fixture_answer(&f, s, 1);
    for (size_t r = 0; r < B * V; r++)
        for (int i = 0; i < N_PARAMETER; i++) {
            ck_assert_msg(same_steps(before, after, parameters[i], r, 0, n - P), "%s moved", parameters[i]);
            ck_assert_msg(!same_steps(before, after, parameters[i], r, n - P, n), "%s did not move", parameters[i]);
        }
    fixture_close(&f);
}
END_TEST

/* Groups: 0 and 2 against 1. A change in one is not seen by the other, to the bit, and is seen by its own. */
START_TEST(groups_do_not_see_each_other) {
    fixture f;
    const od_config config = fixture_config();
    const size_t n = 5 * P;
    fixture_open(&f, fixture_api(_i), &config, OD_CACHE_OFF, B, V, n);
    for (size_t r = 0; r < B * V; r++)
        for (size_t t = 0; t < n; t++) f.id[r * n + t] = r % V == 1 ? 9 : -4;
    od_session *s = fixture_session(&f, n);
    fixture_prefill(&f, s, n);
    const answer *before = fixture_answer(&f, s, 0);
    for (size_t t = 0; t < n; t++) f.value[(V + 2) * n + t] *= -2; /* batch 1, variate 2 */
    ck_assert(!f.api->reset(s, NULL));
    fixture_prefill(&f, s, n);
    const answer *after = fixture_answer(&f, s, 1);
    for (size_t r = 0; r < B * V; r++) {
        const bool sees = r == V || r == V + 2;
        ck_assert_int_eq(same_steps(before, after, "loc", r, 0, n), !sees);
        ck_assert_int_eq(same_steps(before, after, "mean", r, 0, P), !sees);
    }
    fixture_close(&f);
}
END_TEST

/* A patch has its own ids: variates 0 and 1 are one group up to patch 2 and strangers after. In a model of space-wise
 * layers alone a patch sees nothing but its own time. */
START_TEST(groups_may_change_from_patch_to_patch) {
    fixture f;
    od_config config = fixture_config();
    const size_t n = 5 * P;
    config.space_every = 1;
    fixture_open(&f, fixture_api(_i), &config, OD_CACHE_OFF, 1, 2, n);
    for (size_t t = 2 * P; t < n; t++) f.id[t] = 1;
    od_session *s = fixture_session(&f, n);
    fixture_prefill(&f, s, n);
    const answer *before = fixture_answer(&f, s, 0);
    for (size_t t = 0; t < n; t++) f.value[n + t] += (float)(t % 3);
    ck_assert(!f.api->reset(s, NULL));
    fixture_prefill(&f, s, n);
    const answer *after = fixture_answer(&f, s, 1);
    for (size_t i = 0; i < 5; i++) ck_assert_int_eq(same_steps(before, after, "loc", 0, i * P, (i + 1) * P), i >= 2);
    fixture_close(&f);
}
END_TEST

/* A context that fills no whole patch is the context with zeros, mask 0 and its first id in front. */
START_TEST(padding_is_done_on_the_left) {
    fixture f;
    const od_config config = fixture_config();
    const size_t n = 4 * P;
    for (size_t pad = 1; pad < P; pad++) {
        fixture_open(&f, fixture_api(_i), &config, OD_CACHE_OFF, B, V, n);
        for (size_t r = 0; r < B * V; r++)
            for (size_t t = 0; t < n; t++) {
                f.id[r * n + t] = (int32_t)(r % 2);
                if (t < pad) {
                    f.value[r * n + t] = 0;
                    f.mask[r * n + t] = 0;
                }
            }
        od_session *whole = fixture_session(&f, n), *cut = fixture_session(&f, n);
        const od_window window = fixture_window(&f, pad, n - pad), other = fixture_window(&f, P, n - P);
        fixture_prefill(&f, whole, n);
        ck_assert(!f.api->prefill(cut, &other, NULL)); /* what lay there before is no padding */
        ck_assert(!f.api->reset(cut, NULL));
        ck_assert(!f.api->prefill(cut, &window, NULL));
        answer_same_bits(fixture_answer(&f, whole, 0), fixture_answer(&f, cut, 1));
        fixture_close(&f);
    }
}
END_TEST

START_TEST(cached_equals_recomputed_around_the_origin) {
    static const enum od_scaler scalers[] = {OD_SCALER_STD_MEAN, OD_SCALER_CAUSAL_STD_MEAN,
                                             OD_SCALER_CAUSAL_PATCH_STD_MEAN};
    const answer *answers[2];
    fixture f;
    od_config config = fixture_config();
    config.xpos = OD_XPOS_ORIGIN;
    config.scaler = scalers[_i % 3];
    for (int cached = 0; cached < 2; cached++) {
        const size_t n = 9 * P;
        od_stats stats;
        fixture_open(&f, fixture_api(_i / 3), &config, cached ? OD_CACHE_DYNAMIC : OD_CACHE_OFF, B, V, n);
        od_session *s = fixture_session(&f, n);
        fixture_prefill(&f, s, 5 * P);
        fixture_decode(&f, s, 5 * P, 2);
        fixture_own(&f, s, 2);
        answers[cached] = fixture_answer(&f, s, cached);
        f.api->stats(f.engine, &stats);
        ck_assert_uint_eq(stats.cache_hits, cached ? 4 : 0);
        if (!cached) fixture_close(&f);
    }
    ck_assert_double_le(answer_distance(answers[0], answers[1]), rounding(&f));
    fixture_close(&f);
}
END_TEST

/* Without a cache, decoding is the whole series anew; carried or recomputed, the scaler rounds alike. (The causal
 * scaler does not ask where the context ended.) */
START_TEST(decoding_equals_a_longer_context) {
    fixture f;
    const od_config config = fixture_config();
    const size_t n = 8 * P;
    fixture_open(&f, fixture_api(_i), &config, OD_CACHE_OFF, B, V, n);
    od_session *grown = fixture_session(&f, n), *whole = fixture_session(&f, n);
    fixture_prefill(&f, grown, 5 * P);
    fixture_decode(&f, grown, 5 * P, 3);
    fixture_prefill(&f, whole, n);
    const answer *a = fixture_answer(&f, grown, 0), *b = fixture_answer(&f, whole, 1);
    for (int i = 0; i < N_PARAMETER; i++) {
        const od_tensor *ta, *tb;
        const double *x = answer_find(a, parameters[i], &ta), *y = answer_find(b, parameters[i], &tb);
        const size_t width = ta->rank > 3 ? ta->shape[3] : 1;
        ck_assert_uint_eq(ta->shape[2], P);
        ck_assert_uint_eq(tb->shape[2], n);
        for (size_t r = 0; r < B * V; r++)
            for (size_t j = 0; j < P * width; j++) {
                const double got = x[r * P * width + j], want = y[(r + 1) * n * width - P * width + j];
                if (strncmp(parameters[i], "scaler_", 7) == 0)
                    ck_assert_double_eq(got, want);
                else
                    ck_assert_double_le(fabs(got - want), rounding(&f) * fmax(1, fabs(want)));
            }
    }
    fixture_close(&f);
}
END_TEST

/* In float32 the mean is a float: handing it in as the next patch changes no bit. */
START_TEST(own_patch_is_the_mean_handed_in) {
    fixture f;
    const od_config config = fixture_config();
    const size_t n = 4 * P;
    fixture_open(&f, fixture_api(0), &config, _i ? OD_CACHE_FIXED : OD_CACHE_OFF, B, V, n);
    for (size_t r = 0; r < B * V; r++)
        for (size_t t = 0; t < n; t++) f.id[r * n + t] = r % V == 1;
    od_session *own = fixture_session(&f, n), *handed = fixture_session(&f, n);
    fixture_prefill(&f, own, 2 * P);
    fixture_prefill(&f, handed, 2 * P);
    for (size_t first = 2 * P; first < n; first += P) {
        const double *mean = answer_find(fixture_answer(&f, handed, 0), "mean", NULL);
        for (size_t r = 0; r < B * V; r++)
            for (size_t t = 0; t < P; t++) f.value[r * n + first + t] = (float)mean[r * P + t];
        fixture_decode(&f, handed, first, 1);
        fixture_own(&f, own, 1);
        answer_same_bits(fixture_answer(&f, handed, 0), fixture_answer(&f, own, 1));
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_model_without_time_wise_layers_caches_nothing) {
    fixture f;
    const answer *answers[2];
    od_config config = fixture_config();
    config.space_every = 1;
    for (int cached = 0; cached < 2; cached++) {
        od_stats stats;
        fixture_open(&f, fixture_api(_i), &config, cached ? OD_CACHE_FIXED : OD_CACHE_OFF, B, V, 5 * P);
        od_session *s = fixture_session(&f, 5 * P);
        fixture_prefill(&f, s, 3 * P);
        fixture_decode(&f, s, 3 * P, 1);
        fixture_own(&f, s, 1);
        answers[cached] = fixture_answer(&f, s, cached);
        f.api->stats(f.engine, &stats);
        ck_assert_uint_eq(stats.cache_hits, 0);
        fixture_close(&f);
    }
    answer_same_bits(answers[0], answers[1]);
}
END_TEST

/* Variates of a group have no order: swapping two swaps their answers. Rows of a batch are strangers. */
START_TEST(variates_have_no_order_and_rows_are_strangers) {
    fixture f;
    const od_config config = fixture_config();
    const size_t n = 4 * P;
    fixture_open(&f, fixture_api(_i), &config, OD_CACHE_OFF, B, V, n);
    od_session *s = fixture_session(&f, n);
    fixture_prefill(&f, s, n);
    const answer *before = fixture_answer(&f, s, 0);
    for (size_t t = 0; t < n; t++) {
        float *row = f.value + V * n + t, kept = row[0];
        row[0] = row[2 * n]; /* batch 1: variates 0 and 2 change places */
        row[2 * n] = kept;
        f.value[t] = 0; /* batch 0 becomes another */
    }
    ck_assert(!f.api->reset(s, NULL));
    fixture_prefill(&f, s, n);
    const answer *after = fixture_answer(&f, s, 1);
    const double *x = answer_find(before, "mean", NULL), *y = answer_find(after, "mean", NULL);
    const size_t from[] = {V, V + 1, V + 2}, to[] = {V + 2, V + 1, V};
    for (int v = 0; v < 3; v++)
        for (size_t t = 0; t < P; t++) ck_assert_double_le(fabs(x[from[v] * P + t] - y[to[v] * P + t]), rounding(&f));
    ck_assert_double_ne(x[0], y[0]);
    fixture_close(&f);
}
END_TEST

/* A forecast that no float can hold becomes 0, and is counted: silence hides faults. */
START_TEST(extreme_forecasts_are_replaced_and_counted) {
    fixture f;
    od_config config = fixture_config();
    od_stats stats;
    config.scaler = OD_SCALER_STD_MEAN;
    fixture_open(&f, fixture_api(_i), &config, OD_CACHE_FIXED, B, V, 3 * P);
    const od_weight_spec *bias = od_model_spec(f.model, OD_W_LOC_BIAS, 0);
    const od_options options = od_options_default();
    for (size_t i = 0; i < bias->count; i++) f.model->data[bias->offset + i] = 3e38f;
    fixture_engine(&f, &options);
    for (size_t i = 0; i < B * V * f.n_step; i++) f.value[i] *= 100; /* scales far above 1 */
    od_session *s = fixture_session(&f, 3 * P);
    fixture_prefill(&f, s, 2 * P);
    const double *mean = answer_find(fixture_answer(&f, s, 0), "mean", NULL);
    for (size_t i = 0; i < B * V * P; i++) ck_assert_double_eq(mean[i], 0);
    f.api->stats(f.engine, &stats);
    ck_assert_uint_eq(stats.replaced, B * V * P);
    fixture_own(&f, s, 1);
    f.api->stats(f.engine, &stats);
    ck_assert_uint_eq(stats.replaced, 2 * B * V * P);
    fixture_close(&f);
}
END_TEST

/* The mean is what the tensors beside it say: loc_s + scale_s·Σ probs·loc at the last patch. */
START_TEST(the_mean_follows_from_the_parameters) {
    fixture f;
    od_config config = fixture_config();
    config.mixture = _i % 2;
    config.n_component = config.mixture ? 3 : 1;
    fixture_open(&f, fixture_api(_i / 2), &config, OD_CACHE_FIXED, B, V, 3 * P);
    od_session *s = fixture_session(&f, 3 * P);
    fixture_prefill(&f, s, 3 * P);
    const answer *a = fixture_answer(&f, s, 0);
    const double *loc = answer_find(a, "loc", NULL), *mean = answer_find(a, "mean", NULL);
    const double *probs = config.mixture ? answer_find(a, "probs", NULL) : NULL;
    const double *scaler_loc = answer_find(a, "scaler_loc", NULL), *scale = answer_find(a, "scaler_scale", NULL);
    const size_t K = config.n_component, n = 3 * P;
    for (size_t r = 0; r < B * V; r++)
        for (size_t t = 0; t < P; t++) {
            const size_t step = (r + 1) * n - P + t;
            double sum = 0, total = 0;
            for (size_t k = 0; k < K; k++) {
                sum += (probs ? probs[step * K + k] : 1) * loc[step * K + k];
                total += probs ? probs[step * K + k] : 1;
            }
            ck_assert_double_le(fabs(total - 1), 1e-6);
            ck_assert_double_le(fabs(mean[r * P + t] - (scaler_loc[step] + scale[step] * sum)),
                                rounding(&f) * fmax(1, scale[step]));
        }
    fixture_close(&f);
}
END_TEST

Suite *suite_identity(void) {
    Suite *suite = suite_create("identities");
    TCase *tc = tcase_create("identities");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, the_last_patch_does_not_move_the_past, 0, 2);
    tcase_add_loop_test(tc, groups_do_not_see_each_other, 0, 2);
    tcase_add_loop_test(tc, groups_may_change_from_patch_to_patch, 0, 2);
    tcase_add_loop_test(tc, padding_is_done_on_the_left, 0, 2);
    tcase_add_loop_test(tc, cached_equals_recomputed_around_the_origin, 0, 6);
    tcase_add_loop_test(tc, decoding_equals_a_longer_context, 0, 2);
    tcase_add_loop_test(tc, own_patch_is_the_mean_handed_in, 0, 2);
    tcase_add_loop_test(tc, a_model_without_time_wise_layers_caches_nothing, 0, 2);
    tcase_add_loop_test(tc, variates_have_no_order_and_rows_are_strangers, 0, 2);
    tcase_add_loop_test(tc, extreme_forecasts_are_replaced_and_counted, 0, 2);
    tcase_add_loop_test(tc, the_mean_follows_from_the_parameters, 0, 4);
    suite_add_tcase(suite, tc);
    return suite;
}
