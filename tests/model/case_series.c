/* The case's series: what its schedule takes from them, and what its masks, ids and seeds make of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/case.h"
#include "model/suites.h"

#define BASE                                                                                                           \
    "{\"format\": 1, \"model\": {\"preset\": \"seed-tiny\"}, \"series\": {\"generator\": \"normal\"}, "                \
    "\"schedule\": [{\"op\": \"prefill\", \"session\": 0, \"steps\": 32}]}"

static enum od_status parse(od_case *c, const char *text, od_error *e) {
    return od_case_parse(c, text, strlen(text), "", e);
}

START_TEST(sessions_limits_and_lengths_follow_the_schedule) {
    od_case c;
    od_error e = {0};
    od_series s;
    ck_assert_int_eq(parse(&c, BASE, NULL), OD_OK); /* P = 4 */
    const od_op ops[] = {
        {.kind = OD_OP_PREFILL, .session = 0, .steps = 10}, /* 3 patches with padding */
        {.kind = OD_OP_PREFILL, .session = 1, .steps = 7},
        {.kind = OD_OP_DECODE, .session = 0, .patches = 2, .own = true},
        {.kind = OD_OP_DECODE, .session = 0, .patches = 3},              /* raw steps 18 … 29 */
        {.kind = OD_OP_DECODE, .session = 0, .patches = 5, .own = true}, /* 3+2+3+5 = 13 patches */
        {.kind = OD_OP_RECAPTURE},
        {.kind = OD_OP_RESET, .session = 0},
        {.kind = OD_OP_PREFILL, .session = 0, .steps = 13},
        {.kind = OD_OP_DECODE, .session = 1, .patches = 1},
    };
    memcpy(c.op, ops, sizeof ops);
    c.n_op = sizeof ops / sizeof ops[0];
    ck_assert_msg(od_case_check(&c, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(od_case_sessions(&c), 2);
    ck_assert_uint_eq(od_case_limit(&c, 0), 52);
    ck_assert_uint_eq(od_case_limit(&c, 1), 12);
    ck_assert_int_eq(od_case_series(&s, &c, 0, &e), OD_OK);
    ck_assert_uint_eq(s.n_step, 30); /* 10 + 2·4 + 3·4: own patches count, those behind the last teacher do not */
    od_series_free(&s);
    ck_assert_int_eq(od_case_series(&s, &c, 1, &e), OD_OK);
    ck_assert_uint_eq(s.n_step, 11);
    od_series_free(&s);
}
END_TEST

START_TEST(masks_and_ids_are_what_the_case_says) {
    od_case c;
    od_series s, plain;
    ck_assert_int_eq(parse(&c, BASE, NULL), OD_OK);
    c.batch = 2;
    c.variates = 3;
    c.op[c.n_op++] = (od_op){.kind = OD_OP_DECODE, .patches = 2};
    ck_assert_int_eq(od_case_series(&plain, &c, 0, NULL), OD_OK);
    c.left_padding = 5;
    c.padded_variate = 1;
    c.n_group = 3;
    c.group[0] = 7, c.group[1] = 0, c.group[2] = 2;
    ck_assert_int_eq(od_case_series(&s, &c, 0, NULL), OD_OK);
    ck_assert_uint_eq(s.n_step, 40);
    for (size_t row = 0; row < 6; row++) {
        size_t v = row % 3, padded = v == 1 ? 32 : 5;
        for (size_t t = 0; t < 40; t++) {
            size_t i = row * 40 + t;
            ck_assert_int_eq(plain.mask[i], 1);
            ck_assert_int_eq(s.mask[i], t >= padded);
            ck_assert(s.value[i] == (t >= padded ? plain.value[i] : 0));
            ck_assert_int_eq(s.id[i], c.group[v]);
            ck_assert_int_eq(plain.id[i], 0);
        }
    }
    od_series_free(&s);
    od_series_free(&plain);
}
END_TEST

START_TEST(missing_steps_have_their_own_stream) {
    od_case c;
    od_series s, plain, longer;
    ck_assert_int_eq(parse(&c, BASE, NULL), OD_OK);
    c.variates = 4;
    c.op[0].steps = 5000;
    ck_assert_int_eq(od_case_series(&plain, &c, 0, NULL), OD_OK);
    c.missing = 0.1;
    ck_assert_int_eq(od_case_series(&s, &c, 0, NULL), OD_OK);
    c.op[0].steps = 6000;
    ck_assert_int_eq(od_case_series(&longer, &c, 0, NULL), OD_OK);
    double missing = 0;
    for (size_t i = 0; i < 20000; i++) {
        missing += !s.mask[i];
        ck_assert(s.value[i] == (s.mask[i] ? plain.value[i] : 0));
    }
    ck_assert_msg(fabs(missing / 20000 - 0.1) <= 5 * sqrt(0.09 / 20000), "%g are missing", missing / 20000);
    for (size_t v = 0; v < 4; v++) ck_assert_mem_eq(s.mask + v * 5000, longer.mask + v * 6000, 5000);
    ck_assert_mem_ne(s.mask, s.mask + 5000, 5000);
    od_series_free(&s);
    od_series_free(&plain);
    od_series_free(&longer);
}
END_TEST

START_TEST(sessions_have_series_of_their_own) {
    od_case c;
    od_series s[4];
    ck_assert_int_eq(parse(&c, BASE, NULL), OD_OK);
    for (unsigned i = 1; i < 4; i++) c.op[c.n_op++] = (od_op){.kind = OD_OP_PREFILL, .session = i, .steps = 32};
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(od_case_series(&s[i], &c, i, NULL), OD_OK);
        for (unsigned j = 0; j < i; j++) ck_assert_mem_ne(s[i].value, s[j].value, 32 * sizeof(float));
    }
    for (unsigned i = 0; i < 4; i++) od_series_free(&s[i]);
}
END_TEST

Suite *suite_case_series(void) {
    Suite *s = suite_create("case series");
    TCase *t = tcase_create("series");
    tcase_add_test(t, sessions_limits_and_lengths_follow_the_schedule);
    tcase_add_test(t, masks_and_ids_are_what_the_case_says);
    tcase_add_test(t, missing_steps_have_their_own_stream);
    tcase_add_test(t, sessions_have_series_of_their_own);
    suite_add_tcase(s, t);
    return s;
}
