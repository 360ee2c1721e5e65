#define OD_REF_BITS 64
#include "tests/ref/ops_tests.inc"

Suite *suite_ops64(void) {
    return ops_suite("operations, float64");
}
