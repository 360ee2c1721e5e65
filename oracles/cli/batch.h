/* A run of many cases from within: batch_setup.c makes it, batch.c runs it. Commands see cli.h alone. */
#ifndef OD_ORACLES_CLI_BATCH_H
#define OD_ORACLES_CLI_BATCH_H

#include "oracles/cli/cli.h"

enum { OD_BATCH_NOT_CHECKED = 12, OD_BATCH_COMMAND = 4096 };

struct od_batch {
    const od_args *args;
    od_judge judge, again; /* again: buffers for rechecks */
    od_known known;
    od_envelope envelope;
    char envelope_name[OD_CASE_PATH]; /* "" = the contract alone */
    od_verdict verdict;
    od_environment env;
    bool fuzz;
    unsigned named;                                                   /* oracles of --require */
    od_case_file model_config, model_weights;                         /* --model: digests of its files */
    char model_folder[OD_CASE_PATH];                                  /* absolute; "" = none */
    char why[400], command[OD_BATCH_COMMAND], tail[OD_BATCH_COMMAND]; /* tail: the options that reproduce a case */
    char ref_device[160], ref_math[32], fast_device[160], fast_math[32];
    const char *not_checked[OD_BATCH_NOT_CHECKED];
    size_t n_not_checked;
    char not_asked[200], not_related[200];
    FILE *json;
    od_junit junit;
    od_tally tally;
    od_kinds kinds;
    od_table_row *rows;
    size_t n_row, cap_row;
    const od_engine_api *process; /* the fast path, a new process each time; NULL: it could not be started */
    bool has_process;             /* it was tried */
    uint64_t process_every;       /* cases; 0: none */
    char no_process[200];
    double start;
};

#endif
