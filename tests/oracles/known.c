/* Known issues: what a list may say, what it matches, and until when. */
#include "oracles/known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracles/judge.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static char path[] = "/tmp/od-known-XXXXXX";
static od_known known;
static od_error err;

static void setup(void) {
    snprintf(path, sizeof path, "/tmp/od-known-XXXXXX");
    const int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
}

static void teardown(void) {
    od_known_free(&known);
    unlink(path);
}

static enum od_status read_text(const char *text, const char *today) {
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    err = (od_error){0};
    od_known_free(&known);
    return od_known_read(&known, path, today, &err);
}

static enum od_status read_issue(const char *signature, const char *expires, const char *today) {
    char text[600];
    snprintf(text, sizeof text,
             "{\"format\": 1, \"issues\": [{\"signature\": \"%s\", \"reason\": \"why\", \"link\": \"corpus/x.json\", "
             "\"expires\": \"%s\"}]}",
             signature, expires);
    return read_text(text, today);
}

START_TEST(an_issue_holds_until_the_end_of_its_day) {
    const struct {
        const char *today;
        bool expired;
    } days[] = {{"2026-02-28", false},
                {"2027-01-30", false},
                {"2027-01-31", false},
                {"2027-02-01", true},
                {"2028-01-01", true}};
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        ck_assert_msg(!read_issue("accuracy/loc/decode/*/*", "2027-01-31", days[i].today), "%s", err.text);
        ck_assert_uint_eq(known.n, 1);
        ck_assert_int_eq(known.issue[0].expired, days[i].expired);
        ck_assert_uint_eq(known.n_expired, days[i].expired);
    }
    ck_assert(!read_issue("accuracy/loc/decode/*/*", "9999-12-31", NULL));
    ck_assert(!known.issue[0].expired);
    ck_assert(!read_issue("accuracy/loc/decode/*/*", "2026-01-01", NULL));
    ck_assert(known.issue[0].expired);
}
END_TEST

START_TEST(a_star_is_any_field_and_nothing_more) {
    const char *const signature = "accuracy/loc/decode/b1.v2-4.s2-4/ref:twin";
    const struct {
        const char *pattern;
        bool same;
    } table[] = {{"accuracy/loc/decode/b1.v2-4.s2-4/ref:twin", true},
                 {"accuracy/loc/decode/*/ref:twin", true},
                 {"*/*/*/*/*", true},
                 {"accuracy/*/decode/*/*", true},
                 {"accuracy/loc/decode/*/ref:gpu", false},
                 {"accuracy/lo/decode/*/ref:twin", false},
                 {"accuracy/loc/own/*/*", false},
                 {"finite/loc/decode/*/*", false},
                 {"accuracy/loc/decode/b1.v2-4.s2-4/ref:twi", false}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        ck_assert_msg(!read_issue(table[i].pattern, "2027-01-31", "2026-01-01"), "%s", err.text);
        ck_assert_msg((od_known_find(&known, signature) != NULL) == table[i].same, "%s", table[i].pattern);
    }
    ck_assert_ptr_null(od_known_find(&known, ""));
    ck_assert_ptr_null(od_known_find(NULL, signature));
}
END_TEST

/* An entry that was given another day stands beside the one that has expired. */
START_TEST(what_holds_comes_before_what_has_expired) {
    ck_assert(
        !read_text("{\"format\": 1, \"issues\": ["
                   "{\"signature\": \"*/*/*/*/*\", \"reason\": \"a\", \"link\": \"b\", \"expires\": \"2026-01-01\"},"
                   "{\"signature\": \"*/*/*/*/*\", \"reason\": \"c\", \"link\": \"d\", \"expires\": \"2027-01-01\"}]}",
                   "2026-06-01"));
    ck_assert_str_eq(od_known_find(&known, "finite/b/c/d/e")->reason, "c");
    ck_assert_uint_eq(known.n_expired, 1);
}
END_TEST

