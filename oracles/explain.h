/* Where two engines part. The reference, the fast path and the arbiter (float64) are walked side by side, a call at a
 * time, with hidden states: a tensor is compared while its engine still holds it, and what stays of it is one cell of
 * a heat map. No trace is kept, however long the schedule (but for a relation, od_explain_relation).
 *
 * Float32 engines differ nearly everywhere, by rounding. A tensor parts where that is no explanation, by the bounds of
 * tolerance.h and no others:
 *   - a NaN or an infinity stands in one engine alone, or in both and not in float64;
 *   - one engine is far from float64 and the other is not: the mean distance by near_each and near_abs (nearness.h),
 *     or the largest one by near_each beyond max_abs;
 *   - an output (no hidden state: the contract does not reach them) breaks the contract.
 * Where no single tensor does, those of a class may be too far together, by near_mean: that is told, and no parting.
 * What follows own patches at a gain above the limit is held to the first alone, as everywhere. */
#ifndef OD_ORACLES_EXPLAIN_H
#define OD_ORACLES_EXPLAIN_H

#include <stdio.h>

#include "oracles/evidence.h"

char *od_stage_text(char *text, size_t size, const od_config *config, size_t stage); /* "layer 3 time"; returns text */

/* A call, as people count. */
typedef struct od_call_place {
    od_call_at at;
    unsigned step;               /* decode step of the session since its prefill, from 1 on; 0: the prefill */
    size_t first_patch, n_patch; /* of the session's padded series, that the call computes */
} od_call_place;

od_call_place od_call_place_of(const od_script *script, const od_call_at *at);

/* The largest mean distances from float64 of a stage's tensors in one call, model space; infinite where one is no
 * number. */
typedef struct od_cell {
    float ref, fast;
    bool seen, parted;
} od_cell;

typedef struct od_heat {
    size_t n_stage, n_call, cap;
    od_call_place *place; /* [n_call] */
    od_cell *cell;        /* [n_call][n_stage] */
} od_heat;

/* Who is far from float64 (bits; NONE: nobody stands out against the other). */
enum od_blame { OD_BLAME_NONE, OD_BLAME_FAST, OD_BLAME_REF, OD_BLAME_BOTH };

/* Which values differ by more than od_bounds.max_abs; bounds of their places, inclusive. */
typedef struct od_extent {
    size_t n, low[3], high[3]; /* batch, variate, patch of the call (SIZE_MAX: the tensor has none) */
} od_extent;

/* One tensor that parts. */
typedef struct od_parting {
    bool found;
    char structure[OD_REASON]; /* not "": an engine lacks it or gives another shape, and nothing below was compared */
    od_call_place place;
    size_t call; /* row of the heat map */
    size_t stage;
    enum od_tensor_class cls;
    od_tensor view;          /* name, type and shape of the reference's; data is NULL */
    od_comparison pair;      /* fast against ref */
    od_comparison ref, fast; /* each against the arbiter; meaningless without has_truth */
    bool has_truth;
    size_t worst;                     /* index of the largest difference, or of the first NaN or Inf in one alone */
    double at_ref, at_fast, at_truth; /* the values there, as stored */
    double share;                     /* of the contract */
    enum od_blame blame;
    od_extent extent;
} od_parting;

enum od_walker { OD_WALK_REF, OD_WALK_FAST, OD_WALK_ARBITER, OD_WALKERS };

typedef struct od_explanation {
    const od_script *script;
    od_heat heat;
    od_parting first; /* the first in order of calls, then of stages; of one stage that with the largest share */
    size_t n_tensor;  /* compared */
    size_t n_hidden;  /* hidden states among them */
    size_t n_parted;  /* those that part */
    size_t n_breach;  /* outputs that break the contract, or are odd in one engine alone */
    double share;     /* the largest of an output's use of the contract */
    size_t n_changed; /* outputs of the fast path whose bits differ from the trace that was given */
    od_nearness near[OD_TENSORS]; /* of the tensors that are held to bounds, by class */
    enum od_walker who;           /* where the walk failed: the engine that did */
} od_explanation;

/* Walks the script's schedule on fresh engines, with hidden states or without. `seen` (may be NULL): the fast path's
 * trace of the same schedule without hidden states, to tell whether keeping them changed its bits. The reference and
 * the arbiter do not round to TF32. On error (an engine's, prefixed with whose; OD_NO_MEMORY) *x has what was seen
 * until then; e is not NULL. Free *x with od_explanation_free in any case. */
