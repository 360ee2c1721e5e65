/* The strict CSV reader: what it takes, and that everything else is refused at the right line and column. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/series.h"
#include "model/suites.h"

static enum od_status parse(od_csv *csv, const char *text, od_error *e) {
    return od_csv_parse(csv, text, strlen(text), "x.csv", e);
}

START_TEST(reads_values_labels_and_missing) {
    od_csv csv;
    od_error e;
    const char *text =
        "# source\n# licence\n@date,flow,level\n1871-01,1120,-.5\nanything at all,NA,+2.5e-3\n,nan,\n,1e2,7.\n";
    ck_assert_msg(parse(&csv, text, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(csv.n_row, 4);
    ck_assert_uint_eq(csv.n_column, 3);
    ck_assert_str_eq(csv.name[0], "@date");
    ck_assert_str_eq(csv.name[2], "level");
    ck_assert(csv.is_label[0] && !csv.is_label[1] && !csv.is_label[2]);
    const float flow[4] = {1120, 0, 0, 100}, level[4] = {-0.5f, 0.0025f, 0, 7};
    const uint8_t flow_mask[4] = {1, 0, 0, 1}, level_mask[4] = {1, 1, 0, 1};
    ck_assert_mem_eq(csv.value + 4, flow, sizeof flow);
    ck_assert_mem_eq(csv.value + 8, level, sizeof level);
    ck_assert_mem_eq(csv.mask + 4, flow_mask, 4);
    ck_assert_mem_eq(csv.mask + 8, level_mask, 4);
    od_csv_free(&csv);
}
END_TEST

START_TEST(line_ends_may_be_crlf_and_the_last_may_lack) {
    od_csv csv;
    ck_assert_int_eq(parse(&csv, "a,b\r\n1,2\r\n3,4", NULL), OD_OK);
    ck_assert_uint_eq(csv.n_row, 2);
    ck_assert(csv.value[1] == 3 && csv.value[3] == 4);
    od_csv_free(&csv);
}
END_TEST

/* strtof rounds once from the decimal; by way of a double, 1.00000017881393432617187499 would round twice, to
 * 1.0000002384185791015625. */
START_TEST(numbers_are_rounded_once) {
    od_csv csv;
    ck_assert_int_eq(parse(&csv, "a\n1.00000017881393432617187499\n1e-50\n3.4028235e38\n", NULL), OD_OK);
    ck_assert(csv.value[0] == 1.00000011920928955078125f);
    ck_assert(csv.value[1] == 0 && csv.mask[1] == 1);
    ck_assert(csv.value[2] == 3.40282346638528859811704183484516925440e38f);
    od_csv_free(&csv);
}
END_TEST

static const struct {
    const char *text, *where, *what;
} refused[] = {
    {"", "line 1, column 1", "no header"},
    {"# only a comment\n", "line 2, column 1", "no header"},
    {"a\n", "line 1, column 1", "no rows"},
    {"a,,b\n1,2,3\n", "line 1, column 3", "needs a name"},
    {"a,b,a\n1,2,3\n", "line 1, column 5", "two columns"},
    {"#x\n@a,@b\n1,2\n", "line 2, column 1", "every column is a label"},
    {"a\xc3\x28\"\n1\n", "line 1, column 1", "quotes"},
    {"a,\"b\"\n1,2\n", "line 1, column 3", "quotes"},
    {"a,b\n1\n", "line 2, column 1", "fewer fields"},
    {"a,b,c\n1,2,3\n10,20\n", "line 3, column 4", "fewer fields"},
    {"a,b\n1,2\n1,2,3\n", "line 3, column 5", "more fields"},
    {"a,b\n1,2,\n", "line 2, column 5", "more fields"},
    {"a\n1\n\n2\n", "line 3, column 1", "empty line"},
    {"a,b\n1,2\n1,x\n", "line 3, column 3", "not a number"},
    {"a\n 1\n", "line 2, column 1", "not a number"},
    {"a\n1 \n", "line 2, column 1", "not a number"},
    {"a\n0x10\n", "line 2, column 1", "not a number"},
    {"a\ninf\n", "line 2, column 1", "not a number"},
    {"a\nNaN\n", "line 2, column 1", "not a number"},
    {"a\n1e\n", "line 2, column 1", "not a number"},
    {"a\n1e+\n", "line 2, column 1", "not a number"},
    {"a\n.\n", "line 2, column 1", "not a number"},
    {"a\n--1\n", "line 2, column 1", "not a number"},
    {"a\n1;5\n", "line 2, column 1", "not a number"},
    {"a\n\"1\"\n", "line 2, column 1", "quotes"},
    {"a\n1\n3.5e38\n", "line 3, column 1", "beyond float32"},
    {"a,b\n1,-1e999\n", "line 2, column 3", "beyond float32"},
    {"@l,b\nx\ty,1\n", "line 2, column 1", "control characters"},
};

