/* Result files in memory, for the report (report_read.c reads; report*.c write). */
#ifndef OD_ORACLES_REPORT_READ_H
#define OD_ORACLES_REPORT_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "model/status.h"

typedef struct od_result_file {
    const char *path;
    json_t *run, *summary; /* borrowed from lines; summary NULL: the file was cut off */
} od_result_file;

typedef struct od_results {
    json_t *lines; /* array that owns everything */
    size_t n_file, n_case, cap_case;
    od_result_file *file;
    json_t **case_line; /* [n_case] borrowed, in order of the files */
    size_t *case_file;  /* [n_case] index of the header that stands above */
} od_results;

enum od_status od_results_read(od_results *out, const char *const *paths, size_t n, od_error *e);
void od_results_free(od_results *r); /* a zeroed one is fine */

/* Text or number of a key, which od_results_read has checked where it is required; "" and NAN where it is null. */
const char *od_json_text(const json_t *object, const char *key);
double od_json_number(const json_t *object, const char *key);

/* report.c: text inside a table's cell; what would end the cell, the line or begin markup is escaped. */
void od_report_put_cell(FILE *f, const char *s);

/* report_near.c: the distances from float64 as a section, if the results hold any; and do they hold? */
void od_report_put_near(FILE *f, const od_results *r);
bool od_report_is_near(const od_results *r);

/* report_digest.c: which answers of cases that stand in several results have other bits, as a section; nothing where
 * no case does. */
void od_report_put_digests(FILE *f, const od_results *r);

/* report_steps.c: relations that do not hold, by decode step, as a section, if the results hold any. */
void od_report_put_steps(FILE *f, const od_results *r);

/* report_shift.c: the mean shifts as a section, if a run had an envelope; and has no run any? */
void od_report_put_shifts(FILE *f, const od_results *r);
bool od_report_is_steady(const od_results *r);

#endif
