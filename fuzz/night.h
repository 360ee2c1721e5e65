/* The supervisor of a night: workers in processes of their own, a watchdog, triage, corpus, canary, minimum counts.
 * docs/nightly.md says what users see; this header what its files share.
 *
 * One folder a night. What counts is either a file that was renamed into its place or a line of night.jsonl; the sums
 * (od_night_totals) are the journal's, folded line by line, so that a night which goes on, a report and a merge all
 * count alike. The supervisor has one thread, touches no engine and no CUDA: it may fork. */
#ifndef OD_FUZZ_NIGHT_H
#define OD_FUZZ_NIGHT_H

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

#include "oracles/recorder.h"

/* Exit codes, the first that applies. */
enum { OD_NIGHT_GREEN, OD_NIGHT_FINDING, OD_NIGHT_USAGE, OD_NIGHT_ENVIRONMENT, OD_NIGHT_BLIND };

enum { OD_NIGHT_WORKERS = 256, OD_NIGHT_NAME = 64, OD_NIGHT_PATH = 1024, OD_NIGHT_ARGS = 48 };

/* What a worker's process may be busy with. The canary is a lane that no user names. */
enum od_night_lane { OD_LANE_RANDOM, OD_LANE_FORWARD, OD_LANE_SESSION, OD_LANE_MODES, OD_LANE_CANARY, OD_LANES };
const char *od_night_lane_name(unsigned lane);

/* How a process ended, beside "ok". */
enum od_night_end {
    OD_END_OK,      /* by itself, or told to at the end of its slice */
    OD_END_FINDING, /* it says that it has findings */
    OD_END_STOPPED, /* the night was stopped */
    OD_END_CUT_OFF, /* with the supervisor; told when the night goes on */
    OD_END_NOTHING, /* exit 4: it compared nothing */
    OD_END_CRASH,   /* a signal that nobody sent, or the fuzz engine caught one */
    OD_END_HANG,    /* one input ran for longer than the limit */
    OD_END_STALL,   /* no input ran, for longer than the limit */
    OD_END_OOM,     /* beyond the limit of memory, or killed by the system */
    OD_END_SANITIZER,
    OD_END_DEVICE, /* the device is unusable in that process */
    OD_END_START,  /* it ended before its first input */
    OD_END_OTHER,  /* another exit status */
    OD_ENDS
};
const char *od_night_end_name(unsigned end);

/* Minimum counts. */
enum od_night_least {
    OD_LEAST_INPUTS,
    OD_LEAST_CASES,
    OD_LEAST_COMPARED,
    OD_LEAST_REPLAYS,
    OD_LEAST_ORACLES,
    OD_LEAST_WORKER, /* inputs of each worker */
    OD_LEAST_LANE,   /* inputs of each lane */
    OD_LEASTS
};
const char *od_night_least_name(unsigned least);

typedef struct od_night_options {
    char out[OD_NIGHT_PATH], corpus[OD_NIGHT_PATH], known[OD_NIGHT_PATH], bin[OD_NIGHT_PATH];
    char canary[OD_NIGHT_NAME]; /* a planted fault's name, or "off" */
    char ref[OD_NIGHT_PATH], fast[OD_NIGHT_PATH];
    char devices[OD_NIGHT_PATH]; /* "" by default, "none", "0,1" */
    double seconds, slice, hang, start;
    uint64_t seed, rss_mb, shrink_runs;
    unsigned workers, per_device; /* 0: by default */
    unsigned lanes;               /* bit i: lane i */
    bool sanitized;               /* prefer targets built with sanitizers */
    int64_t least[OD_LEASTS];     /* -1: by default */
} od_night_options;

/* ---- night_files.c ----------------------------------------------------------------------------------------------- */

