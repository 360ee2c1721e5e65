/* Features: each says what its definition says of a case written here, and nothing that no case can be. */
#include "oracles/features.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/suites.h"

static uint16_t id[OD_FEATURES_OF_CASE];
static size_t n;
static od_case c;
static od_evidence ev;

static unsigned count(const char *name) {
    char text[OD_FEATURE_NAME];
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) found += strcmp(od_feature_name(text, sizeof text, id[i]), name) == 0;
    return found;
}

static unsigned family(enum od_feature_family f) {
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) found += od_feature_family_of(id[i]) == f;
    return found;
}

static void assert_names(const char *const *names) {
    for (; *names; names++) ck_assert_msg(count(*names) > 0, "no feature %s", *names);
}

/* Two sessions of 2 x 3 series in groups 0 1 0: 17 patches and a step over, a long run of steps, a reset to less. */
static void setup(void) {
    static const od_op schedule[] = {{.kind = OD_OP_PREFILL, .session = 0, .steps = 4 * 17 + 1},
                                     {.kind = OD_OP_PREFILL, .session = 1, .steps = 8},
                                     {.kind = OD_OP_DECODE, .session = 0, .patches = 12},
                                     {.kind = OD_OP_DECODE, .session = 0, .patches = 1, .own = true},
                                     {.kind = OD_OP_RECAPTURE},
                                     {.kind = OD_OP_RESET, .session = 0},
                                     {.kind = OD_OP_PREFILL, .session = 0, .steps = 8},
                                     {.kind = OD_OP_DECODE, .session = 1, .patches = 2}};
    od_case_init(&c);
    c.batch = 2;
    c.variates = c.n_group = 3;
    c.group[1] = 1;
    c.generator = OD_GEN_SEASON;
    c.left_padding = 8;
    c.missing = 0.1;
    c.options.streams = 3;
    c.n_op = sizeof schedule / sizeof schedule[0];
    memcpy(c.op, schedule, sizeof schedule);
    ck_assert_int_eq(od_case_check(&c, NULL), OD_OK);
    ck_assert_uint_eq(c.config.patch, 4);
}

START_TEST(a_case_has_the_features_that_it_was_written_for) {
    static const char *const names[] = {"batch=2",
                                        "variates=3",
                                        "patches=18-30", /* 18 */
                                        "patches=2",
                                        "context=one step over",
                                        "context=whole patches",
                                        "shape=2-4, 2-4, 17-64",
                                        "padding=whole patches, some missing, no padded variate",
                                        "groups=two, interleaved",
                                        "limits=8 and more captures, 3 streams",
                                        NULL};
    n = od_features_of(id, OD_FEATURES_OF_CASE, &c, NULL);
    static const char *const ops[] = {"ops=first context, first context, other session",
                                      "ops=first context, steps, other session",
                                      "ops=steps, own step, same session",
                                      "ops=own step, recapture, same session",
                                      "ops=recapture, reset, same session",
                                      "ops=reset, shorter context, same session",
                                      "ops=shorter context, steps, other session",
                                      "trigram=context>context>steps, aba",
                                      "trigram=reset>context>steps, aab",
                                      "sessions=2",
                                      "run=steps in a life, 9-16", /* 13 */
                                      "run=own steps in a life, 1",
                                      "run=lives, 3-4",
                                      "run=entries, 5-8",
                                      "run=captures anew, 1",
                                      NULL};
    static const char *const calls[] = {"tokens=context, 66-126", /* 2·3·18 = 108 */
                                        "tokens=step, 6",
                                        "keys=31",
                                        "keys=18-30",
                                        "keys=3",
                                        "keys=4",
                                        "buckets=context of 512, context of 64",
                                        "buckets=context of 64, step of 8",
                                        "buckets=step of 8, step of 8",
                                        NULL};
    assert_names(ops);
    assert_names(calls);
    assert_names(names);
    ck_assert_uint_eq(family(OD_FEATURE_OPS), c.n_op - 1);
    ck_assert_uint_eq(family(OD_FEATURE_KEYS), 12 + 1 + 2); /* one a decode step */
    ck_assert_uint_eq(family(OD_FEATURE_ERROR) + family(OD_FEATURE_COUNTER), 0);
}
END_TEST

START_TEST(answers_show_as_classes_of_the_contract_where_they_stood) {
    od_verdict v = {.evidence = &ev};
    memset(&ev, 0, sizeof ev);
    ev.fast_stats.replays = 7;
    ev.row[OD_TENSOR_LOC][OD_STEP_OWN][1] =
        (od_row){.compared = 1, .share = 2.5e-4, .at = {.op = 3, .call = 0, .session = 0, .step = OD_STEP_OWN}};
    ev.row[OD_TENSOR_MEAN][OD_STEP_PREFILL][1] = (od_row){.compared = 1, .share = NAN, .at = {.op = 6}};
    ev.row[OD_TENSOR_DF][OD_STEP_PREFILL][0] = (od_row){.compared = 1, .share = 0.5}; /* not contractual */
    n = od_features_of(id, OD_FEATURES_OF_CASE, &c, &v);
    /* 1e-4 · 2^(2/2) = 2e-4 is the last half octave below 2.5e-4; the step is the 13th after its context */
    static const char *const names[] = {"error=loc, own, share from 2.0e-04",
                                        "error=mean, prefill, breach",
                                        "drift=9-16, share from 2.0e-04",
                                        "drift=0, breach",
                                        "counter=replays, 5-8",
                                        NULL};
    assert_names(names);
    ck_assert_uint_eq(family(OD_FEATURE_ERROR), 2);
    v.evidence = NULL;
    n = od_features_of(id, OD_FEATURES_OF_CASE, &c, &v);
    ck_assert_uint_eq(family(OD_FEATURE_ERROR), 0);
}
END_TEST

