/* The strict CSV of real series (series.h). Two passes over the text: one that counts rows, one that fills. */
#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "faults/fault.h"
#include "model/series.h"

typedef struct reader {
    const char *text, *end, *what;
    size_t line;     /* 1-based, of the line at `at` */
    const char *at;  /* begin of the next line */
    locale_t locale; /* the C locale: the decimal point is a point whatever setlocale says */
    od_error *e;
} reader;

/* One field: text[0, size), first character in column `column` (1-based, bytes) of its line. */
typedef struct field {
    const char *text;
    size_t size, column;
} field;

static enum od_status fail(const reader *r, size_t column, const char *problem) {
    return od_fail(r->e, OD_BAD_INPUT, "%s: line %zu, column %zu: %s", r->what, r->line, column, problem);
}

/* The next line without its end (LF or CRLF); false at the end of the text. */
static bool next_line(reader *r, field *line) {
    if (r->at == r->end) return false;
    const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
    const char *end = stop ? stop : r->end;
    *line = (field){r->at, (size_t)(end - r->at), 1};
    if (stop && line->size && line->text[line->size - 1] == '\r') line->size--;
    r->at = stop ? stop + 1 : r->end;
    r->line++;
    return true;
}

/* Cuts the first field off *rest; false where none is left. The field behind a last comma is an empty one. */
static bool next_field(field *rest, field *out) {
    if (!rest->text) return false;
    const char *comma = memchr(rest->text, ',', rest->size);
    *out = *rest;
    if (!comma) {
        rest->text = NULL;
        return true;
    }
    out->size = (size_t)(comma - rest->text);
    *rest = (field){comma + 1, rest->size - out->size - 1, rest->column + out->size + 1};
    return true;
}

/* Comment lines, then the header's line. */
static enum od_status find_header(reader *r, field *header) {
    do {
        if (!next_line(r, header)) {
            r->line++;
            return fail(r, 1, "no header: a line of column names must come first");
        }
    } while (header->size && header->text[0] == '#');
    return OD_OK;
}

static bool is_plain(const field *f) {
    for (size_t i = 0; i < f->size; i++) {
        unsigned char c = (unsigned char)f->text[i];
        if (c < 0x20 || c == 0x7f || c == '"' || c == '\'') return false;
    }
    return true;
}

static enum od_status count_columns(reader *r, field header, size_t *n_column) {
    size_t n = 0;
    for (field f; next_field(&header, &f);) {
        if (++n > OD_CSV_MAX_COLUMNS) return fail(r, f.column, "more than 256 columns");
        if (!f.size) return fail(r, f.column, "a column needs a name");
        if (f.size > 63) return fail(r, f.column, "a column's name may have at most 63 bytes");
        if (!is_plain(&f)) return fail(r, f.column, "quotes and control characters are not allowed");
    }
    *n_column = n;
    return OD_OK;
}

static enum od_status read_header(reader *r, od_csv *csv, field header) {
    size_t n = 0;
    bool any = false;
    for (field f; next_field(&header, &f); n++) {
        memcpy(csv->name[n], f.text, f.size);
        csv->is_label[n] = f.text[0] == '@';
        any = any || !csv->is_label[n];
        for (size_t i = 0; i < n; i++)
            if (strcmp(csv->name[i], csv->name[n]) == 0) return fail(r, f.column, "two columns have this name");
    }
    return any ? OD_OK : fail(r, 1, "every column is a label (@…): at least one must hold values");
}

/* digits[.digits] or .digits, with a sign and an exponent where wanted: what strtod takes less hex, inf and spaces. */
static bool is_number(const field *f) {
    const char *p = f->text, *end = p + f->size;
    if (p < end && (*p == '+' || *p == '-')) p++;
    size_t digits = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) digits++;
    if (p < end && *p == '.')
        for (p++; p < end && *p >= '0' && *p <= '9'; p++) digits++;
    if (!digits) return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (p == end) return false;
        while (p < end && *p >= '0' && *p <= '9') p++;
    }
    return p == end;
}

static bool is_missing(const field *f) {
    return f->size == 0 || (f->size == 2 && memcmp(f->text, "NA", 2) == 0) ||
           (f->size == 3 && memcmp(f->text, "nan", 3) == 0);
}

