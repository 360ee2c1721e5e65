/* A case: what to run, small enough to read, and all that is needed to run it again. One JSON text file in canonical
 * form (case.schema.json is the format's definition; this struct is its content, checked). */
#ifndef OD_MODEL_CASE_H
#define OD_MODEL_CASE_H

#include "model/engine.h"
#include "model/model.h"
#include "model/options.h"
#include "model/series.h"

enum {
    OD_CASE_FORMAT = 1,
    OD_CASE_MAX_BYTES = 16384,
    OD_CASE_MAX_OPS = 64,
    OD_CASE_MAX_SESSIONS = 4,
    OD_CASE_MAX_BATCH = 64,
    OD_CASE_MAX_VARIATES = 128,
    OD_CASE_MAX_STEPS = 65536,  /* raw steps of one session, all told */
    OD_CASE_MAX_PATCHES = 1024, /* patches of one decode entry */
    OD_CASE_PATH = 512,
    OD_CASE_TEXT = 256
};

/* An external file: as written in the case (relative to the case's file), with its size and XXH64. */
typedef struct od_case_file {
    char path[OD_CASE_PATH]; /* "" = none */
    uint64_t bytes, xxh64;
} od_case_file;

enum od_op_kind { OD_OP_PREFILL, OD_OP_DECODE, OD_OP_RESET, OD_OP_RECAPTURE };

typedef struct od_op {
    enum od_op_kind kind;
    unsigned session; /* not for recapture */
    unsigned steps;   /* prefill: raw steps of context, taken from the beginning of the session's series */
    unsigned patches; /* decode: so many calls */
    bool own;         /* decode: free-running (own mean), else teacher-forced from the series */
} od_op;

typedef struct od_case {
    char note[OD_CASE_TEXT]; /* free text for the reader; "" = absent */

    /* model */
    char preset[32];  /* "" = dimensions given one by one, or from a folder */
    od_config config; /* always filled and checked, except with a folder before od_case_model */
    uint64_t weight_seed;
    double gain;                              /* multiplies generated weights' bound, 0 < gain <= 4 */
    od_case_file model_config, model_weights; /* folder/config.json, folder/model.safetensors; else path "" */
    char model_folder[OD_CASE_PATH];          /* "" = generated weights */

    /* series */
    unsigned batch, variates;
    enum od_generator generator;
    uint64_t series_seed;
    double scale;          /* multiplies generated values */
    double missing;        /* each step is missing (mask 0, value 0) with this probability */
    unsigned left_padding; /* so many first steps have mask 0, value 0 */
    int padded_variate;    /* the context of this variate has mask 0, value 0; -1 = none */
    unsigned n_group;      /* 0 = all ids 0, else n_group == variates */
    int32_t group[OD_CASE_MAX_VARIATES];
    od_case_file csv;
    unsigned n_column; /* CSV: variate v is column[v] */
    char column[16][64];
    unsigned csv_start; /* CSV: first row used; row b of the batch and session s start b·stride + s·stride later */
    unsigned csv_stride;

    /* schedule */
    unsigned n_op;
    od_op op[OD_CASE_MAX_OPS];

    od_options options; /* `hidden` is never part of a case */

    bool only_scaler; /* of the two engines' answers only the scaler's loc and scale are compared */

    char expect[OD_CASE_TEXT]; /* "pass", or the signature whose absence is then the finding; a field that is "*" may be
                                * any */

    /* after a finding; found_verdict "" = none */
    char found_verdict[32], found_signature[OD_CASE_TEXT], found_pair[64], found_environment[OD_CASE_TEXT];
    double found_value, found_bound;

    char path[OD_CASE_PATH]; /* the file it was read from, "" = none: base of relative paths; not part of the JSON */
} od_case;

/* A case with defaults: seed-tiny, weight seed 0, gain 1, batch 1, variates 1, normal series, no schedule. */
void od_case_init(od_case *c);