START_TEST(refuses_at_the_right_place) {
    od_csv csv;
    od_error e = {0};
    ck_assert_int_eq(parse(&csv, refused[_i].text, &e), OD_BAD_INPUT);
    ck_assert_msg(strstr(e.text, refused[_i].where) && strstr(e.text, refused[_i].what) && strstr(e.text, "x.csv"),
                  "'%s' is refused with: %s", refused[_i].text, e.text);
    ck_assert_ptr_null(csv.value);
    ck_assert_uint_eq(csv.n_row, 0);
}
END_TEST

START_TEST(a_nul_byte_is_no_end) {
    od_csv csv;
    od_error e = {0};
    ck_assert_int_eq(od_csv_parse(&csv, "a\n1\0\n", 5, "x.csv", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "line 2, column 1"));
}
END_TEST

/* count copies of part behind head. */
static char *repeat(const char *head, const char *part, size_t count) {
    size_t h = strlen(head), p = strlen(part);
    char *text = malloc(h + p * count + 1);
    memcpy(text, head, h + 1);
    for (size_t i = 0; i < count; i++) memcpy(text + h + i * p, part, p + 1);
    return text;
}

START_TEST(limits_hold) {
    od_csv csv;
    od_error e = {0};
    char *columns = malloc(8192), *p = columns;
    for (int i = 0; i < 257; i++) p += sprintf(p, "%sc%d", i ? "," : "", i);
    strcpy(p, "\n1\n");
    ck_assert_int_eq(parse(&csv, columns, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "more than 256 columns"));
    free(columns);

    char *rows = repeat("a\n", "1\n", OD_CSV_MAX_ROWS + 1);
    ck_assert_int_eq(parse(&csv, rows, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "more than 1000000 rows"));
    rows[strlen(rows) - 2] = 0; /* one row less */
    ck_assert_int_eq(parse(&csv, rows, &e), OD_OK);
    ck_assert_uint_eq(csv.n_row, OD_CSV_MAX_ROWS);
    od_csv_free(&csv);
    free(rows);

    char *name = repeat("", "n", 64);
    ck_assert_int_eq(parse(&csv, name, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "63 bytes"));
    free(name);
    char *digits = repeat("a\n", "1", 128);
    ck_assert_int_eq(parse(&csv, digits, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "127 characters"));
    free(digits);
    ck_assert_int_eq(od_csv_parse(&csv, "a\n1\n", (size_t)OD_CSV_MAX_BYTES + 1, "x.csv", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "64 MiB"));
}
END_TEST

/* Many columns and many short lines must not ask for rows x columns of memory. */
START_TEST(short_rows_ask_for_no_memory) {
    od_csv csv;
    od_error e = {0};
    char head[2048], *p = head;
    for (int i = 0; i < 256; i++) p += sprintf(p, "%sc%d", i ? "," : "", i);
    strcpy(p, "\n");
    char *text = repeat(head, "1\n", 900000);
    ck_assert_int_eq(parse(&csv, text, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "line 2, column 1: fewer fields"));
    free(text);
}
END_TEST

/* A locale with a decimal comma, made here by glibc's localedef: 1.5 stays one and a half. */
START_TEST(a_decimal_comma_changes_nothing) {
    od_csv csv;
    if (!scratch_comma_locale()) {
        fprintf(stderr, "skipped: localedef made no locale with a decimal comma\n");
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "%.1f", 1.5);
    ck_assert_str_eq(text, "1,5"); /* it is in force */
    ck_assert_int_eq(parse(&csv, "a,b\n1.5,2\n", NULL), OD_OK);
    ck_assert(csv.value[0] == 1.5f && csv.value[1] == 2);
    od_csv_free(&csv);
    setlocale(LC_NUMERIC, "C");
}
END_TEST

Suite *suite_csv(void) {
    Suite *s = suite_create("csv");
    TCase *t = tcase_create("csv");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, scratch_setup, scratch_teardown);
    tcase_add_test(t, reads_values_labels_and_missing);
    tcase_add_test(t, line_ends_may_be_crlf_and_the_last_may_lack);
    tcase_add_test(t, numbers_are_rounded_once);
    tcase_add_loop_test(t, refuses_at_the_right_place, 0, (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(t, a_nul_byte_is_no_end);
    tcase_add_test(t, limits_hold);
    tcase_add_test(t, short_rows_ask_for_no_memory);
    tcase_add_test(t, a_decimal_comma_changes_nothing);
    suite_add_tcase(s, t);
    return s;
}
