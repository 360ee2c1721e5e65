/* Reports from result files made by hand: every figure is one that a line holds, and the first line is the verdict. */
#include "oracles/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracles/result.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static char path[] = "/tmp/od-report-XXXXXX";
static FILE *file;

static void setup(void) {
    strcpy(path + sizeof path - 7, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    file = fdopen(fd, "w");
    ck_assert_ptr_nonnull(file);
}

static void teardown(void) {
    if (file) fclose(file);
    unlink(path);
}

static void header(const char *fault) {
    fprintf(file,
            "{\"type\":\"run\",\"format\":1,\"version\":\"0.1.0\",\"command\":\"oracle-diff replay x\",\"time\":"
            "\"2025-12-01T02:00:00Z\",\"pair\":\"ref:twin\",\"why\":\"no GPU\",\"policy\":\"contract\",\"engines\":{"
            "\"ref\":{\"name\":\"ref\",\"device\":\"cpu\",\"math_mode\":\"float32\"},\"fast\":{\"name\":\"twin\","
            "\"device\":\"twin\",\"math_mode\":\"float32\"}},\"environment\":{\"host\":\"h\",\"os\":\"o\",\"cpu\":"
            "\"some | cpu\",\"cores\":3,\"compiler\":\"cc\",\"build\":\"b\"},\"options\":[],\"weights\":\"by case\","
            "\"seed\":null,\"profile\":null,\"fault\":\"%s\",\"oracles\":[\"accuracy\"],\"required\":[],"
            "\"not_checked\":[\"warp-level races\"]}\n",
            fault);
}

/* A case line; oracle/ruling is its second ruling ("" = none), mae the worst tensor's. */
static void line(const char *name, const char *verdict, const char *oracle, const char *ruling, const char *mae) {
    fprintf(file,
            "{\"type\":\"case\",\"case\":\"%s.json\",\"name\":\"%s\",\"note\":\"\",\"hash\":\"00000000000000a7\","
            "\"pair\":\"ref:twin\",\"shape\":\"b1.v1.s1\",\"gain\":1.0,\"weights\":\"random\",\"verdict\":\"%s\","
            "\"signature\":\"\",\"reason\":\"\",\"share\":0.25,\"seconds\":0.5,\"oracles\":[{\"oracle\":\"accuracy\","
            "\"verdict\":\"PASS\",\"signature\":\"\",\"reason\":\"\",\"value\":0,\"bound\":0}",
            name, name, verdict);
    if (oracle[0])
        fprintf(
            file,
            ",{\"oracle\":\"%s\",\"verdict\":\"%s\",\"signature\":\"\",\"reason\":\"\",\"value\":1.25,\"bound\":1.5}",
            oracle, ruling);
    fprintf(
        file,
        "],\"tensors\":[{\"tensor\":\"loc\",\"step\":\"own\",\"contract\":true,\"compared\":8,\"n\":32,\"mae\":1e-9,"
        "\"max_abs\":1e-5,\"share\":0.25,\"most_mae\":%s},{\"tensor\":\"loc\",\"step\":\"own\",\"contract\":"
        "false,\"mae\":9.0,\"most_mae\":9.0}],"
        "\"engines\":{\"fast\":{\"cache_hits\":7,\"replays\":9}},\"finding\":\"\",\"command\":\"oracle-diff run "
        "%s.json\"}\n",
        mae, name);
}

static void summary(void) {
    fprintf(file, "{\"type\":\"summary\",\"cases\":1,\"pass\":1,\"finding\":0,\"known\":0,\"skipped\":0,"
                  "\"inconclusive\":0,\"error\":0,\"compared\":46,\"worst_mae\":{},\"worst_share\":{},\"seconds\":0.1,"
                  "\"interrupted\":false,\"exit\":0}\n");
}

static char *report(void) {
    char *text = NULL;
    const char *paths[] = {path};
    od_error e = {0};
    if (file) fclose(file);
    file = NULL;
    ck_assert_msg(od_report_markdown(&text, paths, 1, &e) == OD_OK, "%s", e.text);
    return text;
}

static void first_line_is(const char *text, const char *expected) {
    size_t n = strcspn(text, "\n");
    ck_assert_msg(strlen(expected) == n && strncmp(text, expected, n) == 0, "%.*s", (int)n, text);
}

START_TEST(the_first_line_counts_verdicts) {
    header("");
    line("a", "PASS", "", "", "1e-7");
    line("b", "SKIPPED", "", "", "1e-7");
    summary();
    char *text = report();
    first_line_is(text, "# Differential test report: PASS 1 of 2 cases; SKIPPED 1");
    ck_assert_ptr_nonnull(strstr(text, "\n- b: ")); /* among what was not checked */
    ck_assert_ptr_null(strstr(text, "\n- a: "));
    free(text);
}
END_TEST

START_TEST(a_finding_stands_in_the_first_line) {
    header("kernel-tail");
    line("a", "PASS", "", "", "1e-7");
    line("b", "FINDING", "", "", "2.5e-6");
    summary();
    char *text = report();
    first_line_is(text, "# Differential test report: FINDING in 1 of 2 cases; PASS 1");
    ck_assert_ptr_nonnull(strstr(text, "Planted fault: kernel-tail"));
    ck_assert_ptr_nonnull(strstr(text, "| b | FINDING | 2.50e-06 |"));
    free(text);
}
END_TEST

START_TEST(a_file_without_a_summary_is_incomplete) {
    header("");
    line("a", "PASS", "", "", "1e-7");
    char *text = report();
    ck_assert_ptr_nonnull(strstr(text, "report: INCOMPLETE"));
    free(text);
}
END_TEST

START_TEST(rows_hold_what_the_lines_hold) {
    header("");
    line("a", "PASS", "", "", "1.25e-7");
    line("b", "PASS", "", "", "null");
    summary();
    char *text = report();
    ck_assert_ptr_nonnull(strstr(text, "| a | PASS | 1.25e-07 | worst loc/own, 25.0 % of the contract | "
                                       "`oracle-diff run a.json` |"));
    ck_assert_ptr_nonnull(strstr(text, "| b | PASS | no number |")); /* never a figure for a NaN */
    ck_assert_ptr_null(strstr(text, "9.00e+00"));                    /* not judged, not shown */
    ck_assert_ptr_nonnull(strstr(text, "| cpu | some \\| cpu |"));
    ck_assert_ptr_nonnull(strstr(text, "- warp-level races"));
    ck_assert_ptr_nonnull(strstr(text, "in 2 of 2 cases the weights are random"));
    free(text);
}
END_TEST

static const char *const eleven[][2] = {{"01-single-forward", "accuracy"},
                                        {"02-autoregressive", "accuracy"},
                                        {"03-length-16", "accuracy"},
                                        {"04-length-32", "accuracy"},
                                        {"05-length-48", "accuracy"},
                                        {"06-length-64", "accuracy"},
                                        {"07-speed", "speed"},
                                        {"08-memory", "memory"},
                                        {"09-kv-cache", "vacuity"},
                                        {"10a-varying", "accuracy"},
                                        {"11-determinism", "determinism"}};

static void validation(int without, const char *speed, const char *verdict_of_11) {
    header("");
    for (int i = 0; i < 11; i++) {
        char name[64];
        if (i == without) continue;
        snprintf(name, sizeof name, "corpus/validation/%s", eleven[i][0]);
        line(name, i == 10 ? verdict_of_11 : "PASS", i == 6 || i == 7 || i == 8 || i == 10 ? eleven[i][1] : "",
             i == 6    ? speed
             : i == 10 ? verdict_of_11
                       : "PASS",
             "1e-7");
    }
    line("corpus/validation/10b-varying", "PASS", "", "", "3e-7");
    summary();
}

START_TEST(the_validation_corpus_gives_eleven_named_rows) {
    validation(-1, "PASS", "PASS");
    char *text = report();
    first_line_is(text, "# Validation report: PASS 11 of 11 tests");
    static const char *const names[] = {"Single Forward Pass",
                                        "Autoregressive (8 steps)",
                                        "Varying Sequence Length (16)",
                                        "Varying Sequence Length (32)",
                                        "Varying Sequence Length (48)",
                                        "Varying Sequence Length (64)",
                                        "Inference Speed",
                                        "Memory Overhead",
                                        "KVCache Implementation",
                                        "No Crashes on Varying Inputs",
                                        "Determinism"};
    for (int i = 0; i < 11; i++) {
        char row[80];
        snprintf(row, sizeof row, "\n| %s | ", names[i]);
        ck_assert_msg(strstr(text, row) != NULL, "%s", names[i]);
    }
    ck_assert_ptr_nonnull(strstr(text, "| PASS | 3.00e-07 | 2 cases, the worst: ")); /* test 10 */
    ck_assert_ptr_nonnull(strstr(text, "7 decode calls on cached keys, 9 graph replays"));
    ck_assert_ptr_nonnull(strstr(text, "peak 1.25 times the plain path's"));
    free(text);
}
END_TEST

START_TEST(a_test_without_a_case_was_not_run) {
    validation(4, "PASS", "PASS");
    char *text = report();
    first_line_is(text, "# Validation report: NOT RUN in 1 of 11 tests; PASS 10");
    free(text);
}
END_TEST

/* --only accuracy: the case of test 11 passes, and says nothing of determinism. */
START_TEST(the_validation_corpus_is_known_however_its_folder_is_spelt) {
    const struct {
        const char *path;
        bool is;
    } table[] = {{"validation/01-a", true},      {"corpus/validation/01-a", true},  {"/x/./validation/01-a", true},
                 {"myvalidation/01-a", false},   {"validation/more/01-a", false},   {"01-a", false},
                 {"corpus/validation/a", false}, {"corpus/validation/12-a", false}, {"/01-a", false},
                 {"validation-2/01-a", false},   {"corpus/validation/00-a", false}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (file) fclose(file);
        file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        header("");
        line(table[i].path, "PASS", "", "", "1e-7");
        summary();
        char *text = report();
        ck_assert_msg((strstr(text, "# Validation report") == text) == table[i].is, "%s", table[i].path);
        free(text);
    }
}
END_TEST

START_TEST(a_test_whose_oracle_was_not_asked_was_not_run) {
    header("");
    line("corpus/validation/11-determinism", "PASS", "", "", "1e-7");
    summary();
    char *text = report();
    ck_assert_ptr_nonnull(strstr(text, "| Determinism | Production Readiness | NOT RUN | 1.00e-07 |"));
    first_line_is(text, "# Validation report: NOT RUN in 11 of 11 tests");
    free(text);
}
END_TEST

START_TEST(a_test_passes_only_with_the_oracle_that_it_is_about) {
    validation(-1, "INCONCLUSIVE", "FINDING");
    char *text = report();
    first_line_is(text, "# Validation report: FINDING in 1 of 11 tests; PASS 9, INCONCLUSIVE 1");
    ck_assert_ptr_nonnull(strstr(text, "| Inference Speed | Performance | INCONCLUSIVE |"));
    free(text);
}
END_TEST

START_TEST(lines_that_are_no_results_are_refused_by_number) {
    static const char *const bad[] = {"{\"type\":\"case\"}\n", "no json\n", "[1]\n", "{\"type\":\"other\"}\n",
                                      "{\"type\":\"run\",\"type\":\"run\"}\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        teardown();
        setup();
        header("");
        line("a", "PASS", "", "", "1e-7");
        fputs(bad[i], file);
        fclose(file);
        file = NULL;
        char *text = NULL;
        const char *paths[] = {path};
        od_error e;
        ck_assert_int_eq(od_report_markdown(&text, paths, 1, &e), OD_BAD_INPUT);
        ck_assert_ptr_null(text);
        ck_assert_ptr_nonnull(strstr(e.text, ":3:"));
    }
}
END_TEST

START_TEST(nothing_makes_no_report) {
    const char *paths[] = {path};
    char *text;
    od_error e;
    ck_assert_int_eq(od_report_markdown(&text, paths, 1, &e), OD_BAD_INPUT); /* an empty file */
    header("");
    fflush(file);
    ck_assert_int_eq(od_report_markdown(&text, paths, 1, &e), OD_BAD_INPUT); /* a header alone */
    ck_assert_int_eq(od_report_markdown(&text, paths, 0, &e), OD_BAD_INPUT);
    line("a", "PASS", "", "", "1e-7");
    fflush(file);
    ck_assert_int_eq(od_report_markdown(&text, paths, 1, &e), OD_OK);
    free(text);
}
END_TEST

/* What result.c writes, report_read.c reads: the two must know the same keys. */
START_TEST(written_results_are_read_back) {
    fake_reset();
    od_case c;
    fake_case(&c);
    od_judge judge;
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    fake_fast_knobs.lie = FAKE_NAN;
    fake_fast_knobs.tensor = 1;
    const char *not_checked[] = {"much"};
    od_run_info run = {.version = "1",
                       .command = "x",
                       .time = "2025-12-01T02:00:00Z",
                       .why = "so",
                       .ref_device = "",
                       .ref_math = "",
                       .fast_device = "",
                       .fast_math = "",
                       .host = "",
                       .os = "",
                       .cpu = "\xff",
                       .compiler = "",
                       .build = "",
                       .weights = "by case",
                       .fault = "",
                       .not_checked = not_checked,
                       .n_not_checked = 1};
    od_case_info info = {.path = "p.json", .name = "p", .finding = "", .command = "run p.json"};
    od_verdict v;
    od_tally t;
    static od_kinds kinds;
    od_error e = {0};
    od_tally_init(&t);
    od_judge_case(&v, &judge, &c);
    od_tally_add(&t, &v, "p");
    od_kinds_add(&kinds, &v, "p");
    ck_assert_int_eq(od_result_run(file, &run, &judge, 0, &e), OD_OK);
    ck_assert_int_eq(od_result_case(file, &info, &c, &v, &e), OD_OK);
    ck_assert_int_eq(od_result_summary(file, &t, &kinds, 1, false, 1, &e), OD_OK);
    char *text = report();
    first_line_is(text, "# Differential test report: FINDING in 1 of 1 cases");
    ck_assert_ptr_nonnull(strstr(text, "| p | FINDING | no number |"));
    ck_assert_ptr_nonnull(strstr(text, "- much"));
    free(text);
    od_judge_free(&judge);
}
END_TEST

Suite *suite_report(void) {
    Suite *s = suite_create("report");
    TCase *t = tcase_create("report");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_first_line_counts_verdicts);
    tcase_add_test(t, a_finding_stands_in_the_first_line);
    tcase_add_test(t, a_file_without_a_summary_is_incomplete);
    tcase_add_test(t, rows_hold_what_the_lines_hold);
    tcase_add_test(t, the_validation_corpus_gives_eleven_named_rows);
    tcase_add_test(t, a_test_without_a_case_was_not_run);
    tcase_add_test(t, the_validation_corpus_is_known_however_its_folder_is_spelt);
    tcase_add_test(t, a_test_whose_oracle_was_not_asked_was_not_run);
    tcase_add_test(t, a_test_passes_only_with_the_oracle_that_it_is_about);
    tcase_add_test(t, lines_that_are_no_results_are_refused_by_number);
    tcase_add_test(t, nothing_makes_no_report);
    tcase_add_test(t, written_results_are_read_back);
    suite_add_tcase(s, t);
    return s;
}
