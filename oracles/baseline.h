/* A baseline: what an engine answered to cases once, kept in a folder, so that another build, card, driver or day can
 * be held against it, bit by bit and by how much. The folder has
 *
 *   - baseline.json: where and when it was made, and its cases. It is written last: a folder without it is no baseline;
 *   - for each case <name>-<hash>.json, and <name>-<hash>.safetensors with every tensor of every call as
 *     "<op>.<call>.<name>".
 *
 * A case's external files (CSV, model folder) stay where they are, and are found by the same relative path. */
#ifndef OD_ORACLES_BASELINE_H
#define OD_ORACLES_BASELINE_H

#include "oracles/compare.h"
#include "oracles/trace.h"

enum { OD_BASELINE_TEXT = 256, OD_BASELINE_MAX_BYTES = 64 << 20 };

/* Where answers were computed. Facts in pairs of a name and a text, so that two places are compared name by name. */
enum {
    OD_ORIGIN_ENGINE,
    OD_ORIGIN_DEVICE,
    OD_ORIGIN_MATH,
    OD_ORIGIN_VERSION,
    OD_ORIGIN_BUILD,
    OD_ORIGIN_COMPILER,
    OD_ORIGIN_TOOLKIT,
    OD_ORIGIN_CARD,
    OD_ORIGIN_DRIVER,
    OD_ORIGIN_CPU,
    OD_ORIGIN_OS,
    OD_ORIGIN_TIME,
    OD_ORIGIN_SET, /* switches put over the cases' own */
    OD_ORIGIN_FACTS
};
typedef struct od_origin {
    char fact[OD_ORIGIN_FACTS][OD_BASELINE_TEXT];
} od_origin;

const char *od_origin_name(int fact); /* "engine", … */

typedef struct od_baseline_case {
    char file[OD_CASE_PATH]; /* <name>-<hash>, without ending */
    uint64_t digest;         /* sum of the tensors' XXH64, each seeded by its name's: of another file's copy the same */
    size_t n_tensor;
} od_baseline_case;

typedef struct od_baseline {
    od_origin place;
    od_baseline_case *item;
    size_t n, cap;
} od_baseline;

void od_baseline_free(od_baseline *b); /* a zeroed one is fine */

/* Plays the case once on a fresh engine. The trace is cleared first; OD_OK or what the engine said. */
enum od_status od_baseline_play(od_trace *out, const od_engine_api *api, const od_script *script, od_error *e);

/* Name of a case's files: its own, with what is no letter, digit, '-', '_' or '.' replaced, and its hash.
 * OD_NO_MEMORY where there is none for the case's text, whose hash that is. */
enum od_status od_baseline_file(char file[OD_CASE_PATH], const char *name, const od_case *c, od_error *e);

/* Writes a case and its answers into the folder, and adds them to the list. `name`: of the case, for its files. */
enum od_status od_baseline_keep(od_baseline *b, const char *dir, const char *name, const od_case *c,
                                const od_trace *trace, od_error *e);

/* DIR/baseline.json, out and in. OD_BAD_INPUT with the entry and key where a list is wrong. */
enum od_status od_baseline_write(const od_baseline *b, const char *dir, od_error *e);
enum od_status od_baseline_read(od_baseline *out, const char *dir, od_error *e);

/* All tensors of a class. */
typedef struct od_change {
    size_t n, changed, bad; /* compared; of them, with other bits; of them, outside the contract where it holds */
    od_comparison worst;    /* of the greatest share */
    double share;           /* of the contract; 0 where no bit changed */
    char name[OD_NAME_MAX]; /* "<op>.<call>.<name>" of the worst, */
    size_t at;              /* of this case, by its number among those compared */
} od_change;

typedef struct od_changes {
    od_change of[OD_TENSORS];
    size_t n_case, n, changed, bad;
    char structure[OD_BASELINE_TEXT]; /* a tensor that is missing, new or misshapen; "" = none */
} od_changes;

/* Is everything there, and within the contract? */
bool od_changes_hold(const od_changes *sum);

/* Adds what a trace of the case has changed against DIR/<item>.safetensors. In model space: the unit is the baseline's
 * mean scale of the session's prefill. NaN is outside where the contract holds and the bits differ. */
enum od_status od_baseline_compare(od_changes *sum, const char *dir, const od_baseline_case *item, const od_case *c,
                                   const od_trace *trace, od_error *e);

#endif
