/* Two files of tensors, one the reference: does every tensor of the one stand in the other within the bounds? For
 * golden vectors and what `oracle-diff forward` writes. */
#ifndef OD_ORACLES_GOLDEN_H
#define OD_ORACLES_GOLDEN_H

#include "model/safetensors.h"
#include "oracles/compare.h"

enum od_golden_state {
    OD_GOLDEN_OK,
    OD_GOLDEN_EMPTY,
    OD_GOLDEN_DIFFERS,
    OD_GOLDEN_MISSHAPEN,
    OD_GOLDEN_MISSING,
    OD_GOLDEN_EXTRA
};

typedef struct od_golden_row {
    char name[OD_NAME_MAX];
    enum od_golden_state state;
    od_comparison cmp; /* of the whole tensor */
    double first_mae;  /* forecast_*: of its first patch; else that of the whole */
    double used;       /* share of what decides: the contract, or `relative`; infinite where no number */
    double relative;   /* largest |a-b| / max(1, |a|); only with `relative` */
} od_golden_row;

typedef struct od_golden {
    size_t n, n_compared, n_bad; /* n_compared: tensors with at least one element on both sides */
    od_golden_row *row;          /* worst first; the caller frees with od_golden_free */
} od_golden;

/* Tensors named in.* are no answers and are left out. With relative > 0 every element is held to
 * |a-b| <= relative·max(1, |a|). Else the contract holds in model space: prefill.scaler_* and forecast_* are divided by
 * the mean of a's prefill.scaler_scale; of forecast_* the first patch (as long as uncached.0.loc) is held to the
 * contract and the whole to the bound of free-running forecasts.
 * OD_BAD_INPUT where a lacks a tensor that this needs; differences are rows, not errors. */
enum od_status od_golden_compare(od_golden *out, const od_safetensors *a, const od_safetensors *b, double relative,
                                 od_error *e);
void od_golden_free(od_golden *g); /* a zeroed one is fine */

const char *od_golden_state_name(enum od_golden_state state); /* "ok", "empty", "differs", … */

#endif
