/* Proves: whatever stands in a CSV file, it is refused with line and column or becomes exactly the numbers that it
 * holds, whatever the locale.
 *
 * The reader's answer is held against a second reading by other means: lines and fields are cut here, numbers go
 * through strtof. The second parse runs under a decimal comma where the system has such a locale (LOCPATH may name one,
 * "comma"); the first line on stderr says whether. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/bytes.h"
#include "model/series.h"

static const char what[] = "input.csv";
static const char *comma; /* a locale with a decimal comma; NULL: none here */

static void find_locale(void) {
    static const char *const names[] = {"comma", "de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "de_DE", "fr_FR"};
    for (size_t i = 0; !comma && i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_NUMERIC, names[i]) && strcmp(localeconv()->decimal_point, ",") == 0) comma = names[i];
    setlocale(LC_NUMERIC, "C");
    fprintf(stderr, "fuzz_series: %s%s\n", comma ? "parses again under the locale " : "no locale with a decimal comma",
            comma ? comma : "");
}

/* The end of the line that begins at text, without its CR. */
static const char *line_end(const char *text, const char *end, const char **next) {
    const char *stop = memchr(text, '\n', (size_t)(end - text));
    *next = stop ? stop + 1 : end;
    if (stop && stop > text && stop[-1] == '\r') return stop - 1;
    return stop ? stop : end;
}

static void check_cell(const od_csv *csv, size_t column, size_t row, const char *text, size_t size) {
    char number[160], *rest;
    size_t at = column * csv->n_row + row;
    float value = csv->value[at];
    bool missing = csv->is_label[column] || size == 0 || (size == 2 && !memcmp(text, "NA", 2)) ||
                   (size == 3 && !memcmp(text, "nan", 3));
    od_fuzz_claim(csv->mask[at] == !missing, "a mask is 1 where a number stands, else 0", NULL);
    if (missing) {
        od_fuzz_claim(value == 0, "a missing value is 0", NULL);
        return;
    }
    od_fuzz_claim(size < sizeof number && isfinite(value), "a number is short and finite", NULL);
    memcpy(number, text, size);
    number[size] = 0;
    float wanted = strtof(number, &rest);
    od_fuzz_claim(rest == number + size && memcmp(&wanted, &value, sizeof value) == 0, "a value is its field's number",
                  number);
    od_fuzz_claim(strspn(number, "+-.eE0123456789") == size, "a number is decimal", number);
}

/* As many fields as columns; the header's are the names. row: SIZE_MAX for the header. */
static void check_line(const od_csv *csv, size_t row, const char *text, const char *end) {
    size_t n = 0;
    od_fuzz_claim(text < end, "no line is empty", NULL);
    for (;; n++) {
        const char *stop = memchr(text, ',', (size_t)(end - text));
        size_t size = (size_t)((stop ? stop : end) - text);
        od_fuzz_claim(n < csv->n_column, "no row has more fields than the header", NULL);
        if (row == SIZE_MAX)
            od_fuzz_claim(size > 0 && size < 64 && !memcmp(csv->name[n], text, size) && !csv->name[n][size] &&
                              csv->is_label[n] == (text[0] == '@'),
                          "a column's name is the header's", csv->name[n]);
        else
            check_cell(csv, n, row, text, size);
        if (!stop) break;
        text = stop + 1;
    }
    od_fuzz_claim(n + 1 == csv->n_column, "every row has a field for each name", NULL);
}

static void check_csv(const od_csv *csv, const char *text, const char *end) {
    const char *next, *stop = line_end(text, end, &next);
    size_t n_value = 0, row = 0;
    od_fuzz_claim(csv->n_row >= 1 && csv->n_row <= OD_CSV_MAX_ROWS, "there are rows, and not too many", NULL);
    od_fuzz_claim(csv->n_column >= 1 && csv->n_column <= OD_CSV_MAX_COLUMNS, "there are columns, not too many", NULL);
    for (size_t i = 0; i < csv->n_column; i++) {
        n_value += !csv->is_label[i];
        for (size_t j = 0; j < i; j++)
            od_fuzz_claim(strcmp(csv->name[i], csv->name[j]) != 0, "names differ", csv->name[i]);
    }
    od_fuzz_claim(n_value > 0, "at least one column holds values", NULL);
    while (*text == '#') { /* comments; then the header */
        text = next;
        stop = line_end(text, end, &next);
    }
    check_line(csv, SIZE_MAX, text, stop);
    for (text = next; text < end; text = next, row++) {
        stop = line_end(text, end, &next);
        od_fuzz_claim(row < csv->n_row, "no line is left over", NULL);
        check_line(csv, row, text, stop);
    }
    od_fuzz_claim(row == csv->n_row, "every row is a line", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool ready;
    od_csv csv, again;
    od_error e = {0}, f = {0};
    const char *text = (const char *)od_fuzz_guarded(0, data, size);
    if (!ready) find_locale();
    ready = true;
    enum od_status status = od_csv_parse(&csv, text, size, what, &e);
    if (comma) setlocale(LC_NUMERIC, comma);
    enum od_status second = od_csv_parse(&again, text, size, what, &f);
    if (comma) setlocale(LC_NUMERIC, "C");
    od_fuzz_claim(status == second && strcmp(e.text, f.text) == 0, "two parses agree", e.text);
    if (status) {
        od_fuzz_refused(status, &e, what);
        od_fuzz_claim(strncmp(e.text + sizeof what - 1, ": line ", 7) == 0 && strstr(e.text, ", column "),
                      "a refusal says where", e.text);
        od_fuzz_claim(!csv.value && !csv.mask && !csv.name && !csv.n_row, "a refusal leaves nothing", NULL);
        return 0;
    }
    check_csv(&csv, text, text + size);
    od_fuzz_claim(csv.n_row == again.n_row && csv.n_column == again.n_column &&
                      memcmp(csv.value, again.value, csv.n_row * csv.n_column * sizeof(float)) == 0 &&
                      memcmp(csv.mask, again.mask, csv.n_row * csv.n_column) == 0,
                  "two parses give the same values", NULL);
    od_csv_free(&csv);
    od_csv_free(&again);
    return 0;
}
