/* Who is nearer to float64, over many tensors: each call's answer of each name is one. Beside the contract, and
 * stricter where it can be: an order of summation that loses digits shows here long before it leaves the contract. */
#ifndef OD_ORACLES_NEARNESS_H
#define OD_ORACLES_NEARNESS_H

#include "oracles/trace.h"

/* The tensors of one class. Distances are mean absolute errors against float64, model space; a ratio is the fast path's
 * distance over the reference's, both taken as at least od_bounds.near_floor. */
typedef struct od_nearness {
    size_t n, n_far;  /* tensors; those that are too far */
    size_t values;    /* of all of them */
    double log_ratio; /* sum of the ratios' natural logarithms; infinite where a distance is no number */
    double use;       /* of the worst tensor: share of what it may be off by; 0: too few values to say */
    double ratio, ref, fast;
    od_call_at at;
    char name[OD_NAME_MAX];
} od_nearness;

/* One more tensor, of so many values. */
void od_nearness_add(od_nearness *near, double ref, double fast, size_t values, const char *name, const od_call_at *at);

/* All of `other`, too. True: the worst tensor is the other's. */
bool od_nearness_merge(od_nearness *near, const od_nearness *other);

/* Geometric mean of the ratios; NaN where there is no tensor. */
double od_nearness_mean(const od_nearness *near);

/* Are there values enough to hold the mean to its bound? */
bool od_nearness_is_judged(const od_nearness *near);

/* No tensor is too far, and the mean is within its bound if it is judged. True where there is no tensor. */
bool od_nearness_holds(const od_nearness *near);

#endif
