/* The mean shift: does fast - ref lean one way? A fault that moves an output by less than any single case shows moves
 * the mean of many.
 *
 * The unit is the case: of each tensor class and step class the mean over its contractual tensors of fast - ref with
 * its sign, model space. Tensors of one case share their weights and are no independent witnesses; cases are. Their
 * mean over a run is held against the envelope's healthy mean by Welch's z, and must also be off by more than a floor,
 * so that a million cases do not make a healthy bias of 1e-10 a finding. Bounds and their false-alarm rate:
 * tolerance.c. */
#ifndef OD_ORACLES_SHIFT_H
#define OD_ORACLES_SHIFT_H

#include "oracles/evidence.h"

/* Sums over the cases of a run. */
typedef struct od_shift_sum {
    size_t cases;
    double sum, sum2;
} od_shift_sum;

typedef struct od_shifts {
    od_shift_sum of[OD_TENSORS][OD_STEPS];
} od_shifts;

/* One more case, whose evidence has measures. */
void od_shifts_add(od_shifts *s, const od_evidence *ev);

/* Cases, their mean and standard deviation (0 for fewer than 2). */
od_envelope_shift od_shift_of(const od_shift_sum *sum);

enum od_shift_state { OD_SHIFT_NOT_ASKED, OD_SHIFT_HOLDS, OD_SHIFT_ALARM };

typedef struct od_shift_test {
    enum od_shift_state state; /* NOT_ASKED: too few cases, of the run or of the envelope */
    od_envelope_shift seen;
    double shift, z; /* from the healthy mean: by how much, in how many standard errors */
} od_shift_test;

od_shift_test od_shift_judge(const od_shift_sum *sum, const od_envelope_shift *healthy);

#endif
