/* How often a finding shows: k of n runs, with the interval that they allow. */
#ifndef OD_ORACLES_RATE_H
#define OD_ORACLES_RATE_H

/* 95 % confidence interval of a probability after k successes in n trials, 0 <= k <= n, n > 0: Clopper and Pearson
 * (Biometrika 26, 1934), which errs on the wide side. low is 0 for k = 0, high is 1 for k = n. */
void od_rate_interval(double *low, double *high, unsigned k, unsigned n);

/* Fewest trials without a success that have a probability of at most `chance` where each succeeds with probability
 * rate: (1 - rate)^n <= chance. At least 1; UINT_MAX where rate is too small for a number. 0 < chance < 1. */
unsigned od_rate_trials(double rate, double chance);

#endif
