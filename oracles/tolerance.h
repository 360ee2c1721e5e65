/* Every bound that decides a verdict, and nothing else; tolerance.c says where each number comes from. */
#ifndef OD_ORACLES_TOLERANCE_H
#define OD_ORACLES_TOLERANCE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct od_tolerance {
    double mae;            /* accuracy: mean absolute error of one tensor at one step, model space */
    double max_abs;        /* accuracy: largest single difference, model space */
    double free_mae;       /* golden vectors: mean absolute error of a whole free-running forecast, model space */
    double golden;         /* ref64 against a golden value, relative to max(1, |value|) */
    double arbiter_share;  /* share of the contract above which ref64 is asked who is nearer */
    double gain_limit;     /* weights' gain above which free-running tensors are not contractual */
    double memory_ratio;   /* peak bytes, fast over plain; live bytes, later request over the second */
    double witness_slope;  /* bytes a request by which a witness of memory may grow: bound of the slope's lower end */
    double witness_z;      /* quantile of that end: one-sided, normal */
    double witness_step;   /* bytes from which on one request's growth is worth a whole series of readings: malloc's, */
    double witness_pages;  /* and of those who count pages */
    double graph_bytes;    /* host bytes that one captured graph may take beside that ratio */
    double speed_ratio;    /* seconds, fast over plain */
    double waits_call;     /* times a call may wait for its device, with its answers */
    double copied_call;    /* bytes that a call may copy to its device, */
    double copied_windows; /* beside so many times what it is given */
    double near_mean;      /* distance to ref64, fast over ref: geometric mean over the tensors of a class */
    double near_each;      /* the same of one tensor; or */
    double near_abs;       /* the fast path's distance alone */
    double near_floor;     /* a distance below it counts as it */
    size_t near_values;    /* one tensor is judged if it has so many values, */
    size_t near_class;     /* a class's mean if its tensors have so many */
    double envelope_quantile;  /* envelope: the percentile of healthy comparisons, */
    double envelope_mae;       /* times this is the bound of MAE, */
    double envelope_max;       /* and times this that of the largest difference; */
    double envelope_mae_floor; /* which are never less than these, model space */
    double envelope_max_floor;
    size_t envelope_least;  /* a key has a percentile if it has so many comparisons */
    double envelope_gain;   /* weights' gain above which the envelope says nothing */
    double envelope_alarms; /* expected false alarms of the envelope, a case */
    double shift_z;         /* mean shift: standard errors from the healthy mean, */
    double shift_floor;     /* beyond this difference, model space, */
    size_t shift_least;     /* over so many cases; */
    double shift_alarms;    /* expected false alarms, a run */
} od_tolerance;

extern const od_tolerance od_bounds;

/* err <= bound, so that NaN fails; a bound that is met exactly holds. */
bool od_within(double err, double bound);

/* Share of the contract that a pair of errors uses: max(mae/bound, max_abs/bound), infinite where either is no number.
 * The contract holds exactly where the share is at most 1. */
double od_contract_share(double mae, double max_abs);

#endif
