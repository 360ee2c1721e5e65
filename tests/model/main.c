/* Runs every suite of model/. A suite is added here, in suites.h and in CMakeLists.txt. */
#include "model/suites.h"

#include <stdio.h>
#include <stdlib.h>

static Suite *(*const suites[])(void) = {
    suite_status,   suite_rng,    suite_file,  suite_options, suite_config, suite_safetensors, suite_safetensors_write,
    suite_model,    suite_load,   suite_rope,  suite_series,  suite_csv,    suite_case,        suite_case_series,
    suite_generate, suite_domain, suite_edges,
};

/* Tests ask for more memory than there is and want NULL, under AddressSanitizer too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

int main(void) {
    SRunner *runner = srunner_create(NULL);
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) srunner_add_suite(runner, suites[i]());
    srunner_run_all(runner, CK_NORMAL);
    int run = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (run == 0) fprintf(stderr, "no test ran\n");
    return run > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
