/* What happened: everything that the oracles judge, gathered with as few runs of the engines as possible. Gathering
 * knows no bounds beyond those that decide whether a further run is worth its time; judging runs nothing.
 *
 *   reference   1 play
 *   fast        1 play, compared; then on the same engine: reset, play; poison, new sessions, play with all that a call
 *               must not depend on overwritten before it
 *   plain       1 play (graph, autotune and fused off), where the case asks for any of them; timed pairs on request
 *   fresh fast  1 play on a new engine, where sessions are opened as they come; where the setup names a process 1 more
 *               on an engine there
 *   both        1 play for each weight tensor, changed, on request: is it read at all?
 *   relations   what each of them plays (docs/consistency.md), on the fast path's engine or on one of other options
 *   arbiter     1 play of ref64, where a tensor uses much of the contract, or on request; on request then 1 play of all
 *               three, with hidden states */
#ifndef OD_ORACLES_EVIDENCE_H
#define OD_ORACLES_EVIDENCE_H

#include "oracles/compare.h"
#include "oracles/digest.h"
#include "oracles/envelope.h"
#include "oracles/nearness.h"
#include "oracles/relations.h"
#include "oracles/trace.h"
#include "oracles/witness.h"

/* Runs that an oracle needs beside the reference's and the fast path's first. */
enum {
    OD_NEED_RERUN = 1,
    OD_NEED_FRESH = 2,
    OD_NEED_PLAIN = 4,
    OD_NEED_TIME = 8,
    OD_NEED_PROBE = 16,
    OD_NEED_RELATIONS = 32,
    OD_NEED_WITNESSES = 64
};

enum { OD_MAX_REPEAT = 6, OD_MAX_PAIR = 15, OD_REASON = 640 };

typedef struct od_setup {
    const od_engine_api *ref, *fast;
    const od_engine_api *arbiter; /* NULL: never asked */
    const od_engine_api *process; /* the fast path in a new process each time (worker.h); NULL: not played */
    bool isolated;                /* the engines live in workers: asked at the end whether all went well */
    bool crowded;                 /* other threads judge in this process too: what it takes says nothing of one case */
    bool shared_device; /* OD_SHARED_DEVICE=1, or lanes: others use the device too, and what its driver counts says
                         * nothing of one case */
    bool always_arbiter;
    bool watch_memory;           /* play until the witnesses of memory have a whole series, whatever the counters say */
    bool detail;                 /* ULP quantiles in the rows (they need a sort), and digests */
    unsigned oracles;            /* bit i: the oracle of that number (oracle.h) */
    unsigned relations;          /* bit i: the relation of that number (relations.h) */
    double speed_seconds;        /* budget of the timed pairs of one case */
    bool measures;               /* keep every contractual comparison, not the worst of its class alone */
    const od_envelope *envelope; /* borrowed; NULL: none */
} od_setup;

/* All comparisons of a tensor class in a step class; the worst by its share of the contract. */
typedef struct od_row {
    enum od_tensor_class cls;
    enum od_step_class step;
    bool contract;   /* false: reported, not judged */
    size_t compared; /* 0: the row is empty */
    od_comparison worst;
    double share;
    double most_mae; /* largest MAE of the class; that of `worst` unless single values decide */
    double most_abs; /* largest single difference of the class, NaN where there was one */
    od_call_at at;
    char name[OD_NAME_MAX];
    size_t tensor, fast_tensor; /* index of the worst in either trace */
    double unit;
} od_row;

/* One contractual comparison. */
typedef struct od_measure {
    enum od_tensor_class cls;
    enum od_step_class step;
    size_t n; /* values */
    double mae, max_abs, shift;
    od_call_at at;
    char name[OD_NAME_MAX]; /* of the tensor: its trace may be another one by the time it is judged */
    size_t worst;           /* index of the largest difference */
    double ref_worst, fast_worst;
} od_measure;

typedef struct od_arbitration {
    bool ran;
    enum od_tensor_class cls;
    enum od_step_class step;
    double ref_mae, fast_mae;     /* against the arbiter, model space */
    const char *nearer;           /* "ref", "fast", "equal", "unknown" */
    od_nearness near[OD_TENSORS]; /* contractual tensors, by class; only where every case is asked about */
} od_arbitration;

/* Every weight tensor changed in turn. */
typedef struct od_probe {
    bool ran;
    size_t n;               /* tensors changed */
    size_t n_idle;          /* of them, without a say in the reference's answers (the contract holds all the same) */
    size_t n_dead;          /* of them, moving the reference's answers and no bit of the fast path's */
    char dead[OD_NAME_MAX]; /* the first of those */
    double share;           /* what it moved the reference's answers by, in contracts */
    enum od_status status;  /* a play that failed ends the probing */
    od_error error;
} od_probe;

enum od_rerun { OD_RERUN_RESET, OD_RERUN_REOPEN, OD_RERUN_FRESH, OD_RERUN_PROCESS, OD_RERUNS };

