/* What consistency says of its relations: numbers and text of rulings on evidence made by hand (figures.c). */
#include <stdio.h>

#include "oracles/tolerance.h"
#include "tests/oracles/by_hand.h"

/* The first relation that is held to the contract, or bit by bit. */
static unsigned relation(bool contract) {
    unsigned i = 0;
    while (od_relation_at(i)->contract != contract) i++;
    return i;
}

/* It broke in play 2, or was only asked. */
static od_related *related(unsigned i, bool broken) {
    ev.related[i] = (od_related){.asked = true, .compared = 3, .broken = broken, .play = 2, .at = AT};
    ev.related[i].row = 4;
    ev.related[i].index = 6;
    ev.related[i].was = 0.5;
    ev.related[i].is = 0.75;
    strcpy(ev.related[i].name, "loc");
    return &ev.related[i];
}

static void finds_related(unsigned i, double value, double bound, const char *reason) {
    char whole[500];
    snprintf(whole, sizeof whole, "%s: %s", od_relation_at(i)->name, reason);
    finds("consistency", od_relation_at(i)->name, "decode", value, bound, whole);
}

START_TEST(consistency_says_where_bits_differ) {
    const unsigned i = relation(false);
    related(i, true);
    finds_related(i, 0.75, 0.5, "loc at op 3 call 5 session 7 of play 2 differs in row 4: [6] was 0.5, is 0.75");
    ev.related[i].misshapen = true;
    finds_related(i, 0, 0, "loc at op 3 call 5 session 7 of play 2 is missing, too few, or has another shape");
}
END_TEST

START_TEST(consistency_says_by_how_much_the_contract_is_broken) {
    const unsigned i = relation(true);
    od_related *x = related(i, true);
    x->mae = 2e-6;
    x->max_abs = 6e-5;
    finds_related(i, 2e-6, 1e-6,
                  "loc at op 3 call 5 session 7 of play 2: MAE 2e-06 exceeds 1e-06; worst: was 0.5, is 0.75");
    x->mae = 5e-7;
    finds_related(i, 6e-5, 5e-5,
                  "loc at op 3 call 5 session 7 of play 2: a difference of 6e-05 exceeds 5e-05: was 0.5, is 0.75");
    x->mae = 2e-6;
    x->misshapen = true;
    finds_related(i, 0, 0, "loc at op 3 call 5 session 7 of play 2 is missing, too few, or has another shape");
}
END_TEST

/* One step is no series; of more than eight the first eight are shown. */
START_TEST(consistency_shows_the_error_by_decode_step) {
    const unsigned i = relation(true);
    const char *const head = "loc at op 3 call 5 session 7 of play 2: MAE 2e-06 exceeds 1e-06; worst: was 0.5, is 0.75";
    for (size_t n = 1; n <= 10; n++) {
        char reason[400], *end = reason;
        od_related *x = related(i, true);
        x->mae = 2e-6;
        x->n_step = n;
        for (size_t k = 0; k < n; k++) x->step[k].mae = (double)(k + 1) * 1e-6;
        end += sprintf(end, "%s", head);
        for (size_t k = 0; k < n && k < 8 && n > 1; k++)
            end += sprintf(end, "%s%zu.0e-06", k ? " " : "; MAE by decode step: ", k + 1);
        if (n > 8) sprintf(end, " …");
        finds_related(i, 2e-6, 1e-6, reason);
    }
}
END_TEST

/* What was answered at first must be answered now; a lack of memory is nobody's fault. */
START_TEST(consistency_tells_refusals_from_trouble) {
    static const struct {
        enum od_status status;
        enum od_outcome outcome;
    } table[] = {{OD_BAD_INPUT, OD_FINDING}, {OD_DEVICE_FAULT, OD_FINDING}, {OD_CRASHED, OD_FINDING},
                 {OD_HUNG, OD_FINDING},      {OD_NO_MEMORY, OD_ERROR},      {OD_NO_DEVICE, OD_ERROR},
                 {OD_IO, OD_ERROR},          {OD_UNSUPPORTED, OD_ERROR}};
    const unsigned i = relation(false);
    const char *name = od_relation_at(i)->name;
    for (size_t k = 0; k < sizeof table / sizeof table[0]; k++) {
        char reason[200];
        od_related *x = related(i, false);
        x->run = (od_attempt){.ran = true, .status = table[k].status, .at = AT, .error = {.text = "not so"}};
        ck_assert_int_eq(od_related_outcome(x), table[k].outcome);
        if (table[k].outcome == OD_FINDING) {
            snprintf(reason, sizeof reason, "%s: play 2: not so", name);
            finds("consistency", name, "decode", 0, 0, reason);
        } else {
            snprintf(reason, sizeof reason, "%s: not so", name);
            is("consistency", OD_ERROR, reason);
        }
    }
}
END_TEST

