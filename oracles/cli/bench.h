/* bench: what its files share. Timings are seconds of wall clock on a monotonic clock; a call's timing ends when the
 * call returns, and engines return when their device is done. */
#ifndef OD_ORACLES_CLI_BENCH_H
#define OD_ORACLES_CLI_BENCH_H

#include "oracles/cli/cli.h"
#include "oracles/pairs.h"

/* prefill: the whole context. decode: one patch behind it, fed with the engine's own mean. rollout: a prefill and the
 * decode steps that a forecast of so many raw steps takes, as one timing. */
enum od_bench_work { OD_BENCH_PREFILL, OD_BENCH_DECODE, OD_BENCH_ROLLOUT, OD_BENCH_WORKS };

const char *od_bench_work_name(enum od_bench_work work);

/* ---- bench_card.c: the GPU as NVML reads it ------------------------------------------------------------------------
 */

/* Where there is no NVML or no card, read is false and the rest is empty. */
typedef struct od_card {
    bool read;
    char why[128]; /* why it was not read */
    char name[96], driver[64], cuda[16];
    unsigned sm_mhz, sm_max_mhz, memory_mhz, temperature, power_mw;
} od_card;

/* utilization.gpu of NVML: the share of its own sampling period (a sixth of a second to a second) in which a kernel
 * ran, asked for every 50 ms. */
typedef struct od_card_load {
    size_t n;
    double mean, max; /* percent */
} od_card_load;

typedef struct od_card_watch od_card_watch;

void od_card_read(od_card *card);
od_card_watch *od_card_watch_start(void); /* NULL: nothing to watch */
void od_card_watch_stop(od_card_load *load, od_card_watch *watch);

/* ---- bench_run.c ---------------------------------------------------------------------------------------------------
 */

/* Calls of a fresh engine, in their order. */
typedef struct od_bench_first {
    double create, open, prefill, decode;
    bool further;                        /* a shorter context made the engine capture again: */
    size_t further_context;              /* raw steps */
    double further_first, further_again; /* its prefill, capture included, and once more without */
} od_bench_first;

typedef struct od_bench_side {
    const char *name; /* "fast", "ref" */
    const od_engine_api *api;
    od_options options;
    od_engine *engine;
    od_session *session;
    od_bench_first first;
    size_t warm_turns;
    double warm_seconds, warm_slowest; /* of all warm-up turns; the slowest of them */
    double *seconds[OD_BENCH_WORKS];   /* [n_pair, per_pair[work]] */
    od_stats stats;                    /* after all of it; texts as the engine's, which is destroyed last */
} od_bench_side;

typedef struct od_bench {
    const od_args *args;
    char model_name[512], why[OD_CASE_TEXT];
    od_model *model;
    od_series series; /* [batch, variates, context] */
    size_t batch, variates, context, steps, rollout, n_pair, per_pair[OD_BENCH_WORKS];
    double model_seconds, probe_seconds; /* making or loading the weights; finding the engines' devices */
    od_bench_side side[2];               /* the fast path, then the reference unless it was left out */
    size_t n_side;
    od_environment environment;
    od_card before, after;
    od_card_load load;
} od_bench;

/* Decode steps of a rollout of `raw` steps in patches of `patch`: its first patch comes from the prefill. */
size_t od_bench_rollout_decodes(size_t raw, size_t patch);

/* Times everything: fresh engines, warm-up, pairs. The sides' engines stay open until od_bench_close. */
enum od_status od_bench_measure(od_bench *b, od_error *e);
void od_bench_close(od_bench *b);

/* ---- bench_json.c --------------------------------------------------------------------------------------------------
 */

/* JSON Lines by bench/bench.schema.json. */
enum od_status od_bench_write(const od_bench *b, const char *path, od_error *e);

/* The switches as one line: "graph=on cache=fixed …". */
void od_bench_mode(char *text, size_t size, const od_options *options);

#endif