typedef struct od_evidence {
    const od_script *script;
    const od_setup *setup;
    od_trace ref, fast, third;

    od_attempt ref_run, fast_run, plain_run, arbiter_run, rerun[OD_RERUNS];
    od_attempt ref_end, fast_end_run; /* isolated engines, when everything was closed */
    od_stats ref_stats, fast_stats;   /* after the first play */
    od_stats fast_end;                /* after the last play of the same engine */
    od_stats plain_stats;
    bool plain_is_fast; /* the case's options are the plain ones: nothing to compare with */

    od_row row[OD_TENSORS][OD_STEPS][2];  /* last index: 1 = contractual */
    od_digests ref_digests, fast_digests; /* of the first plays; only with `detail` */
    size_t n_compared;                    /* contractual comparisons */
    od_measure *measure;                  /* where the setup asks for them */
    size_t n_measure, cap_measure;
    bool measures_lost;     /* no memory for all of them */
    bool structure_differs; /* calls, names or shapes: see structure */
    char structure[OD_REASON];
    enum od_tensor_class structure_cls;
    od_call_at structure_at;
    bool mismatch; /* a NaN or Inf in one trace and not in the other */
    od_row mismatch_row;
    bool all_zero; /* every value compared was 0 on both sides */

    od_difference difference[OD_RERUNS];
    size_t n_played; /* plays of the same engine followed by a reset; */
    size_t n_live;   /* of the first of them: */
    size_t host_live[OD_MAX_REPEAT], device_live[OD_MAX_REPEAT];
    uint64_t waits[OD_MAX_REPEAT], copied[OD_MAX_REPEAT]; /* so far */
    od_witnessed witnessed;                               /* from the second request on */

    size_t n_pair, per_pair;                                      /* timed pairs, plays in each measurement */
    double fast_seconds[OD_MAX_PAIR], plain_seconds[OD_MAX_PAIR]; /* of one play */

    od_probe probe;
    od_related related[OD_RELATIONS];

    od_arbitration arbitration;
} od_evidence;

/* Fills *ev for the script; its buffers are used again from the call before (zeroed at first). What an engine does
 * wrong is evidence, not an error. `needs` is a sum of OD_NEED_…. */
void od_evidence_gather(od_evidence *ev, const od_script *script, const od_setup *setup, unsigned needs);
void od_evidence_free(od_evidence *ev);

/* Is the call's answer held to the contract? Not after an own patch at a gain above the limit. */
bool od_is_contractual(const od_case *c, const od_call_at *at);

/* The contractual row that uses most of the contract (NULL: nothing was compared), or has the largest MAE. */
const od_row *od_evidence_worst(const od_evidence *ev, bool by_mae);

/* The smallest bounds with which every contractual tensor would have passed: the largest MAE and the largest single
 * difference of all. NaN: none would do. False where nothing was compared. */
bool od_evidence_needed(double *mae, double *max_abs, const od_evidence *ev);

/* That as a line for a case that breaks the contract, rounded up: "MAE 3.2e-06 and a difference of 8.1e-05 would have
 * passed"; "" for one that holds it. Returns text. */
const char *od_evidence_needed_text(char *text, size_t size, const od_evidence *ev);

/* Would timings say nothing? Fused kernels are shaped for a GPU's threads and memory: emulated, they take as long as
 * they happen to. Then nothing is timed. */
bool od_timing_is_void(const od_evidence *ev);

/* The case's options for the reference and the arbiter, which never round to TF32. */
od_options od_exact_options(const od_script *script);

/* evidence_time.c: fills n_pair, per_pair, *_seconds with interleaved plays of two warm players. */
enum od_status od_evidence_time(od_evidence *ev, od_player *fast, od_player *plain, od_error *e);

/* evidence_weights.c: fills probe; both traces are of plays without hidden states. The model is as before afterwards.
 */
void od_evidence_probe(od_evidence *ev);

/* Cases of one class have a model of the same dimensions and the same switches: probing one of them is enough. */
uint64_t od_model_class(const od_script *script);

/* evidence_rows.c: compares the two traces into the rows. */
void od_evidence_compare(od_evidence *ev);

/* evidence_measure.c: keeps a comparison, and says what of the case its rounding depends on. */
void od_evidence_measure(od_evidence *ev, const od_comparison *cmp, enum od_tensor_class cls, const od_call_at *at,
                         const char *name);
od_envelope_domain od_evidence_domain(const od_evidence *ev);

/* evidence_relate.c: plays the case in the ways of the relations that are asked, on `fast`'s engine where its options
 * serve; fast has played the case. */
void od_evidence_relate(od_evidence *ev, od_player *fast);

/* evidence_near.c: both traces, of plays with hidden states, against the arbiter's, into arbitration.near. */
void od_evidence_near(od_evidence *ev);

#endif
