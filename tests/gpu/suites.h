#ifndef OD_TESTS_GPU_SUITES_H
#define OD_TESTS_GPU_SUITES_H

#include <check.h>

#include "gpu/device/device.h"
#include "gpu/gpu.h"
#include "tests/common/sanitized.h"

/* Under a sanitizer every fourth round of a long loop is enough. */
static inline bool test_left_out(int round) {
    return TEST_SANITIZED && round % 4 != 0;
}

Suite *suite_gemm(void);
Suite *suite_device(void);
Suite *suite_transfer(void);
Suite *suite_engine(void);
Suite *suite_edges(void);
Suite *suite_row_chain(void);
Suite *suite_product(void);
Suite *suite_switches(void);
Suite *suite_captures(void);
Suite *suite_kernels(void);
Suite *suite_attention(void);
Suite *suite_fused_attention(void);
Suite *suite_fused_group(void);
Suite *suite_attend_small(void);
Suite *suite_scaler(void);
Suite *suite_fold(void);
Suite *suite_emit(void);
Suite *suite_norm_rows(void);
Suite *suite_front(void);
Suite *suite_row_product(void);
Suite *suite_invariance(void);
Suite *suite_requests(void);
Suite *suite_vectors(void);

/* The device and the engine under test: the twin, or with OD_TEST_ENGINE=gpu the real thing. */
const od_device_ops *test_device(void);
const od_engine_api *test_engine(void);

#endif