/* What was said (note, expect) and found about a case does not hold of another that is made from it. */
void od_case_forget_verdict(od_case *c);

/* Limits, and that the schedule makes sense: prefill before decode, one prefill between resets, sessions numbered
 * without gaps, series long enough, tensor sizes within memory. */
enum od_status od_case_check(const od_case *c, od_error *e);

/* text[0, size) → *c, checked. Unknown or duplicate keys, wrong types, numbers out of range, trailing text:
 * OD_BAD_INPUT with line and column or the key's path. `path` (may be "") is kept as the base of relative paths. */
enum od_status od_case_parse(od_case *c, const char *text, size_t size, const char *path, od_error *e);
enum od_status od_case_read(od_case *c, const char *path, od_error *e);

/* Canonical JSON (fixed key order, defaults left out where the schema says so, shortest round-trip floats, a final
 * newline), malloc'd; the caller frees. parse(format(c)) == c and format is idempotent. Paths are rewritten to be
 * relative to the folder of new_path, where that is not NULL. */
enum od_status od_case_format(char **text, size_t *size, const od_case *c, const char *new_path, od_error *e);
enum od_status od_case_write(const od_case *c, const char *path, od_error *e);

/* Builds the model: from the seed, or from the folder, whose files' size and XXH64 must match (else OD_BAD_INPUT). */
enum od_status od_case_model(od_model **out, od_case *c, od_error *e);

/* The series of session s: as many steps as the schedule takes from it: after a prefill of n steps, decoded patch k
 * (own ones counted) stands at raw steps [n + k·P, n + (k+1)·P); own patches at the very end are not in the series. The
 * context that padded_variate empties is the session's longest prefill. The caller frees *s. */
enum od_status od_case_series(od_series *s, const od_case *c, unsigned session, od_error *e);

/* Raw steps that session s needs as `limit` (padding and own patches included), and its number of sessions. */
size_t od_case_limit(const od_case *c, unsigned session);
unsigned od_case_sessions(const od_case *c);

/* Everything that decides the outcome, hashed: XXH64 of the canonical text without note, expect, finding and the paths
 * of external files (their digests stand for them, so that a copy in another folder is the same case). Never 0 but for
 * want of memory. */
uint64_t od_case_hash(const od_case *c);

/* Is the case where engines that differ by float32 rounding alone must agree within the contract (case_domain.c)? The
 * case has passed od_case_check, and its config is filled. A CSV that cannot be read is outside. */
bool od_case_in_domain(const od_case *c);

/* Case i of seed S: depends on (S, i, profile) and the version of this program alone (its generators are narrowed and
 * widened; a finding's file keeps). `mixed` takes turns: its case i is case i of default, boundary, default or
 * session. */
enum od_profile {
    OD_PROFILE_DEFAULT,
    OD_PROFILE_RATE,
    OD_PROFILE_BASE,
    OD_PROFILE_BOUNDARY,
    OD_PROFILE_SESSION,
    OD_PROFILE_MIXED
};
enum od_status od_profile_parse(enum od_profile *p, const char *name, od_error *e);
void od_case_generate(od_case *c, uint64_t seed, uint64_t index, enum od_profile profile);

/* One structure-aware step, all randomness from seed; the result passes od_case_check and lies in the domain where the
 * contract is meant to hold (as od_case_generate's do). */
void od_case_mutate(od_case *c, uint64_t seed);

/* A new case from parts of two (model of one, series of the other, …). */
void od_case_cross(od_case *c, const od_case *other, uint64_t seed);

/* Narrowing, for those who look at one part of the fast path. Contexts alone: decode steps go. */
void od_case_keep_prefills(od_case *c);

/* A schedule with decode steps and something that they may not depend on beside one another: a second step, session,
 * reset or new capture. One that has both stays as it is; else all randomness from seed, as in od_case_mutate. */
void od_case_make_stateful(od_case *c, uint64_t seed);
bool od_case_is_stateful(const od_case *c);

#endif
