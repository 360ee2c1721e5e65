/* The command line: what its files share. Here, and only here, the engines have names. */
#ifndef OD_ORACLES_CLI_CLI_H
#define OD_ORACLES_CLI_CLI_H

#include <argp.h>
#include <stdio.h>

#include "oracles/judge.h"
#include "oracles/kinds.h"
#include "oracles/result.h"

/* Exit codes (scripts depend on them). */
enum { OD_EXIT_PASS = 0, OD_EXIT_FINDING = 1, OD_EXIT_USAGE = 2, OD_EXIT_ENVIRONMENT = 3, OD_EXIT_NOTHING = 4 };

enum { OD_ARGS_LIST = 32 };

/* Everything that a command may be told; texts are borrowed from argv. */
typedef struct od_args {
    const char *program; /* as it was called */
    char **argv;
    int argc;
    const char *ref, *fast; /* NULL: by default */
    const char *set[OD_ARGS_LIST], *only[OD_ARGS_LIST], *require[OD_ARGS_LIST];
    size_t n_set, n_only, n_require;
    const char *policy, *envelope, *json, *junit, *out, *model, *known;
    bool quiet, arbiter, weights, isolate;
    double timeout; /* of a worker's calls, seconds */
    bool has_timeout;
    uint64_t process; /* every N-th case also in a fresh process */
    bool has_process;
    uint64_t seed, index, cases;
    bool has_seed, has_index, has_cases, has_seconds;
    double seconds;
    const char *profile;
    const char *engine, *case_path, *xpos; /* forward */
    const char *shard;                     /* replay: "I/N" */
    const char *record;                    /* fuzz: file of the flight recorder */
    bool first;                            /* fuzz: one finding is enough */
    bool relate;                           /* fuzz: a relation a case, in turn */
    uint64_t lanes;                        /* replay: cases judged at once; more than 1 means isolate */
    uint64_t context;
    bool has_context;
    double relative;                                   /* compare; -1: the contract */
    const char *preset, *head, *ref_set[OD_ARGS_LIST]; /* bench */
    size_t n_ref_set;
    uint64_t batch, variates, steps, rollout, pairs;
    bool only_fast;
    uint64_t runs; /* bisect, shrink */
    bool has_runs;
    bool list_oracles, list_engines, list_presets;
    const char **rest;
    size_t n_rest;
} od_args;

typedef struct od_command {
    const char *name, *usage, *about; /* usage: what stands behind the name */
    const struct argp_option *options;
    bool common;                     /* takes the common options as well */
    int (*run)(const od_args *args); /* the exit code */
} od_command;

extern const od_command od_cmd_run, od_cmd_replay, od_cmd_fuzz, od_cmd_new, od_cmd_show, od_cmd_forward, od_cmd_compare,
    od_cmd_report, od_cmd_list, od_cmd_bench, od_cmd_baseline, od_cmd_bisect, od_cmd_shrink, od_cmd_explain,
    od_cmd_calibrate, od_cmd_corpus, od_cmd_worker;

/* Keys of long options. */
/* What --profile takes, for --help. */
#define OD_PROFILES_ABOUT                                                                                              \
    "default, rate (seed-tiny), base (toto-open-base), boundary (sizes at edges), session (long schedules) or mixed "  \
    "(default, boundary, default, session in turn)"

enum od_key {
    OD_KEY_REF = 256,
    OD_KEY_FAST,
    OD_KEY_SET,
    OD_KEY_POLICY,
    OD_KEY_ENVELOPE,
    OD_KEY_ONLY,
    OD_KEY_REQUIRE,
    OD_KEY_JSON,
    OD_KEY_JUNIT,
    OD_KEY_QUIET,
    OD_KEY_OUT,
    OD_KEY_ARBITER,
    OD_KEY_MODEL,
    OD_KEY_KNOWN,
    OD_KEY_WEIGHTS,
    OD_KEY_ISOLATE,
    OD_KEY_TIMEOUT,
    OD_KEY_PROCESS,
    OD_KEY_SEED,
    OD_KEY_INDEX,
    OD_KEY_CASES,
    OD_KEY_SECONDS,
    OD_KEY_PROFILE,
    OD_KEY_ENGINE,
    OD_KEY_CASE,
    OD_KEY_CONTEXT,
    OD_KEY_XPOS,
    OD_KEY_RELATIVE,
    OD_KEY_ORACLES,
    OD_KEY_ENGINES,
    OD_KEY_PRESETS,
    OD_KEY_PRESET,
    OD_KEY_HEAD,
    OD_KEY_REF_SET,
    OD_KEY_ONLY_FAST,
    OD_KEY_BATCH,
    OD_KEY_VARIATES,
    OD_KEY_STEPS,
    OD_KEY_ROLLOUT,
    OD_KEY_PAIRS,
    OD_KEY_SHARD,
    OD_KEY_RECORD,
    OD_KEY_FIRST,
    OD_KEY_RELATE,
    OD_KEY_RUNS,
    OD_KEY_HELP,
    OD_KEY_JOBS = 'j'
};