enum od_status od_explain(od_explanation *x, const od_script *script, const od_setup *setup, bool hidden,
                          const od_trace *seen, od_error *e);

/* Are the tensors of every class near enough to float64, single ones and together (near_mean)? */
bool od_explanation_is_near(const od_explanation *x);
void od_explanation_free(od_explanation *x); /* a zeroed one is fine */

/* ---- explain_drift.c --------------------------------------------------------------------------------------------- */

/* A line for each run of decode steps of one kind in a session, of at least OD_DRIFT_LEAST or with an error that is no
 * number: how the outputs' distance from
 * float64 grows, or where it jumps (drift.h). False: no memory. */
bool od_explain_drift(FILE *out, const od_explanation *x);

/* ---- explain_rerun.c: the first tensor that differs between two plays of one engine ------------------------------ */

typedef struct od_rerun_parting {
    bool found;
    od_call_place place;
    char name[OD_NAME_MAX];
    size_t stage; /* SIZE_MAX: no output of the model */
    bool again;   /* the second look found a difference in that tensor, too */
    size_t row;   /* of the case, that `index` counts in; SIZE_MAX: it counts in the whole tensor */
    size_t index; /* its first place, and the values there */
    double was, is;
    char why[120]; /* od_explain_relation: why nothing was found */
} od_rerun_parting;

/* Plays the schedule and plays it again as `which` says, twice: for the hashes of all tensors, of which the first that
 * differs is named (of one call that of the earliest stage), then for that tensor's values. Errors: an engine's, or
 * OD_NO_MEMORY; e is not NULL. `process` (od_setup) is needed for OD_RERUN_PROCESS alone. */
enum od_status od_explain_rerun(od_rerun_parting *r, const od_script *script, const od_engine_api *fast,
                                const od_engine_api *process, enum od_rerun which, bool hidden, od_error *e);

/* ---- explain_relate.c: the first tensor that differs between two plays of a relation ----------------------------- */

/* Holds one relation (its number, relations.h) again, of those that go bit by bit, and names the first tensor of the
 * case's own schedule that differs, of one call that of the earliest stage; `again` is true. The engines'
 * first plays are kept whole, hidden states among them. Errors: an engine's, where nothing was found before it, or
 * OD_NO_MEMORY; e is not NULL. */
enum od_status od_explain_relation(od_rerun_parting *r, const od_script *script, const od_setup *setup,
                                   unsigned relation, bool hidden, od_error *e);

/* ---- explain_words.c: each writes one line without a newline into text[size] and returns text -------------------- */

/* "layer 3 (time-wise), first at decode step 5: the fast path is wrong (…), the reference is within 2.1e-08 …" */
char *od_explain_sentence(char *text, size_t size, const od_explanation *x);

/* "batch 0, variate 2, patch 9, feature 17": element `index` of the parting tensor; patches count from the beginning
 * of the padded series. */
char *od_explain_coordinates(char *text, size_t size, const od_explanation *x, size_t index);

/* "decode step 5 of session 1 (op 1 call 4)" */
char *od_call_place_text(char *text, size_t size, const od_call_place *place);

/* What hidden states cannot tell of the first parting ("" where there is nothing to say). */
char *od_explain_limits(char *text, size_t size, const od_explanation *x);

/* Where element `index` of a tensor stands: batch, variate, patch of the call (SIZE_MAX: it has none). False where the
 * tensor's rank is none that an output has. */
bool od_explain_place(size_t at[3], const od_config *config, enum od_tensor_class cls, const od_tensor *view,
                      size_t index);

/* ---- explain_heat.c: error by stage and call --------------------------------------------------------------------- */

/* A row a stage, a column a call (the worst of several, where there are more than fit), a character a decade of the
 * mean distance from float64, of the fast path or (`of_ref`) the reference; behind it both distances in the first call
 * that parts, or the largest of all where none does. False where writing fails. */
bool od_heat_print(FILE *f, const od_explanation *x, bool of_ref);

/* The same as SVG, with exact numbers as tooltips. */
bool od_heat_svg(FILE *f, const od_explanation *x, bool of_ref, const char *title);

#endif
