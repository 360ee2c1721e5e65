/* How two engines part over decode steps: rounding that grows by about the same factor each step, or a step at which
 * something else sets in. Describes; no verdict follows from it. */
#ifndef OD_ORACLES_DRIFT_H
#define OD_ORACLES_DRIFT_H

#include <stddef.h>

#include "model/status.h"

enum od_drift_kind {
    OD_DRIFT_SHORT,  /* fewer steps than a line can be drawn through */
    OD_DRIFT_STEADY, /* one factor a step explains all */
    OD_DRIFT_JUMP,   /* from step `at` on the error is `factor` times what the steps before let expect */
    OD_DRIFT_SPIKE   /* so at step `at`, and back afterwards */
};

typedef struct od_drift {
    enum od_drift_kind kind;
    double growth; /* factor a step: the median of all; 1 where there is none */
    double spread; /* of the steps' factors around it, as a factor (exp of 1.4826 times the median deviation); >= 1 */
    size_t at;     /* index into error */
    double factor; /* infinite where an error is no finite number */
} od_drift;

enum { OD_DRIFT_LEAST = 5 };

/* error[n]: one non-negative number a step, in order (the mean absolute error, or the largest use of the contract); NaN
 * and infinite ones are jumps. OD_NO_MEMORY. */
enum od_status od_drift_fit(od_drift *out, const double *error, size_t n, od_error *e);

#endif