START_TEST(a_list_that_is_wrong_is_refused_by_entry_and_key) {
    static const struct {
        const char *text, *word;
    } bad[] = {
        {"", "line 1"},
        {"[]", "format"},
        {"{\"format\": 2, \"issues\": []}", "format"},
        {"{\"issues\": []}", "format"},
        {"{\"format\": 1}", "issues"},
        {"{\"format\": 1, \"issues\": {}}", "issues"},
        {"{\"format\": 1, \"issues\": [], \"more\": 1}", "more"},
        {"{\"format\": 1, \"format\": 1, \"issues\": []}", "duplicate"},
        {"{\"format\": 1, \"issues\": [3]}", "issues[0]"},
        {"{\"format\": 1, \"issues\": [{\"signature\": \"finite/b/c/d/e\", \"reason\": \"\", \"link\": \"l\", "
         "\"expires\": "
         "\"2027-01-01\"}]}",
         "issues[0].reason"},
        {"{\"format\": 1, \"issues\": [{\"signature\": \"finite/b/c/d/e\", \"reason\": \"r\", \"expires\": "
         "\"2027-01-01\"}]}",
         "issues[0].link"},
        {"{\"format\": 1, \"issues\": [{\"signature\": \"finite/b/c/d/e\", \"reason\": \"r\", \"link\": \"l\"}]}",
         "issues[0].expires"},
        {"{\"format\": 1, \"issues\": [{\"signature\": \"finite/b/c/d/e\", \"reason\": \"r\", \"link\": \"l\", "
         "\"until\": "
         "1, "
         "\"expires\": \"2027-01-01\"}]}",
         "issues[0].until"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(read_text(bad[i].text, "2026-01-01"), OD_BAD_INPUT);
        ck_assert_msg(strstr(err.text, bad[i].word) && strstr(err.text, path), "%s", err.text);
        ck_assert_ptr_null(known.issue);
    }
    static const char *const signatures[] = {
        "nosuch/b/c/d/e", "accuracy/lo*/decode/*/*", "*accuracy/b/c/d/e", "accuracy/b/c/d/**", "a",
        "a/b/c/d",        "finite/b/c/d/e/f",        "a//c/d/e",          "/b/c/d/e",          "a/b/c/d/"};
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        ck_assert_int_eq(read_issue(signatures[i], "2027-01-01", "2026-01-01"), OD_BAD_INPUT);
        ck_assert_msg(strstr(err.text, "issues[0].signature") != NULL, "%s", err.text);
    }
    static const char *const days[] = {"2027-1-1", "2027-02-29", "2027-13-01", "2027-00-10", "2027-04-31",
                                       "27-04-30", "2027-04-00", "2027/04/01", "next week!", "2027-04-01T"};
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        ck_assert_int_eq(read_issue("finite/b/c/d/e", days[i], "2026-01-01"), OD_BAD_INPUT);
        ck_assert_msg(strstr(err.text, "issues[0].expires") != NULL, "%s", err.text);
    }
    ck_assert(!read_issue("finite/b/c/d/e", "2028-02-29", "2026-01-01"));
    unlink(path);
    od_known_free(&known);
    ck_assert_int_eq(od_known_read(&known, path, NULL, &err), OD_BAD_INPUT);
}
END_TEST

/* Another finding of the same case, and what the case itself expects, are none of the list's business. */
START_TEST(a_known_issue_is_known_and_hides_no_other_finding) {
    static od_case c;
    static od_verdict v;
    od_judge judge;
    fake_reset();
    fake_case(&c);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    judge.known = &known;
    fake_fast_knobs.lie = FAKE_ADD;
    fake_fast_knobs.tensor = 1;
    fake_fast_knobs.call = 2;
    fake_fast_knobs.add = 1;
    ck_assert(!read_issue("accuracy/loc/decode/*/ref:fast", "2027-01-31", "2026-12-01"));
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_KNOWN);
    ck_assert_ptr_nonnull(strstr(v.reason, "known until 2027-01-31 (why; corpus/x.json): "));
    ck_assert_str_eq(v.signature, "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast");
    od_tally tally;
    od_tally_init(&tally);
    od_tally_add(&tally, &v, "case");
    ck_assert_int_eq(od_tally_exit(&tally, judge.required, 0), 0);

    snprintf(c.expect, sizeof c.expect, "finite/loc/decode/b1.v2-4.s2-4/ref:fast");
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING); /* the expected one did not come */
    ck_assert_ptr_nonnull(strstr(v.signature, "expect/absent"));

    c.expect[0] = '\0';
    fake_fast_knobs.drift_runs = true;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_ptr_nonnull(strstr(v.signature, "determinism/"));

    fake_fast_knobs.drift_runs = false;
    ck_assert(!read_issue("accuracy/loc/decode/*/ref:fast", "2027-01-31", "2027-02-01"));
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_ptr_nonnull(strstr(v.reason, "known issue, expired on 2027-01-31"));

    fake_reset();
    od_tally_init(&tally);
    tally.expired = known.n_expired; /* though no case meets it */
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_PASS);
    od_tally_add(&tally, &v, "case");
    ck_assert_int_eq(od_tally_exit(&tally, judge.required, 0), 1);
    od_judge_free(&judge);
}
END_TEST

Suite *suite_known(void) {
    Suite *s = suite_create("known");
    TCase *t = tcase_create("known");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_issue_holds_until_the_end_of_its_day);
    tcase_add_test(t, a_star_is_any_field_and_nothing_more);
    tcase_add_test(t, what_holds_comes_before_what_has_expired);
    tcase_add_test(t, a_list_that_is_wrong_is_refused_by_entry_and_key);
    tcase_add_test(t, a_known_issue_is_known_and_hides_no_other_finding);
    suite_add_tcase(s, t);
    return s;
}
