/* The fast path's tests. OD_TEST_ENGINE=gpu runs them on a CUDA device instead of the twin; run with CK_FORK=no there
 * (a process must not fork after CUDA is up). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/suites.h"

static int on_gpu(void) {
    const char *name = getenv("OD_TEST_ENGINE");
    return name && strcmp(name, "gpu") == 0;
}

const od_device_ops *test_device(void) {
    return on_gpu() ? od_device_cuda() : od_device_host();
}

const od_engine_api *test_engine(void) {
    return on_gpu() ? od_gpu_engine() : od_twin_engine();
}

/* With any argument: only says whether the device is there. 77: CTest's "skipped". */
int main(int argc, char **argv) {
    od_error err;
    if (test_device()->probe(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 77;
    }
    if (argc > 1) return EXIT_SUCCESS;
    SRunner *runner = srunner_create(suite_gemm());
    srunner_add_suite(runner, suite_device());
    srunner_add_suite(runner, suite_transfer());
    srunner_add_suite(runner, suite_kernels());
    srunner_add_suite(runner, suite_attention());
    srunner_add_suite(runner, suite_fused_attention());
    srunner_add_suite(runner, suite_fused_group());
    srunner_add_suite(runner, suite_attend_small());
    srunner_add_suite(runner, suite_scaler());
    srunner_add_suite(runner, suite_fold());
    srunner_add_suite(runner, suite_emit());
    srunner_add_suite(runner, suite_norm_rows());
    srunner_add_suite(runner, suite_front());
    srunner_add_suite(runner, suite_engine());
    srunner_add_suite(runner, suite_edges());
    srunner_add_suite(runner, suite_row_product());
    srunner_add_suite(runner, suite_row_chain());
    srunner_add_suite(runner, suite_product());
    srunner_add_suite(runner, suite_switches());
    srunner_add_suite(runner, suite_captures());
    srunner_add_suite(runner, suite_invariance());
    srunner_add_suite(runner, suite_requests());
    srunner_add_suite(runner, suite_vectors());
    if (on_gpu()) srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    const int ran = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (ran == 0) fprintf(stderr, "no test ran\n");
    return ran > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
