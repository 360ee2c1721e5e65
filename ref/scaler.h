/* The input scaler (model.md, 2): statistics of one series in double, summed in order of time, so that carrying the
 * sums from call to call rounds as recomputing from the first step does. Shared by both precisions; rounding loc and
 * scale to the working precision is the caller's. Source: toto.model.scaler. */
#ifndef OD_REF_SCALER_H
#define OD_REF_SCALER_H

#include "model/config.h"

typedef struct od_ref_scaler {
    double weight, sum;               /* Σw, Σwx over the steps seen */
    double mean, m2;                  /* causal mean of the last step seen (0 before the first), Welford's sum */
    double global_mean, global_scale; /* over the prefix alone */
} od_ref_scaler;

/* Starts a series whose prefix (padded context) is x[n_prefix], w[n_prefix]: w is 1 at a real value, else 0. */
void od_ref_scaler_begin(od_ref_scaler *s, const od_config *config, const double *x, const uint8_t *w, size_t n_prefix);

/* loc[n_step], scale[n_step] of the next n_step steps x, w, a multiple of the patch. The first call after begin takes
 * the prefix itself. StdMeanScaler repeats its one value. */
void od_ref_scaler_next(od_ref_scaler *s, double *loc, double *scale, const od_config *config, const double *x,
                        const uint8_t *w, size_t n_step);

#endif
