/* The suites of tests/oracles. */
#ifndef OD_TESTS_ORACLES_SUITES_H
#define OD_TESTS_ORACLES_SUITES_H

#include <check.h>

Suite *suite_compare(void);
Suite *suite_tolerance(void);
Suite *suite_player(void);
Suite *suite_oracles(void);
Suite *suite_rulings(void);
Suite *suite_modes(void);
Suite *suite_nearness(void);
Suite *suite_judge(void);
Suite *suite_report(void);
Suite *suite_golden(void);
Suite *suite_pairs(void);
Suite *suite_known(void);
Suite *suite_kinds(void);
Suite *suite_baseline(void);
Suite *suite_weights(void);
Suite *suite_drift(void);
Suite *suite_bisect(void);
Suite *suite_shrink(void);
Suite *suite_shrink_moves(void);
Suite *suite_explain(void);
Suite *suite_rerun(void);
Suite *suite_consistency(void);
Suite *suite_spent(void);
Suite *suite_witness(void);
Suite *suite_recorder(void);
Suite *suite_digest(void);
Suite *suite_doubles(void);
Suite *suite_metrics(void);
Suite *suite_envelope(void);
Suite *suite_shift(void);
Suite *suite_worker(void);
Suite *suite_recheck(void);
Suite *suite_features(void);
Suite *suite_reasons(void);
Suite *suite_figures(void);
Suite *suite_figures_consistency(void);

#endif
