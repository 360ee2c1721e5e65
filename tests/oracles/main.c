/* Runs every suite of oracles/. A suite is added here, in suites.h and in CMakeLists.txt. */
#include "tests/oracles/suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracles/worker_double.h"

static Suite *(*const suites[])(void) = {
    suite_compare,      suite_tolerance, suite_player,   suite_oracles,     suite_rulings,  suite_modes,
    suite_nearness,     suite_judge,     suite_report,   suite_golden,      suite_pairs,    suite_known,
    suite_kinds,        suite_baseline,  suite_weights,  suite_drift,       suite_bisect,   suite_shrink,
    suite_shrink_moves, suite_explain,   suite_rerun,    suite_consistency, suite_spent,    suite_doubles,
    suite_witness,      suite_recorder,  suite_digest,   suite_metrics,     suite_envelope, suite_shift,
    suite_worker,       suite_recheck,   suite_features, suite_reasons,     suite_figures,  suite_figures_consistency,
};

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "worker") == 0) return worker_double(argv[2]);
    SRunner *runner = srunner_create(NULL);
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) srunner_add_suite(runner, suites[i]());
    srunner_run_all(runner, CK_NORMAL);
    int run = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (run == 0) fprintf(stderr, "no test ran\n");
    return run > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
