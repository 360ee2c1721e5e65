/* The domain in which engines must agree, where it is known by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/case_internal.h"
#include "model/suites.h"

static od_case plain(enum od_generator g, enum od_scaler scaler) {
    od_case c;
    od_case_init(&c);
    c.preset[0] = 0;
    c.config.scaler = scaler;
    c.generator = g;
    c.op[c.n_op++] = (od_op){.kind = OD_OP_PREFILL, .steps = 32};
    return c;
}

START_TEST(the_domain_is_where_scaled_values_are_modest) {
    od_case c = plain(OD_GEN_LARGE, OD_SCALER_STD_MEAN);
    c.batch = c.config.patch = c.variates = 16; /* 4096 values a forecast */
    ck_assert(od_case_in_domain(&c));
    c.left_padding = 16; /* (0 - 1e6)/1e4 = -100 in a whole patch */
    ck_assert(!od_case_in_domain(&c));
    c.left_padding = 0;
    c.op[0].steps = 31; /* so is the step that fills the first patch */
    ck_assert(!od_case_in_domain(&c));
}
END_TEST

/* The last place of 1e6 is 1/16: in units of 1e4, 6.25e-6. Of 4 values one that falls the other way is a mean error of
 * 1.6e-6; of 4096, 655 must. A constant near 5 has 4.8e-7, in units of sqrt(1e-3) 1.5e-5; one near 0.1 has 7.5e-9. */
START_TEST(the_domain_is_where_last_places_are_small_or_many) {
    od_case c = plain(OD_GEN_LARGE, OD_SCALER_STD_MEAN);
    ck_assert(!od_case_in_domain(&c));
    c.batch = c.config.patch = c.variates = 16;
    ck_assert(od_case_in_domain(&c));
    c = plain(OD_GEN_CONSTANT, OD_SCALER_STD_MEAN);
    ck_assert(!od_case_in_domain(&c));
    c.scale = 0.02;
    ck_assert(od_case_in_domain(&c));
}
END_TEST

/* As above, 4096 rows of 1e6 in units of some 1e4: of so many strangers few fall the other way. Scaled contexts of two
 * and three steps are no strangers. */
START_TEST(rows_of_few_steps_are_alike) {
    od_case c = plain(OD_GEN_LARGE, OD_SCALER_STD_MEAN);
    c.batch = 32;
    c.variates = 128;
    c.config.patch = 1;
    for (unsigned steps = 2; steps <= 8; steps++) {
        c.op[0].steps = steps;
        ck_assert_msg(od_case_in_domain(&c) == (steps >= 4), "%u steps", steps);
    }
    c.op[0].steps = 3; /* the forecast behind them is the one that matters */
    c.op[c.n_op++] = (od_op){.kind = OD_OP_DECODE, .patches = 5};
    ck_assert(!od_case_in_domain(&c));
    c = plain(OD_GEN_NORMAL, OD_SCALER_STD_MEAN); /* near 0 their last places do no harm */
    c.config.patch = 1;
    c.op[0].steps = 3;
    ck_assert(od_case_in_domain(&c));
}
END_TEST

START_TEST(free_running_needs_a_context_and_modest_weights) {
    od_case c = plain(OD_GEN_NORMAL, OD_SCALER_CAUSAL_STD_MEAN);
    c.scale = 0.25; /* the scale hardly moves from sqrt(0.1) */
    c.op[0].steps = 4;
    c.op[c.n_op++] = (od_op){.kind = OD_OP_DECODE, .patches = 2};
    ck_assert(od_case_in_domain(&c));
    c.op[1].own = true; /* four steps make a loc that own values move */
    ck_assert(!od_case_in_domain(&c));
    c.op[0].steps = 32;
    ck_assert(od_case_in_domain(&c));
    c.op[1].patches = 9;
    ck_assert(!od_case_in_domain(&c));
    c.op[1].own = false;
    ck_assert(od_case_in_domain(&c));
}
END_TEST

START_TEST(narrow_models_that_run_freely_need_many_values) {
    od_case c = plain(OD_GEN_NORMAL, OD_SCALER_STD_MEAN);
    c.config.d_model = 8;
    c.config.patch = 5;
    c.op[c.n_op++] = (od_op){.kind = OD_OP_DECODE, .patches = 2, .own = true};
    for (c.variates = 1; c.variates <= 6; c.variates++) /* 16 values or more from four variates on */
        ck_assert_msg(od_case_in_domain(&c) == (c.variates >= 4), "%zu variates", (size_t)c.variates);
    c.variates = 3;
    c.op[1].patches = 1;
    ck_assert(od_case_in_domain(&c));
    c.op[1].patches = 2;
    c.config.d_model = 32;
    ck_assert(od_case_in_domain(&c));
}
END_TEST

START_TEST(wide_weights_need_few_layers_and_many_values) {
    od_case c = plain(OD_GEN_NORMAL, OD_SCALER_STD_MEAN); /* six layers */
    c.batch = 4;
    ck_assert(od_case_in_domain(&c));
    c.gain = 1.25;
    ck_assert(!od_case_in_domain(&c));
    c.config.n_layer = 2;
    c.config.space_every = 2;
    ck_assert(od_case_in_domain(&c));
    c.batch = 3;
    ck_assert(!od_case_in_domain(&c));
    c.batch = 4;
    c.gain = 1.3;
    ck_assert(!od_case_in_domain(&c));
    c.gain = 1;
    c.options.tf32 = true;
    ck_assert(!od_case_in_domain(&c));
}
END_TEST

Suite *suite_domain(void) {
    Suite *s = suite_create("domain");
    TCase *t = tcase_create("domain");
    tcase_add_test(t, the_domain_is_where_scaled_values_are_modest);
    tcase_add_test(t, the_domain_is_where_last_places_are_small_or_many);
    tcase_add_test(t, rows_of_few_steps_are_alike);
    tcase_add_test(t, free_running_needs_a_context_and_modest_weights);
    tcase_add_test(t, narrow_models_that_run_freely_need_many_values);
    tcase_add_test(t, wide_weights_need_few_layers_and_many_values);
    suite_add_tcase(s, t);
    return s;
}
