/* Series: raw steps with a padding mask and group ids, generated or read from CSV. */
#ifndef OD_MODEL_SERIES_H
#define OD_MODEL_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/status.h"

/* How values come about (x_t before `scale`, after `offset`): */
enum od_generator {
    OD_GEN_NORMAL,   /* N(0,1) */
    OD_GEN_WALK,     /* cumulative sum of N(0,1) */
    OD_GEN_SEASON,   /* 10·sin(2πt/period + phase) + 0.3·N(0,1), period U(5,40) and phase U(0,2π) per series */
    OD_GEN_SPIKE,    /* N(0,1), one step a series 1e4 higher */
    OD_GEN_SPARSE,   /* 0, with probability 0.1 50·N(0,1) */
    OD_GEN_CONSTANT, /* U(-5,5) per series */
    OD_GEN_LARGE,    /* 1e6 + 1e4·N(0,1) */
    OD_GEN_SMALL,    /* 1e-6·N(0,1) */
    OD_GEN_CSV,      /* columns of a file */
    OD_GENERATORS
};

const char *od_generator_name(enum od_generator g); /* "normal", … "csv" */

/* [B, V, n_step] each, row-major; rows are contiguous. */
typedef struct od_series {
    size_t batch, variates, n_step;
    float *value;  /* 0 where mask is 0 */
    uint8_t *mask; /* 1 = a real value (Toto's padding_mask) */
    int32_t *id;   /* group of the variate; variates of unequal ids do not see each other */
} od_series;

enum od_status od_series_alloc(od_series *s, size_t batch, size_t variates, size_t n_step, od_error *e);
void od_series_free(od_series *s); /* a zeroed one is fine */

/* Fills value of row (b, v) from Philox keyed by (seed, XXH64 of "series/<b>/<v>") , draws in order of time, so that a
 * longer series begins with the shorter one. g is not OD_GEN_CSV. The spike of OD_GEN_SPIKE falls on a step within the
 * first 32 (so that it, too, does not depend on n_step). */
void od_series_generate(od_series *s, enum od_generator g, uint64_t seed, double scale);

/* A CSV file: optional lines that begin with '#' (source, licence), a header of column names, then rows of numbers in
 * the C locale. An empty field, NA or nan is a missing value. Strict: as many fields as the header everywhere, no
 * quotes, finite float32 numbers, at most OD_CSV_MAX_COLUMNS columns and OD_CSV_MAX_ROWS rows. A column whose name
 * begins with '@' is a label (date): any text, never a value. */
enum { OD_CSV_MAX_COLUMNS = 256, OD_CSV_MAX_ROWS = 1000000, OD_CSV_MAX_BYTES = 64 * 1024 * 1024 };

typedef struct od_csv {
    size_t n_row, n_column;
    char (*name)[64];
    bool *is_label;
    float *value;  /* [n_column, n_row], 0 where missing */
    uint8_t *mask; /* [n_column, n_row] */
} od_csv;

/* Parses text[0, size). `what` names the source; messages give line and column. On error *csv is empty. */
enum od_status od_csv_parse(od_csv *csv, const char *text, size_t size, const char *what, od_error *e);
void od_csv_free(od_csv *csv);

#endif