enum { OD_LANES = 32 }; /* at most */

/* Parses the words behind the command's name. OD_BAD_INPUT with the word; *helped: --help was printed, nothing is to
 * be done. args->rest is malloc'd. */
enum od_status od_args_parse(od_args *args, const od_command *command, int argc, char **argv, bool *helped,
                             od_error *e);

/* "oracle-diff: <text of e>" on stderr; the exit code that belongs to the status. */
int od_complain(const od_error *e);

/* ---- engines.c --------------------------------------------------------------------------------------------------- */

/* Engine i of the list; NULL past the end. */
const od_engine_api *od_cli_engine(size_t i);

/* By name; out may be NULL. OD_BAD_INPUT lists the names. */
enum od_status od_cli_find_engine(const od_engine_api **out, const char *name, od_error *e);

/* The pair that the arguments ask for, ready (probed), and why[size]. OD_NO_DEVICE where one is missing. */
enum od_status od_cli_pair(const od_engine_api **ref, const od_engine_api **fast, char *why, size_t size,
                           const od_args *args, od_error *e);

/* ---- foreign.c --------------------------------------------------------------------------------------------------- */

/* "./x.so", "exec:COMMAND". */
bool od_cli_is_foreign(const char *name);

/* The command of "exec:COMMAND", else NULL. */
const char *od_cli_command(const char *name);

/* Loads a shared object into this process, which it may bring down: workers do. OD_BAD_INPUT says what is wrong. */
enum od_status od_cli_load_engine(const od_engine_api **out, const char *path, od_error *e);

/* The engine of that name in workers (oracles/worker.h): one for all its engines, or with `fresh` one for each. Errors
 * name it. */
enum od_status od_cli_worker(const od_engine_api **out, const char *name, bool fresh, double timeout, od_error *e);

/* Device and math mode that an engine reports, by a small model. Texts are copied. */
enum od_status od_cli_device(char *device, size_t device_size, char *math, size_t math_size, const od_engine_api *api,
                             od_error *e);

/* ---- environment.c ----------------------------------------------------------------------------------------------- */

typedef struct od_environment {
    char host[128], os[160], cpu[128], compiler[128], time[32], line[OD_CASE_TEXT];
    char card[96], driver[64]; /* by od_environment_card */
    const char *build, *fault;
    const char *toolkit; /* CUDA's that this program was built with, "none" */
    unsigned cores;
} od_environment;

void od_environment_fill(od_environment *env);

/* The GPU and its driver's version ("580.159.04") as NVML reads them, "" where there are none. Takes its time. */
void od_environment_card(od_environment *env);

/* One word for a shell, quoted where it must be, appended to text[size]. */
void od_append_word(char *text, size_t size, const char *word);

/* ---- paths.c ----------------------------------------------------------------------------------------------------- */

/* Can a file be written at path, or be a folder made there with those above it? Writes nothing. OD_BAD_INPUT: a folder
 * is missing, or the wrong kind of thing stands there; OD_IO: it may not be written. */
enum od_status od_cli_writable(const char *path, bool folder, od_error *e);

/* A path or a case's name for a terminal: on one line, without control characters. Results have it as it is. */
void od_cli_show(char *out, size_t size, const char *path);

/* A case's name: its file's, without folders and ".json". */
void od_cli_stem(char *out, size_t size, const char *path);

/* ---- batch.c ----------------------------------------------------------------------------------------------------- */

/* Many cases, one run: the engines, the results' outputs, the table, the counts. */
typedef struct od_batch od_batch;

/* Checks the arguments and finds the engines; writes nothing yet. `fuzz`: fuzz's oracles by default, and findings are
 * always written as files. */
enum od_status od_batch_create(od_batch **out, const od_args *args, bool fuzz, od_error *e);

/* Puts --set and --model into a case, and checks it again. */
enum od_status od_batch_prepare(const od_batch *b, od_case *c, od_error *e);

/* Checks that --json, --junit and --out can be written, opens the first and prints the first line. */
enum od_status od_batch_begin(od_batch *b, od_error *e);

