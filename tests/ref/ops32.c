#define OD_REF_BITS 32
#include "tests/ref/ops_tests.inc"

Suite *suite_ops32(void) {
    return ops_suite("operations, float32");
}