static enum od_status read_value(const reader *r, const field *f, float *value, uint8_t *mask) {
    *value = 0;
    *mask = 0;
    if (is_missing(f)) return *mask = OD_FAULT_ON(CSV_MISSING), OD_OK;
    if (!is_number(f)) return fail(r, f->column, "not a number (1.5, -2e3; a missing value is empty, NA or nan)");
    char text[128];
    if (f->size >= sizeof text) return fail(r, f->column, "a number may have at most 127 characters");
    memcpy(text, f->text, f->size);
    text[f->size] = 0;
    *value = strtof_l(text, NULL, r->locale);
    if (!isfinite(*value)) return fail(r, f->column, "the number is beyond float32");
    *mask = 1;
    return OD_OK;
}

static enum od_status read_row(reader *r, od_csv *csv, size_t row, field line) {
    size_t n = 0, column = 1;
    if (!line.size) return fail(r, 1, "an empty line (write NA for a missing value)");
    for (field f; next_field(&line, &f); n++) {
        column = f.column;
        if (n == csv->n_column) return fail(r, column, "more fields than the header names");
        if (!is_plain(&f)) return fail(r, column, "quotes and control characters are not allowed");
        if (csv->is_label[n]) continue;
        size_t at = n * csv->n_row + row;
        if (read_value(r, &f, csv->value + at, csv->mask + at)) return OD_BAD_INPUT;
    }
    return n == csv->n_column ? OD_OK : fail(r, column, "fewer fields than the header names");
}

static enum od_status allocate(od_csv *csv, const reader *r) {
    size_t n = csv->n_row * csv->n_column; /* at most 256e6: no overflow */
    csv->name = calloc(csv->n_column, sizeof *csv->name);
    csv->is_label = calloc(csv->n_column, sizeof *csv->is_label);
    csv->value = calloc(n ? n : 1, sizeof *csv->value);
    csv->mask = calloc(n ? n : 1, sizeof *csv->mask);
    if (csv->name && csv->is_label && csv->value && csv->mask) return OD_OK;
    return od_fail(r->e, OD_NO_MEMORY, "%s: no memory for %zu rows of %zu columns", r->what, csv->n_row, csv->n_column);
}

static enum od_status parse(od_csv *csv, reader *r) {
    field header = {0}, line;
    enum od_status st = find_header(r, &header);
    if (!st) st = count_columns(r, header, &csv->n_column);
    if (st) return st;
    reader body = *r; /* where the rows begin */
    while (next_line(r, &line))
        if (++csv->n_row > OD_CSV_MAX_ROWS) return fail(r, 1, "more than 1000000 rows");
    if (!csv->n_row) return fail(r, 1, "no rows behind the header");
    /* A full row takes a byte a field, so that a short hostile file cannot ask for much. */
    if (csv->n_row > (size_t)(r->end - body.at) / csv->n_column + 1)
        while (next_line(&body, &line))
            if (line.size + 1 < csv->n_column) return fail(&body, 1, "fewer fields than the header names");
    st = allocate(csv, r);
    if (!st) st = read_header(&(reader){.what = r->what, .line = body.line, .e = r->e}, csv, header);
    for (size_t row = 0; !st && next_line(&body, &line); row++) st = read_row(&body, csv, row, line);
    return st;
}

enum od_status od_csv_parse(od_csv *csv, const char *text, size_t size, const char *what, od_error *e) {
    *csv = (od_csv){0};
    if (size > OD_CSV_MAX_BYTES) return od_fail(e, OD_BAD_INPUT, "%s: more than 64 MiB", what);
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!locale) return od_fail(e, OD_NO_MEMORY, "%s: no memory for a locale", what);
    reader r = {.text = text, .end = text + size, .what = what, .at = text, .locale = locale, .e = e};
    enum od_status st = parse(csv, &r);
    freelocale(locale);
    if (st) od_csv_free(csv);
    return st;
}

void od_csv_free(od_csv *csv) {
    free(csv->name);
    free(csv->is_label);
    free(csv->value);
    free(csv->mask);
    *csv = (od_csv){0};
}