/* path[size] = printf(format); OD_IO where it does not fit. */
enum od_status od_night_path(char *path, size_t size, od_error *e, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Whole file or none, and on the disk when it returns: temporary file, fsync, rename, fsync of the folder. */
enum od_status od_night_write(const char *path, const void *bytes, size_t size, od_error *e);
enum od_status od_night_sync_folder(const char *path, od_error *e);

/* Names in a folder without those that begin with '.' or hold ".tmp", sorted; *n == 0 where it does not exist. */
void od_night_list(char ***names, size_t *n, const char *folder);
void od_night_list_free(char **names, size_t n);

/* Removes a folder with all in it; none there is fine. */
enum od_status od_night_remove(const char *path, od_error *e);

/* "2025-12-01T02:00:00Z" of now. */
void od_night_time(char text[32]);

/* ---- night_totals.c ---------------------------------------------------------------------------------------------- */

typedef struct od_night_count {
    uint64_t slices, inputs, cases, outcome[OD_OUTCOMES], unusable, compared, ruled[OD_ORACLES];
    uint64_t captures, replays, cache_hits, fallbacks, end[OD_ENDS];
    double seconds, worst_mae, worst_share; /* worst: -1 none yet */
} od_night_count;

void od_night_count_init(od_night_count *c);
void od_night_count_add(od_night_count *sum, const od_night_count *more);
void od_night_count_record(od_night_count *c, const od_record *r); /* of one process, by its recorder */
json_t *od_night_count_pack(const od_night_count *c);
void od_night_count_unpack(od_night_count *c, const json_t *j);

/* What one worker did in one lane. */
typedef struct od_night_cell {
    char worker[OD_NIGHT_NAME], device[OD_NIGHT_NAME], lane[16];
    od_night_count count;
} od_night_cell;

/* What a journal says, folded. Texts and JSON are owned. */
typedef struct od_night_totals {
    json_t *plan;     /* of the first "start" line (od_night_plan); NULL: none yet */
    json_t *where;    /* its "environment" */
    json_t *raw;      /* raw finding's path → true, once it was judged */
    json_t *findings; /* array of "finding" lines that are no duplicates */
    json_t *by_sign;  /* signature → number of raw findings that had it */
    json_t *shrunk;   /* finding's file → its "shrunk" line */
    json_t *broken;   /* array of "lane" lines */
    json_t *canaries; /* array of "canary" lines */
    json_t *slices;   /* "worker/number" → true */
    json_t *corpus;   /* array of the last "corpus" lines, one a target */
    json_t *nights;   /* array of "night" lines (merge) */
    json_t *end;      /* the "end" line; NULL: unfinished */
    od_night_cell *cell;
    size_t n_cell, cap_cell;
    uint64_t starts, stops, duplicates, untriaged;
    double spent; /* seconds of the budget */
} od_night_totals;

enum od_status od_night_totals_init(od_night_totals *t, od_error *e);
void od_night_totals_free(od_night_totals *t);

/* Adds a journal line. `night`: put before workers' names (merge), "" = none. */
enum od_status od_night_fold(od_night_totals *t, const json_t *line, const char *night, od_error *e);
void od_night_sum(od_night_count *sum, const od_night_totals *t);

/* Workers and lanes that the plan names; workers of the plan are "0", "1", … */
unsigned od_night_plan_workers(const json_t *plan);
const char *od_night_text(const json_t *object, const char *key); /* "" where there is none */

/* ---- night_journal.c --------------------------------------------------------------------------------------------- */

typedef struct od_night_journal {
    int fd;
    char path[OD_NIGHT_PATH];
} od_night_journal;

/* Folds every whole line of a journal. A last line without its end is left out; *whole is where it begins. A line that
 * is no JSON object of an event: OD_BAD_INPUT, with its number. */
enum od_status od_night_journal_read(od_night_totals *t, size_t *whole, const char *path, const char *night,
                                     od_error *e);

/* Reads what is there, cuts a torn last line off and opens the file to append. */
enum od_status od_night_journal_open(od_night_journal *j, od_night_totals *t, const char *path, od_error *e);

/* One write; `durable`: on the disk when it returns. A line that cannot be written whole leaves the file as it was. */
enum od_status od_night_journal_append(od_night_journal *j, const json_t *line, bool durable, od_error *e);

/* ---- night_process.c --------------------------------------------------------------------------------------------- */

typedef struct od_night_process {
    pid_t pid; /* 0: none; the leader of a group of its own */
    int status;
    double begun, killed; /* od_seconds(); killed: SIGKILL was sent, 0 = no */
    bool told;            /* SIGTERM was sent */
} od_night_process;

/* argv and env ("NAME=value", put on top of ours) end with NULL; stdout and stderr are appended to the file `log`. The
 * process dies with the supervisor. */
enum od_status od_night_process_start(od_night_process *p, const char *const *argv, const char *const *env,
                                      const char *log, od_error *e);
bool od_night_process_ended(od_night_process *p); /* true once: p->status is there, its group is gone */
void od_night_process_tell(od_night_process *p);  /* SIGTERM to the group */
void od_night_process_kill(od_night_process *p);
uint64_t od_night_process_rss(const od_night_process *p); /* bytes, 0 unknown */

/* ---- the night itself -------------------------------------------------------------------------------------------- */

typedef struct od_night_slot {
    unsigned number;
    char name[16], device[OD_NIGHT_NAME], home[OD_NIGHT_PATH], canary_home[OD_NIGHT_PATH];
    enum { OD_SLOT_IDLE, OD_SLOT_BUSY, OD_SLOT_DONE } state;
    od_night_process process;
    unsigned lane, turn; /* turn: of lanes */
    uint64_t slice;      /* number of the one that runs, or comes next */
    char record_path[OD_NIGHT_PATH];
    const od_record *record; /* of the process; NULL until it is there */
    double until;            /* the slice's end; while idle: not before */
    uint64_t seeds;          /* inputs that a target plays before it makes any of its own */
    bool loaded;             /* it has played them: its slice begins */
    double looked;           /* at memory */
    unsigned failures;       /* in a row */
    unsigned strikes[OD_LANES];
    bool broken[OD_LANES];
    enum od_night_end why; /* why it was killed, or OK */
    unsigned artifacts;    /* that were there when the slice began */
    unsigned canaries;     /* begun so far */
    bool canary_raw;       /* its finding waits for triage, or is in it */
} od_night_slot;

typedef struct od_night_triage {
    enum { OD_TRIAGE_IDLE, OD_TRIAGE_RUN, OD_TRIAGE_TARGET, OD_TRIAGE_SHRINK } state;
    od_night_process process;
    double limit, used; /* seconds: of this process; of all so far */
    bool overrun;
    char raw[OD_NIGHT_PATH], case_path[OD_NIGHT_PATH], json_path[OD_NIGHT_PATH], finding[OD_NIGHT_PATH];
    char said[OD_CASE_TEXT]; /* the raw finding's signature, "" = none */
    char kind[16];           /* finding, error, crash, hang, oom, … */
    od_night_slot *slot;
    bool canary;
    unsigned lane;
    double looked; /* for raw findings */
    od_case c;
} od_night_triage;

typedef struct od_night {
    od_night_options o;
    od_night_journal journal;
    od_night_totals totals;
    FILE *log;
    int lock;
    char oracle_diff[OD_NIGHT_PATH], faults[OD_NIGHT_PATH], target[OD_LANES][OD_NIGHT_PATH]; /* "" = not there */
    char pair[64], ref_device[160], fast_device[160], host[128];
    od_night_slot *slot;
    unsigned n_slot;
    od_night_triage triage;
    json_t *lumps;                        /* signature → duplicates that no line tells of yet; NULL: none */
    double began, before;                 /* od_seconds() at the start; seconds spent by earlier runs of this night */
    double metrics_at, tick_at, fuzz_end; /* fuzz_end: of the budget, when slices end */
    bool ending;                          /* no new slices */
    char mps[OD_NIGHT_PATH];              /* folder of the MPS daemon's pipes, "" = none */
    od_night_process mps_process;
    volatile const int *stop; /* a signal's number, or 0 */
    od_error failed;          /* the first that ends the night: status OD_OK = none */
} od_night;

double od_night_spent(const od_night *n); /* of the budget */

/* A line for people: log.txt and stdout. */
void od_night_say(od_night *n, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends a line of that event to the journal and folds it; steals line. Trouble ends the night (n->failed). */
void od_night_event(od_night *n, const char *event, json_t *line, bool durable);

/* ---- night_setup.c: programs, engines, workers ------------------------------------------------------------------- */

enum od_status od_night_programs(od_night *n, od_error *e);
enum od_status od_night_probe(od_night *n, od_error *e);   /* runs one case: which engines, which devices */
enum od_status od_night_workers(od_night *n, od_error *e); /* slots and their folders */
json_t *od_night_plan(const od_night *n);                  /* what may not change while the night goes on */

/* ---- night_lane.c ------------------------------------------------------------------------------------------------ */

/* Can the lane's program be found? */
bool od_night_lane_ready(const od_night *n, unsigned lane);
enum od_status od_night_lane_start(od_night *n, od_night_slot *s, double seconds, od_error *e);

/* What is put on top of our environment for a process on behalf of a slot; list ends with NULL. */
typedef struct od_night_env {
    char text[12][OD_NIGHT_PATH + 32];
    const char *list[13];
    unsigned n;
} od_night_env;
void od_night_env_put(od_night_env *env, const char *name, const char *value); /* NULL: takes it away */
void od_night_env_device(od_night_env *env, const od_night *n, const od_night_slot *s);

/* ---- night_slot.c ------------------------------------------------------------------------------------------------ */

void od_night_slot_turn(od_night *n, od_night_slot *s);    /* looks at it, starts and ends what is due */
void od_night_slot_recover(od_night *n, od_night_slot *s); /* counts what a killed supervisor left behind */
enum od_night_end od_night_classify(unsigned lane, int status, const od_record *r, bool artifact);
enum od_status od_night_slot_folders(const char *home, od_error *e);

/* ---- night_raw.c ------------------------------------------------------------------------------------------------- */

/* Keeps the input that the record holds as HOME/saved/LANE-KIND-<XXH64>. */
enum od_status od_night_raw_save(const od_night_slot *s, const char *kind, od_error *e);

/* Inputs that the fuzz engine kept in HOME/artifacts; shelve: moves them to HOME/inputs, as the same input was saved.
 */
unsigned od_night_raw_artifacts(const char *home);
enum od_status od_night_raw_shelve(const char *home, od_error *e);

/* The next raw finding of a slot that nobody has judged yet, as "workers/0/findings/NAME". False: there is none. */
bool od_night_raw_next(char *raw, size_t size, const od_night *n, const od_night_slot *s, bool canary);

/* A raw finding's case; kind: finding, error, crash, hang, …; lane: OD_LANES where the name does not say it. */
enum od_status od_night_raw_case(od_case *c, char *kind, size_t size, unsigned *lane, const od_night *n,
                                 const char *raw, od_error *e);

/* ---- night_triage.c, night_keep.c -------------------------------------------------------------------------------- */

/* Looks at what runs, and begins what waits; share: only where its share of the time is not used up. */
void od_night_triage_turn(od_night *n, bool share);
void od_night_triage_stop(od_night *n);     /* kills what runs; it is done again when the night goes on */
uint64_t od_night_triage_left(od_night *n); /* raw findings, and findings to be shrunk, that wait or run */

/* What judging the triage's raw finding came to: writes the finding and its line. status: new, flaky, unreproduced,
 * known, error; result: the case's line of oracle-diff run, or NULL. */
void od_night_keep(od_night *n, const char *status, const char *signature, const json_t *result);

/* One whose signature is already there: counted, and of many the file is removed; lumps: writes their counts. */
void od_night_keep_duplicate(od_night *n, const char *raw, const char *signature);
void od_night_keep_lumps(od_night *n);

/* One that is no case: said and counted, and the file stays where it is. */
void od_night_keep_unreadable(od_night *n, const char *raw, const char *why);

/* The next finding that is to be shrunk: its name. */
bool od_night_keep_next_to_shrink(char *name, size_t size, const od_night *n);

/* ---- night_corpus.c ---------------------------------------------------------------------------------------------- */

/* Set cover of `from` folders into an empty one for each target, canonical and content-named, then both folders change
 * places. Waits, until the deadline (od_seconds()) or n->stop. False: not done. */
typedef struct od_night_pool {
    char **path;
    size_t n, cap;
} od_night_pool;
bool od_night_corpus(od_night *n, const od_night_pool *homes, double deadline);

/* ---- night_canary.c ---------------------------------------------------------------------------------------------- */

bool od_night_canary_due(const od_night *n, const od_night_slot *s);
void od_night_canary_tell(od_night *n, od_night_slot *s, bool found, const char *words); /* its line */
bool od_night_canary_expects(const char *fault, const char *signature);
bool od_night_canary_found(const od_night_totals *t, const char *worker, unsigned *asked, unsigned *found);

/* ---- night_verdict.c --------------------------------------------------------------------------------------------- */

/* The exit code, and the reasons as an array of texts (the first decided). */
int od_night_verdict(json_t **reasons, const od_night_totals *t);
uint64_t od_night_least_default(unsigned least, double seconds, unsigned workers, const char *fast, unsigned lanes);
/* The counts against their minimums, in words; `of`: what was counted. */
void od_night_least_value(uint64_t *value, uint64_t *least, unsigned number, const od_night_totals *t);

/* ---- night_metrics.c, night_report.c, night_merge.c, night_mps.c, night_run.c -------------------------------------
 */

enum od_status od_night_metrics(const od_night *n, od_error *e);
enum od_status od_night_report(const od_night_totals *t, const char *title, const char *dir, od_error *e);

int od_night_run(const od_night_options *o, int argc, char **argv);
int od_night_merge(const od_night_options *o, char **night, size_t n);
int od_night_report_command(const od_night_options *o, char **night, size_t n);

enum od_status od_night_mps_start(od_night *n, od_error *e);
void od_night_mps_stop(od_night *n);

#endif