/* Judges a prepared case. `path` names it (a file, or "seed S index I profile P"); *c may be changed. */
enum od_status od_batch_case(od_batch *b, od_case *c, const char *path, od_error *e);

const od_tally *od_batch_tally(const od_batch *b);

/* Adds the seconds that drawing the case has taken. */
void od_batch_drawn(od_batch *b, double seconds);

/* The run's judge, and the command that runs a case file as this run does: for commands that judge by themselves. */
od_judge *od_batch_judge(od_batch *b);
void od_batch_command(char *text, size_t size, const od_batch *b, const char *path);

/* Of the last od_batch_case. */
const od_verdict *od_batch_verdict(const od_batch *b);

/* Table, summary, JUnit; the exit code. `interrupted`, where cases were named, is never green: some were not judged. */
int od_batch_end(od_batch *b, bool interrupted);
void od_batch_destroy(od_batch *b); /* NULL is fine */

/* ---- policy.c ---------------------------------------------------------------------------------------------------- */

/* An envelope that is part of the program. */
typedef struct od_built_in {
    const char *text;
    size_t size;
} od_built_in;

extern const od_built_in od_built_in_envelope;

/* What --policy asks for: *out and its name (a file's, or "built in"), or "" for the contract alone. OD_BAD_INPUT: no
 * such policy, an --envelope without it, an envelope that is none or was measured on another pair or math mode. */
enum od_status od_policy_load(od_envelope *out, char *name, size_t size, const od_args *args, const char *pair,
                              const char *ref_math, const char *fast_math, od_error *e);

/* The envelope's part of a summary: cases outside of it, and the mean shifts, all or with `bad_only` the alarms. False
 * where libsmartcols fails. */
bool od_policy_print(const od_tally *t, bool bad_only);

/* ---- output.c ---------------------------------------------------------------------------------------------------- */

/* A line of the run's table; texts are owned by the list. */
typedef struct od_table_row {
    char *name, *verdict, *mae, *share, *where, *notes;
    char *details; /* of a finding: several lines, printed below the table */
    enum od_outcome outcome;
} od_table_row;

/* One row for a judged case; required: oracles whose INCONCLUSIVE is told; finding: the file written for it, "" = none;
 * command: reproduces it. False: there was no memory for a text; the row may be printed and freed. */
bool od_table_row_fill(od_table_row *row, const char *name, const od_verdict *v, unsigned required, const char *finding,
                       const char *command);
void od_table_row_free(od_table_row *row);

/* Prints the kinds of several findings, a line each; nothing where there are fewer than two findings. False on
 * exhausted memory. */
bool od_kinds_print(const od_kinds *kinds);

/* Prints rows and the findings in full; with `bad_only` rows that are neither PASS, KNOWN nor SKIPPED. False where
 * libsmartcols fails. */
bool od_table_print(const od_table_row *rows, size_t n, bool bad_only);

/* How far both engines are from float64, a row a class, and whether that holds; nothing where it was not asked. */
bool od_nearness_print(const od_tally *t);

/* What a run cost beside the engines themselves, in one line. */
void od_spent_print(const od_spent *s);

/* Any table: columns' names, then n_row·n_column cells. The columns whose bit is set in `right` are aligned right. */
bool od_grid_print(const char *const *columns, size_t n_column, unsigned right, const char *const *cells, size_t n_row);

/* ---- junit.c ----------------------------------------------------------------------------------------------------- */

/* A growing JUnit file in memory. */
typedef struct od_junit {
    char *text;
    size_t size;
    FILE *stream;
} od_junit;

bool od_junit_case(od_junit *j, const char *name, const od_verdict *v, const char *command);
enum od_status od_junit_write(od_junit *j, const char *path, const od_tally *t, double seconds, od_error *e);
void od_junit_free(od_junit *j);

/* ---- shared by run and replay (run.c) ---------------------------------------------------------------------------- */

/* Reads and prepares every case first (one bad file: exit 2, nothing is run or written), then judges them. */
int od_run_files(const od_args *args, const char *const *paths, size_t n);

/* ---- replay.c ---------------------------------------------------------------------------------------------------- */

typedef struct od_path_list {
    char **path;
    size_t n, cap;
} od_path_list;

/* Appends every case (*.json) below a folder, sorted. OD_BAD_INPUT where it is none, or holds none. */
enum od_status od_cli_collect(od_path_list *list, const char *dir, od_error *e);
void od_path_list_free(od_path_list *list); /* a zeroed one is fine */

#endif