START_TEST(classes_part_at_the_edges) {
    for (size_t tile = 4; tile <= 4096; tile *= 2) {
        const size_t at[] = {tile - 2, tile - 1, tile, tile + 1, tile + 2};
        for (int i = 1; i < 5; i++) {
            if (tile == 4 && i == 1) continue; /* 2 and 3 have classes of their own as well */
            ck_assert_uint_eq(od_edge_class(at[i]), od_edge_class(at[i - 1]) + 1);
        }
        if (tile > 4) ck_assert_uint_eq(od_edge_class(tile + 2), od_edge_class(2 * tile - 2));
    }
    ck_assert_uint_eq(od_edge_class(3), 2);
    const size_t tops[] = {0, 1, 2, 4, 8, 16, 32};
    for (unsigned i = 0; i < 7; i++) {
        ck_assert_uint_eq(od_count_class(tops[i]), i);
        ck_assert_uint_eq(od_count_class(tops[i] + 1), i + 1);
    }
    ck_assert_uint_eq(od_share_class(0), 0);
    ck_assert_uint_eq(od_share_class(0.99e-4), 0);
    ck_assert_uint_eq(od_share_class(1.01e-4), 1);
    ck_assert_uint_eq(od_share_class(1.42e-4), 2);
    ck_assert_uint_eq(od_share_class(1), OD_SHARE_CLASSES - 2);
    ck_assert_uint_eq(od_share_class(nextafter(1, 2)), OD_SHARE_CLASSES - 1);
    ck_assert_uint_eq(od_share_class(NAN), OD_SHARE_CLASSES - 1);
    for (int i = 0; i < 20; i++) { /* powers of 3/2 are more than half an octave apart */
        const double share = 1.01e-4 * pow(1.5, i);
        ck_assert_uint_gt(od_share_class(share * 1.5), od_share_class(share));
    }
}
END_TEST

START_TEST(each_number_has_one_name_and_each_name_one_number) {
    static char name[OD_FEATURES][OD_FEATURE_NAME];
    unsigned named = 0;
    for (unsigned i = 0; i < OD_FEATURES; i++) {
        od_feature_name(name[i], OD_FEATURE_NAME, i);
        const bool is_one = od_feature_family_of(i) < OD_FEATURE_FAMILIES;
        ck_assert_int_eq(is_one, name[i][0] != '\0');
        ck_assert(is_one || !od_feature_is_reachable(i));
        ck_assert_msg(strchr(name[i], '?') == NULL && strlen(name[i]) < OD_FEATURE_NAME - 1, "%s", name[i]);
        named += is_one;
        for (unsigned k = 0; is_one && k < i; k++) ck_assert_str_ne(name[i], name[k]);
    }
    ck_assert_uint_gt(named, 1000);
}
END_TEST

START_TEST(no_generated_case_has_what_is_said_to_be_out_of_reach) {
    static bool seen[OD_FEATURES];
    char text[OD_FEATURE_NAME];
    unsigned n_seen = 0;
    for (uint64_t i = 0; i < 600; i++) {
        od_case_generate(&c, 1, i, i % 4 ? OD_PROFILE_DEFAULT : OD_PROFILE_RATE);
        if (i % 2) od_case_mutate(&c, i);
        n = od_features_of(id, OD_FEATURES_OF_CASE, &c, NULL);
        for (size_t k = 0; k < n; k++) {
            ck_assert_msg(od_feature_is_reachable(id[k]), "case %llu: %s", (unsigned long long)i,
                          od_feature_name(text, sizeof text, id[k]));
            n_seen += !seen[id[k]];
            seen[id[k]] = true;
        }
    }
    ck_assert_uint_gt(n_seen, 400);
}
END_TEST

START_TEST(what_does_not_fit_is_left_out) {
    uint16_t few[3] = {0, 0, 7};
    ck_assert_uint_eq(od_features_of(few, 2, &c, NULL), 2);
    ck_assert_uint_eq(few[2], 7);
}
END_TEST

Suite *suite_features(void) {
    Suite *s = suite_create("features");
    TCase *t = tcase_create("features");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_case_has_the_features_that_it_was_written_for);
    tcase_add_test(t, answers_show_as_classes_of_the_contract_where_they_stood);
    tcase_add_test(t, classes_part_at_the_edges);
    tcase_add_test(t, each_number_has_one_name_and_each_name_one_number);
    tcase_add_test(t, no_generated_case_has_what_is_said_to_be_out_of_reach);
    tcase_add_test(t, what_does_not_fit_is_left_out);
    suite_add_tcase(s, t);
    return s;
}
