/* The moves of shrinking, one by one: each makes a legal case smaller and nothing else. */
#include <string.h>

#include "oracles/shrink.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;

static void setup(void) {
    fake_large_case(&c);
}

static bool make(od_case *to, const od_case *from, const od_shrink_move *move, unsigned k) {
    *to = *from;
    return move->make(to, k);
}

static const od_shrink_move *find_move(const char *name) {
    for (unsigned i = 0; od_shrink_move_at(i); i++)
        if (strcmp(od_shrink_move_at(i)->name, name) == 0) return od_shrink_move_at(i);
    ck_abort_msg("no move is called %s", name);
}

/* Whatever a case looks like: moves come to an end, most of what they make is legal, and none makes it larger. */
START_TEST(moves_end_and_never_make_a_case_larger) {
    unsigned legal = 0, all = 0;
    for (uint64_t i = 0; i < 60; i++) {
        static od_case from, to;
        od_case_generate(&from, 11, i, OD_PROFILE_DEFAULT);
        od_shrink_size a = od_shrink_measure(&from);
        for (unsigned m = 0; od_shrink_move_at(m); m++) {
            unsigned k = 0;
            for (; make(&to, &from, od_shrink_move_at(m), k); k++) {
                ck_assert_msg(k < 2000, "%s does not end", od_shrink_move_at(m)->name);
                all++;
                if (od_case_check(&to, NULL) != OD_OK) continue;
                legal++;
                od_shrink_size b = od_shrink_measure(&to);
                ck_assert_msg(b.entries <= a.entries && b.sessions <= a.sessions && b.batch <= a.batch &&
                                  b.variates <= a.variates && b.layers <= a.layers && b.width <= a.width &&
                                  b.space <= a.space && b.time <= a.time && to.config.d_mlp <= from.config.d_mlp,
                              "%s %u of case %u", od_shrink_move_at(m)->name, k, (unsigned)i);
            }
        }
    }
    ck_assert_uint_gt(legal, 60 * 20);
    ck_assert_uint_gt(2 * legal, all);
}
END_TEST

/* A session that goes on as another one, a life whose reset goes, decodes without their prefill. */
START_TEST(schedules_stay_legal_however_they_are_cut) {
    static od_case to;
    unsigned legal = 0, all = 0;
    for (unsigned m = 0; m < 2; m++) {
        const od_shrink_move *move = find_move(m ? "sessions" : "schedule");
        for (unsigned k = 0; make(&to, &c, move, k); k++) {
            all++;
            legal += od_case_check(&to, NULL) == OD_OK;
        }
    }
    ck_assert_uint_eq(legal, all);
    ck_assert_uint_gt(all, 20);
}
END_TEST

START_TEST(joined_decodes_keep_their_patches) {
    static od_case to;
    const od_shrink_move *move = find_move("entries");
    for (unsigned k = 0; make(&to, &c, move, k); k++) {
        unsigned before = 0, after = 0;
        for (unsigned i = 0; i < c.n_op; i++) before += c.op[i].patches;
        for (unsigned i = 0; i < to.n_op; i++) after += to.op[i].patches;
        ck_assert_uint_eq(before, after);
    }
    ck_assert(make(&to, &c, move, 0));
    ck_assert_uint_eq(to.n_op, c.n_op - 1);
    ck_assert_uint_eq(to.op[3].patches, 7);
}
END_TEST

START_TEST(a_variate_leaves_with_its_group_and_column) {
    static od_case to;
    const od_shrink_move *move = find_move("variates");
    bool first = false, last = false;
    c.padded_variate = 4;
    c.generator = OD_GEN_CSV;
    c.n_column = 7;
    for (int i = 0; i < 7; i++) {
        c.group[i] = 10 + i;
        c.column[i][0] = (char)('a' + i);
    }
    for (unsigned k = 0; make(&to, &c, move, k); k++) {
        ck_assert(to.variates < 7 && to.n_group == to.variates && to.n_column == to.variates);
        for (unsigned i = 0; i < to.variates; i++) ck_assert_int_eq(to.group[i] - 10, to.column[i][0] - 'a');
        ck_assert_int_lt(to.padded_variate, (int)to.variates);
        if (to.variates < 6) continue;
        first = first || to.group[0] == 11;
        last = last || to.group[5] == 15;
        if (to.group[4] == 15) ck_assert_int_eq(to.padded_variate, to.group[3] == 14 ? 3 : 4);
    }
    ck_assert(first && last);
}
END_TEST

START_TEST(every_switch_is_turned_alone) {
    static od_case to;
    char was[64], is[64];
    unsigned turned = 0;
    c.options = (od_options){.graph = true,
                             .cache = OD_CACHE_FIXED,
                             .fused = true,
                             .autotune = true,
                             .tf32 = true,
                             .threads = 3,
                             .streams = 4,
                             .captures = 5,
                             .order = 6};
    for (unsigned k = 0; make(&to, &c, find_move("switches"), k); k++) {
        unsigned n = 0, which = 0;
        for (unsigned i = 0; od_options_name(i); i++) {
            od_options_value(&c.options, i, was, sizeof was);
            od_options_value(&to.options, i, is, sizeof is);
            if (strcmp(was, is) == 0) continue;
            n++;
            which = i;
        }
        if (n == 1) turned |= 1u << which;
    }
    for (unsigned i = 0; od_options_name(i); i++) ck_assert_msg(turned >> i & 1, "%s", od_options_name(i));
}
END_TEST

START_TEST(weights_from_a_folder_are_left_alone) {
    static od_case to;
    strcpy(c.model_folder, "folder");
    c.preset[0] = 0;
    c.weight_seed = 70;
    for (unsigned m = 0; od_shrink_move_at(m); m++)
        for (unsigned k = 0; make(&to, &c, od_shrink_move_at(m), k); k++) {
            ck_assert_msg(to.config.d_model == c.config.d_model && to.config.n_layer == c.config.n_layer &&
                              to.config.patch == c.config.patch && to.config.scaler == c.config.scaler &&
                              to.config.n_component == c.config.n_component && to.weight_seed == c.weight_seed,
                          "%s %u", od_shrink_move_at(m)->name, k);
        }
}
END_TEST

Suite *suite_shrink_moves(void) {
    Suite *s = suite_create("shrink moves");
    TCase *t = tcase_create("shrink moves");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, moves_end_and_never_make_a_case_larger);
    tcase_add_test(t, schedules_stay_legal_however_they_are_cut);
    tcase_add_test(t, joined_decodes_keep_their_patches);
    tcase_add_test(t, a_variate_leaves_with_its_group_and_column);
    tcase_add_test(t, every_switch_is_turned_alone);
    tcase_add_test(t, weights_from_a_folder_are_left_alone);
    suite_add_tcase(s, t);
    return s;
}
