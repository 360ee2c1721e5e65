/* Findings by kind: what is counted together and what is not. */
#include "oracles/kinds.h"

#include <stdio.h>
#include <string.h>

#include "tests/oracles/suites.h"

static od_kinds kinds;

static void add(enum od_outcome outcome, const char *signature, const char *name) {
    static od_verdict v;
    v.outcome = outcome;
    snprintf(v.signature, sizeof v.signature, "%s", signature);
    od_kinds_add(&kinds, &v, name);
}

static void setup(void) {
    kinds = (od_kinds){0};
}

START_TEST(a_kind_is_a_signature_whatever_its_shape) {
    add(OD_FINDING, "accuracy/df/decode/b1.v1.s2-4/ref:twin", "a");
    add(OD_PASS, "", "b");
    add(OD_KNOWN, "accuracy/df/decode/b1.v1.s2-4/ref:twin", "c");
    add(OD_FINDING, "accuracy/df/own/b1.v1.s2-4/ref:twin", "d");
    add(OD_FINDING, "accuracy/df/decode/b9-16.v1.s1/ref:twin", "e");
    add(OD_FINDING, "accuracy/df/decode/b1.v1.s2-4/ref:gpu", "f");
    add(OD_FINDING, "expect/absent/-/b1.v1.s1/ref:twin", "g");
    static const struct {
        const char *pattern, *first;
        unsigned n;
    } want[] = {{"accuracy/df/decode/*/ref:twin", "a", 2},
                {"accuracy/df/own/*/ref:twin", "d", 1},
                {"accuracy/df/decode/*/ref:gpu", "f", 1},
                {"expect/absent/-/*/ref:twin", "g", 1}};
    ck_assert_uint_eq(kinds.n, 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_str_eq(kinds.kind[i].pattern, want[i].pattern);
        ck_assert_str_eq(kinds.kind[i].first, want[i].first);
        ck_assert_uint_eq(kinds.kind[i].n, want[i].n);
    }
    ck_assert_uint_eq(kinds.more, 0);
    od_verdict v = {.outcome = OD_FINDING, .signature = "accuracy/df/decode/b33-64.v1.s1/ref:twin"};
    ck_assert_uint_eq(od_kinds_count(&kinds, &v), 2);
    strcpy(v.signature, "accuracy/df/prefill/b1.v1.s1/ref:twin");
    ck_assert_uint_eq(od_kinds_count(&kinds, &v), 0);
}
END_TEST

START_TEST(kinds_beyond_the_last_place_are_counted) {
    char signature[64];
    for (int i = 0; i < OD_KINDS + 3; i++) {
        snprintf(signature, sizeof signature, "memory/x%d/-/b1/ref:twin", i);
        add(OD_FINDING, signature, "a");
    }
    add(OD_FINDING, "memory/x0/-/b2/ref:twin", "b");
    ck_assert_uint_eq(kinds.n, OD_KINDS);
    ck_assert_uint_eq(kinds.more, 3);
    ck_assert_uint_eq(kinds.kind[0].n, 2);
    ck_assert_uint_eq(kinds.kind[OD_KINDS - 1].n, 1);
}
END_TEST

Suite *suite_kinds(void) {
    Suite *s = suite_create("kinds");
    TCase *t = tcase_create("kinds");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_kind_is_a_signature_whatever_its_shape);
    tcase_add_test(t, kinds_beyond_the_last_place_are_counted);
    suite_add_tcase(s, t);
    return s;
}
