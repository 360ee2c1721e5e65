/* A small model in closed form that has every symmetry the relations speak of, and loses one on demand.
 *
 * At step t of variate v, x being its raw values (0 where the mask is 0 and in front of the context):
 *   loc = Σ_{s<=t} x_s / 8 + Σ_{u in v's group} x_u,t / 4;  mean of a patch: loc of the last step, times 1, 1/2, 1/3,
 * …; scaler_scale = 1. */
#ifndef OD_TESTS_ORACLES_CAUSAL_ENGINE_H
#define OD_TESTS_ORACLES_CAUSAL_ENGINE_H

#include "model/case.h"
#include "oracles/relations.h"

/* What an engine may do wrong in second plays alone. */
enum causal_wrong { CAUSAL_RIGHT, CAUSAL_MISSING, CAUSAL_TYPE, CAUSAL_REFUSES, CAUSAL_NO_MEMORY, CAUSAL_FAULTS };

typedef struct causal_knobs {
    int broken;              /* number of the relation that does not hold; -1: all do. Bit by bit: by one bit a row */
    double by;               /* of relations within the contract: so much is added to every loc */
    bool nan;                /* loc is NaN everywhere */
    enum causal_wrong wrong; /* in sessions of batch 1 */
    unsigned n_create, n_open, n_live, n_call;
} causal_knobs;

extern causal_knobs causal;
void causal_reset(void);
const od_engine_api *causal_engine(void);

/* A case inside the domain of every relation: 2 x 4 series in groups 0 0 1 1, two interleaved sessions, one of them
 * reset, a context that is no multiple of the patch. */
void causal_case(od_case *c);

#endif
