/* Baselines: what is kept, what counts as changed, and what is no baseline. */
#include "oracles/baseline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/file.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static char dir[] = "/tmp/od-baseline-XXXXXX";
static od_case c;
static od_script script;
static od_trace trace;
static od_baseline kept, b;
static od_changes sum;
static od_error err;

static void save(void) {
    ck_assert_msg(!od_baseline_play(&trace, fake_fast(), &script, &err), "%s", err.text);
    ck_assert_msg(!od_baseline_keep(&kept, dir, "one", &c, &trace, &err), "%s", err.text);
    for (int i = 0; i < OD_ORIGIN_FACTS; i++) snprintf(kept.place.fact[i], OD_BASELINE_TEXT, "fact \"%d\"", i);
    ck_assert_msg(!od_baseline_write(&kept, dir, &err), "%s", err.text);
    ck_assert_msg(!od_baseline_read(&b, dir, &err), "%s", err.text);
}

static void setup(void) {
    snprintf(dir, sizeof dir, "/tmp/od-baseline-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    fake_reset();
    fake_case(&c);
    ck_assert_msg(!od_script_create(&script, &c, &err), "%s", err.text);
    sum = (od_changes){0};
    save();
}

static void remove_file(const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static void teardown(void) {
    char name[OD_CASE_PATH + 20];
    for (size_t i = 0; i < kept.n; i++) {
        snprintf(name, sizeof name, "%s.json", kept.item[i].file);
        remove_file(name);
        snprintf(name, sizeof name, "%s.safetensors", kept.item[i].file);
        remove_file(name);
    }
    remove_file("baseline.json");
    rmdir(dir);
    od_baseline_free(&kept);
    od_baseline_free(&b);
    od_trace_free(&trace);
    od_script_destroy(&script);
}

static void check(void) {
    sum = (od_changes){0};
    ck_assert_msg(!od_baseline_play(&trace, fake_fast(), &script, &err), "%s", err.text);
    ck_assert_msg(!od_baseline_compare(&sum, dir, &b.item[0], &c, &trace, &err), "%s", err.text);
}

static void lie(enum fake_lie kind, int tensor, int call, double add) {
    fake_reset();
    fake_fast_knobs.lie = kind;
    fake_fast_knobs.tensor = tensor;
    fake_fast_knobs.call = call;
    fake_fast_knobs.element = 3;
    fake_fast_knobs.add = add;
}

START_TEST(the_list_comes_back_as_it_was_written) {
    ck_assert_uint_eq(b.n, 1);
    ck_assert_str_eq(b.item[0].file, kept.item[0].file);
    ck_assert_uint_eq(b.item[0].digest, kept.item[0].digest);
    ck_assert_uint_eq(b.item[0].n_tensor, trace.n_tensor);
    for (int i = 0; i < OD_ORIGIN_FACTS; i++) ck_assert_str_eq(b.place.fact[i], kept.place.fact[i]);
    static od_case again;
    char path[600];
    snprintf(path, sizeof path, "%s/%s.json", dir, b.item[0].file);
    ck_assert_msg(!od_case_read(&again, path, &err), "%s", err.text);
    ck_assert_uint_eq(od_case_hash(&again), od_case_hash(&c));
    ck_assert_int_eq(od_baseline_keep(&kept, dir, "one", &c, &trace, &err), OD_BAD_INPUT); /* twice */
}
END_TEST

START_TEST(the_same_answers_have_changed_nothing) {
    check();
    ck_assert_uint_eq(sum.n, trace.n_tensor);
    ck_assert_uint_eq(sum.changed, 0);
    ck_assert_uint_eq(sum.bad, 0);
    ck_assert_str_eq(sum.structure, "");
}
END_TEST

/* loc (1) of call 2: within the contract, at its edge of a single value, beyond it; and no number. */
START_TEST(other_bits_are_counted_and_held_to_the_contract) {
    const struct {
        enum fake_lie kind;
        double add;
        bool bad;
    } table[] = {
        {FAKE_ADD, 1e-6, false}, {FAKE_ADD, 4e-5, true}, {FAKE_ADD, 1, true}, {FAKE_NAN, 0, true}, {FAKE_INF, 0, true}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        lie(table[i].kind, 1, 2, table[i].add);
        check();
        ck_assert_uint_eq(sum.changed, 1);
        ck_assert_uint_eq(sum.of[OD_TENSOR_LOC].changed, 1);
        ck_assert_uint_eq(sum.bad, table[i].bad);
        ck_assert_uint_eq(sum.of[OD_TENSOR_LOC].worst.worst, 3);
        ck_assert_str_eq(sum.of[OD_TENSOR_LOC].name, "1.1.loc");
        ck_assert(isinf(sum.of[OD_TENSOR_LOC].share) == (table[i].kind != FAKE_ADD));
    }
}
END_TEST

/* The mean is in data space, and the fake engine's scale is 2. */
START_TEST(data_space_is_divided_by_the_baselines_scale) {
    lie(FAKE_ADD, 3, 0, 0.5);
    check();
    ck_assert_double_eq_tol(sum.of[OD_TENSOR_MEAN].worst.max_abs, 0.25, 1e-6);
    lie(FAKE_ADD, 1, 0, 0.5);
    check();
    ck_assert_double_eq_tol(sum.of[OD_TENSOR_LOC].worst.max_abs, 0.5, 1e-6);
}
END_TEST

START_TEST(what_is_missing_new_or_misshapen_is_named) {
    lie(FAKE_MISSING, 0, 0, 0);
    check();
    ck_assert_msg(strstr(sum.structure, "missing") != NULL, "%s", sum.structure);
    ck_assert_uint_eq(sum.bad, 0);
    ck_assert(!od_changes_hold(&sum));
    lie(FAKE_SHAPE, 1, 1, 0);
    check();
    ck_assert_msg(strstr(sum.structure, "1.0.loc") && strstr(sum.structure, "shape"), "%s", sum.structure);
    teardown();
    lie(FAKE_MISSING, 0, 0, 0);
    snprintf(dir, sizeof dir, "/tmp/od-baseline-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert(!od_script_create(&script, &c, &err));
    save();
    fake_reset();
    check();
    ck_assert_msg(strstr(sum.structure, "0.0.df") && strstr(sum.structure, "new"), "%s", sum.structure);
}
END_TEST

/* At a gain above 1.25 what follows an own patch is reported and not judged. */
START_TEST(what_breaks_the_contract_counts_only_where_it_holds) {
    lie(FAKE_ADD, 1, 3, 1); /* the own patch */
    check();
    ck_assert_uint_eq(sum.bad, 1);
    ck_assert(!od_changes_hold(&sum));
    c.gain = 1.5;
    check();
    ck_assert_uint_eq(sum.changed, 1);
    ck_assert_uint_eq(sum.bad, 0);
    ck_assert(od_changes_hold(&sum));
    lie(FAKE_ADD, 1, 2, 1); /* a given one */
    check();
    ck_assert_uint_eq(sum.bad, 1);
    c.gain = 1;
}
END_TEST

START_TEST(names_of_files_are_plain) {
    char file[OD_CASE_PATH];
    char name[400];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(od_baseline_file(file, name, &c, NULL), OD_OK);
    ck_assert_uint_eq(strlen(file), 100 + 17);
    ck_assert_int_eq(od_baseline_file(file, "a b/\xc3\xa9\xff.c-1_2", &c, NULL), OD_OK);
    ck_assert_ptr_eq(strstr(file, "a_b____.c-1_2-"), file);
}
END_TEST

START_TEST(answers_that_were_touched_are_refused) {
    char path[600], *bytes;
    size_t size;
    snprintf(path, sizeof path, "%s/%s.safetensors", dir, b.item[0].file);
    ck_assert(!od_file_read(&bytes, &size, path, 1 << 20, &err));
    bytes[size - 1] ^= 1;
    ck_assert(!od_file_write(path, bytes, size, &err));
    free(bytes);
    ck_assert_int_eq(od_baseline_compare(&sum, dir, &b.item[0], &c, &trace, &err), OD_BAD_INPUT);
    ck_assert_msg(strstr(err.text, "baseline anew") != NULL, "%s", err.text);
}
END_TEST

/* Of a time when neither the card nor its driver was written down. */
START_TEST(an_older_list_is_read) {
    char path[64], place[1200] = "", text[2000];
    for (int i = 0; i < OD_ORIGIN_FACTS; i++)
        if (i != OD_ORIGIN_CARD && i != OD_ORIGIN_DRIVER)
            snprintf(place + strlen(place), sizeof place - strlen(place), "%s\"%s\": \"x\"", i ? ", " : "",
                     od_origin_name(i));
    snprintf(path, sizeof path, "%s/baseline.json", dir);
    snprintf(text, sizeof text, "{\"format\": 1, \"place\": {%s}, \"cases\": []}", place);
    ck_assert(!od_file_write(path, text, strlen(text), &err));
    od_baseline_free(&b);
    ck_assert_msg(!od_baseline_read(&b, dir, &err), "%s", err.text);
    ck_assert_str_eq(b.place.fact[OD_ORIGIN_DRIVER], "not known");
    ck_assert_str_eq(b.place.fact[OD_ORIGIN_CARD], "not known");
    ck_assert_str_eq(b.place.fact[OD_ORIGIN_TOOLKIT], "x");
}
END_TEST

START_TEST(a_list_that_is_wrong_is_refused) {
    char path[64], place[1200] = "";
    static const struct {
        const char *before, *after, *word;
    } bad[] = {
        {"", "[]", "format"},
        {"{\"format\": 2, \"place\": {", "}, \"cases\": []}", "format"},
        {"{\"format\": 1, \"place\": {", "}, \"cases\": {}}", "cases"},
        {"{\"format\": 1, \"place\": {", "}, \"cases\": [1]}", "cases[0]"},
        {"{\"format\": 1, \"place\": {",
         "}, \"cases\": [{\"file\": \"a/b\", \"tensors\": 1, \"xxh64\": \"0123456789abcdef\"}]}", "cases[0].file"},
        {"{\"format\": 1, \"place\": {",
         "}, \"cases\": [{\"file\": \"a\", \"tensors\": -1, \"xxh64\": \"0123456789abcdef\"}]}", "cases[0].tensors"},
        {"{\"format\": 1, \"place\": {", "}, \"cases\": [{\"file\": \"a\", \"tensors\": 1, \"xxh64\": \"0\"}]}",
         "xxh64"},
        {"{\"format\": 1, \"place\": {",
         "}, \"cases\": [{\"file\": \"a\", \"tensors\": 1, \"xxh64\": \"0123456789abcdef\"}, "
         "{\"file\": \"a\", \"tensors\": 1, \"xxh64\": \"0123456789abcdef\"}]}",
         "cases[1].file"},
        {"{\"format\": 1, \"place\": {\"more\": \"x\", ", "}, \"cases\": []}", "more"}};
    for (int i = 0; i < OD_ORIGIN_FACTS; i++)
        snprintf(place + strlen(place), sizeof place - strlen(place), "%s\"%s\": \"x\"", i ? ", " : "",
                 od_origin_name(i));
    snprintf(path, sizeof path, "%s/baseline.json", dir);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[2000];
        snprintf(text, sizeof text, "%s%s%s", bad[i].before, bad[i].before[0] ? place : "", bad[i].after);
        ck_assert(!od_file_write(path, text, strlen(text), &err));
        od_baseline_free(&b);
        ck_assert_int_eq(od_baseline_read(&b, dir, &err), OD_BAD_INPUT);
        ck_assert_msg(strstr(err.text, bad[i].word) && strstr(err.text, path), "%s", err.text);
        ck_assert_ptr_null(b.item);
    }
    unlink(path);
    ck_assert_int_eq(od_baseline_read(&b, dir, &err), OD_BAD_INPUT);
}
END_TEST

Suite *suite_baseline(void) {
    Suite *s = suite_create("baseline");
    TCase *t = tcase_create("baseline");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_list_comes_back_as_it_was_written);
    tcase_add_test(t, the_same_answers_have_changed_nothing);
    tcase_add_test(t, other_bits_are_counted_and_held_to_the_contract);
    tcase_add_test(t, data_space_is_divided_by_the_baselines_scale);
    tcase_add_test(t, what_is_missing_new_or_misshapen_is_named);
    tcase_add_test(t, what_breaks_the_contract_counts_only_where_it_holds);
    tcase_add_test(t, names_of_files_are_plain);
    tcase_add_test(t, answers_that_were_touched_are_refused);
    tcase_add_test(t, an_older_list_is_read);
    tcase_add_test(t, a_list_that_is_wrong_is_refused);
    suite_add_tcase(s, t);
    return s;
}
