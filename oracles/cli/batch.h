/* A run of many cases from within: batch_setup.c makes it, batch.c runs it. Commands see cli.h alone. */
#ifndef OD_ORACLES_CLI_BATCH_H
#define OD_ORACLES_CLI_BATCH_H

#include <stdatomic.h>

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
    char no_process[200], no_speed[80];
    double start;
};

/* Is the rerun in a fresh process played for the case of that number? */
bool od_batch_in_process(const od_batch *b, size_t number);

/* Tells a judged case: judges a finding again, counts, writes. *v and what it points to are needed until it returns. */
enum od_status od_batch_tell(od_batch *b, od_verdict *v, od_case *c, const char *path, od_error *e);

/* ---- lanes.c ----------------------------------------------------------------------------------------------------- */

/* Judges n cases of a batch that has begun in args->lanes lanes at once and tells them in order, until *stopped.
 * `progress`: a line on stderr for each. The first error ends it. */
enum od_status od_lanes_run(od_batch *b, od_case *cases, const char *const *paths, size_t n, const atomic_int *stopped,
                            bool progress, od_error *e);

#endif
