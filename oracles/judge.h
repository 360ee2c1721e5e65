/* case → verdict: gathers evidence, asks the oracles, and draws one outcome with one stable signature. */
#ifndef OD_ORACLES_JUDGE_H
#define OD_ORACLES_JUDGE_H

#include "oracles/known.h"
#include "oracles/oracle.h"
#include "oracles/recheck.h"
#include "oracles/shift.h"

typedef struct od_verdict {
    enum od_outcome outcome;
    char signature[OD_CASE_TEXT]; /* "" without a finding, known or not */
    char reason[OD_REASON];       /* "" with a plain PASS */
    double value, bound;          /* of the ruling that decided */
    bool bad_input;               /* the case could not be built: exit 2 */
    char shape[48], pair[48];
    uint64_t hash; /* od_case_hash */
    double seconds;
    od_spent spent; /* of these seconds; they add up */
    unsigned asked; /* bit i: oracle i ruled */
    od_ruling ruling[OD_ORACLES];
    od_recheck recheck;          /* of a FINDING, where it was judged again */
    const od_evidence *evidence; /* borrowed from the judge until its next case; NULL if no engine ran */
} od_verdict;

enum { OD_JUDGE_CLASSES = 1024 };

/* Buffers that cases share. */
typedef struct od_judge {
    od_setup setup;
    unsigned required;                 /* oracles whose INCONCLUSIVE makes a case INCONCLUSIVE */
    const od_known *known;             /* borrowed; NULL: none */
    bool weights;                      /* vacuity also changes every weight tensor, once a model class */
    uint64_t probed[OD_JUDGE_CLASSES]; /* classes so far; beyond so many each case is probed */
    size_t n_probed;
    od_evidence evidence;
    od_script script;
} od_judge;

/* Setup with all oracles for the two engines; no arbiter. Copies nothing. */
void od_judge_init(od_judge *j, const od_engine_api *ref, const od_engine_api *fast);
void od_judge_free(od_judge *j);

/* Judges one case; whatever goes wrong is part of *v. A path in *c is resolved as od_case_model does. */
void od_judge_case(od_verdict *v, od_judge *j, od_case *c);

/* Shape class: batch, variates and patches of the longest context, in powers of two ("b1.v2-4.s5-8"). */
void od_shape_class(char *text, size_t size, size_t batch, size_t variates, size_t patches);

/* That of a case whose patches are of `patch` steps; 0: of a model that could not be read. */
void od_shape_class_of(char *text, size_t size, const od_case *c, size_t patch);

/* Counts of a run, and the exit code that follows from them. */
typedef struct od_tally {
    uint64_t cases, outcome[OD_OUTCOMES];
    uint64_t compared; /* tensors held to the contract */
    uint64_t fell_back,
        fallbacks;              /* cases in which calls left the fast path that the options ask for, and those calls */
    uint64_t ruled[OD_ORACLES]; /* cases in which the oracle gave PASS, FINDING or KNOWN */
    uint64_t open[OD_ORACLES];  /* INCONCLUSIVE */
    uint64_t bad_input;
    od_spent spent;
    size_t expired; /* known issues whose day has passed */
    uint64_t flaky; /* findings that did not come each time */
    uint64_t probed, n_weight,
        n_idle;                    /* cases whose weights were changed in turn, those tensors, those without a say */
    double worst_mae, worst_share; /* -1: none yet */
    od_nearness near[OD_TENSORS];  /* where the arbiter was asked about every case */
    char near_case[OD_TENSORS][OD_CASE_PATH];
    const od_envelope *envelope; /* borrowed; NULL: the contract alone */
    uint64_t enveloped, outside; /* cases that the envelope judged, and those outside of its domain */
    od_shifts shifts;            /* of the cases that passed it */
    char worst_mae_case[OD_CASE_PATH], worst_share_case[OD_CASE_PATH];
    enum od_tensor_class worst_mae_cls, worst_share_cls;
    enum od_step_class worst_mae_step, worst_share_step;
} od_tally;

void od_tally_init(od_tally *t);
void od_tally_add(od_tally *t, const od_verdict *v, const char *name);

/* Are the tensors of every class near enough to float64? True where the arbiter was not asked about every case. */
bool od_tally_is_near(const od_tally *t);

/* Do no tensors lean one way, over the cases of the run? True where too few say. */
bool od_tally_is_steady(const od_tally *t);

/* The first that applies: 1 any FINDING, tensors too far from float64, a mean shift, or an expired known issue; 2 bad
 * input; 3 ERROR; 4 nothing was compared, a required oracle INCONCLUSIVE, or one required by name (`named`) that ruled
 * nowhere; 0. */
int od_tally_exit(const od_tally *t, unsigned required, unsigned named);

#endif