START_TEST(consistency_counts_what_holds_and_names_what_is_outside) {
    char reason[200];
    is("consistency", OD_INCONCLUSIVE, "no relation was tried");
    related(1, false);
    is("consistency", OD_PASS, "1 of 1 relations hold");
    strcpy(related(0, false)->outside, "one row");
    snprintf(reason, sizeof reason, "1 of 2 relations hold; outside: %s (one row)", od_relation_at(0)->name);
    is("consistency", OD_PASS, reason);
    strcpy(related(3, false)->outside, "no decode");
    snprintf(reason, sizeof reason, "1 of 3 relations hold; outside: %s (one row), %s (no decode)",
             od_relation_at(0)->name, od_relation_at(3)->name);
    is("consistency", OD_PASS, reason);
    ev.related[1].asked = false;
    snprintf(reason, sizeof reason, "0 of 2 relations hold; outside: %s (one row), %s (no decode)",
             od_relation_at(0)->name, od_relation_at(3)->name);
    is("consistency", OD_SKIPPED, reason);
    related(OD_RELATIONS - 1, false)->compared = 0;
    snprintf(reason, sizeof reason, "%s: nothing was compared", od_relation_at(OD_RELATIONS - 1)->name);
    is("consistency", OD_INCONCLUSIVE, reason);
}
END_TEST

START_TEST(consistency_asks_for_no_length_of_a_reason) {
    char reason[200];
    strcpy(related(2, false)->outside, "x");
    ck_assert_int_eq(od_related_outcome(&ev.related[2]), OD_SKIPPED);
    snprintf(reason, sizeof reason, "0 of 1 relations hold; outside: %s (x)", od_relation_at(2)->name);
    is("consistency", OD_SKIPPED, reason);
}
END_TEST

/* The arbitration stands behind the relations in the evidence. */
START_TEST(consistency_counts_relations_and_nothing_behind_them) {
    memset(&ev.arbitration, 1, sizeof ev.arbitration);
    related(OD_RELATIONS - 1, false);
    is("consistency", OD_PASS, "1 of 1 relations hold");
}
END_TEST

/* The gravest decides, wherever it stands, and of equals the first. */
START_TEST(consistency_is_decided_by_the_first_of_the_gravest) {
    for (unsigned grave = 0; grave < OD_RELATIONS; grave++) {
        for (unsigned i = 0; i < OD_RELATIONS; i++) related(i, i >= grave)->misshapen = true;
        if (grave) ev.related[grave - 1].run = (od_attempt){.ran = true, .status = OD_IO};
        finds_related(grave, 0, 0, "loc at op 3 call 5 session 7 of play 2 is missing, too few, or has another shape");
    }
}
END_TEST

Suite *suite_figures_consistency(void) {
    Suite *s = suite_create("figures of consistency");
    TCase *t = tcase_create("figures of consistency");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, consistency_says_where_bits_differ);
    tcase_add_test(t, consistency_says_by_how_much_the_contract_is_broken);
    tcase_add_test(t, consistency_shows_the_error_by_decode_step);
    tcase_add_test(t, consistency_tells_refusals_from_trouble);
    tcase_add_test(t, consistency_counts_what_holds_and_names_what_is_outside);
    tcase_add_test(t, consistency_asks_for_no_length_of_a_reason);
    tcase_add_test(t, consistency_counts_relations_and_nothing_behind_them);
    tcase_add_test(t, consistency_is_decided_by_the_first_of_the_gravest);
    suite_add_tcase(s, t);
    return s;
}
