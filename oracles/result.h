/* Results as JSON Lines, by result.schema.json: one header, one line a case, one summary. */
#ifndef OD_ORACLES_RESULT_H
#define OD_ORACLES_RESULT_H

#include <stdio.h>

#include "oracles/judge.h"
#include "oracles/kinds.h"

/* What the header says of a run; texts are borrowed. */
typedef struct od_run_info {
    const char *version, *command, *time; /* time: "2025-12-01T02:00:00Z" */
    const char *why;                      /* why this pair */
    const char *ref_device, *ref_math, *fast_device, *fast_math;
    const char *host, *os, *cpu, *compiler, *build;
    const char *card, *driver, *toolkit; /* GPU and driver as NVML reads them; "" = none */
    unsigned cores;
    const char *weights;  /* "by case", or the folder that every case gets */
    const char *envelope; /* its file, or "built in"; NULL: the contract alone */
    const char *fault;    /* planted fault, "" = none */
    const char *profile;  /* NULL: no fuzzing */
    uint64_t seed;
    size_t n_option, n_not_checked;
    const char *const *option, *const *not_checked;
} od_run_info;

/* What a case's line says beside the verdict. */
typedef struct od_case_info {
    const char *path;    /* its file, or "seed S index I profile P" */
    const char *name;    /* short: the file's stem */
    const char *finding; /* file written for it, "" = none */
    const char *command; /* reproduces it */
} od_case_info;

/* Each writes one line and flushes it, so that an interrupted run leaves whole lines. OD_IO, OD_NO_MEMORY. */
enum od_status od_result_run(FILE *out, const od_run_info *info, const od_judge *j, unsigned named, od_error *e);
enum od_status od_result_case(FILE *out, const od_case_info *info, const od_case *c, const od_verdict *v, od_error *e);
enum od_status od_result_summary(FILE *out, const od_tally *t, const od_kinds *found, double seconds, bool interrupted,
                                 int exit_code, od_error *e);

#endif
