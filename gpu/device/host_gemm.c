#include "gpu/device/host_gemm.h"

#include <stdint.h>
#include <string.h>

enum { LANES = 16, CHUNK = 128, ROWS = 4 };

typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

/* panel[i][j] = w[j][i]: outputs become lanes, so that no sum crosses lanes. Missing outputs are zero. */
static inline __attribute__((always_inline)) void pack(float *restrict panel, const float *restrict w, size_t n,
                                                       size_t k, size_t stride) {
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < k; i++) panel[i * LANES + j] = w[j * stride + i];
    for (size_t j = n; j < LANES; j++)
        for (size_t i = 0; i < k; i++) panel[i * LANES + j] = 0;
}

static inline __attribute__((always_inline)) void store(float *y, const lanes *sum, size_t n, int first) {
    float part[LANES];
    memcpy(part, sum, sizeof part);
    for (size_t j = 0; j < n; j++) y[j] = first ? part[j] : y[j] + part[j];
}

/* Rows [0, rows) of x against one panel. Every row is summed alike, alone or in a group of ROWS. */
static inline __attribute__((always_inline)) void rows_by_panel(float *y, const float *x, const float *panel,
                                                                size_t rows, size_t n, size_t k, size_t x_stride,
                                                                size_t y_stride, int first) {
    size_t r = 0;
    for (; r + ROWS <= rows; r += ROWS) {
        lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
        const float *x0 = x + r * x_stride, *x1 = x0 + x_stride, *x2 = x1 + x_stride, *x3 = x2 + x_stride;
        for (size_t i = 0; i < k; i++) {
            lanes p;
            memcpy(&p, panel + i * LANES, sizeof p);
            s0 += x0[i] * p;
            s1 += x1[i] * p;
            s2 += x2[i] * p;
            s3 += x3[i] * p;
        }
        store(y + r * y_stride, &s0, n, first);
        store(y + (r + 1) * y_stride, &s1, n, first);
        store(y + (r + 2) * y_stride, &s2, n, first);
        store(y + (r + 3) * y_stride, &s3, n, first);
    }
    for (; r < rows; r++) {
        lanes s = {0};
        for (size_t i = 0; i < k; i++) {
            lanes p;
            memcpy(&p, panel + i * LANES, sizeof p);
            s += x[r * x_stride + i] * p;
        }
        store(y + r * y_stride, &s, n, first);
    }
}

static inline __attribute__((always_inline)) void product(float *y, const float *x, const float *w, size_t m, size_t n,
                                                          size_t k) {
    float panel[CHUNK * LANES];
    for (size_t j = 0; j < n; j += LANES) {
        const size_t width = n - j < LANES ? n - j : LANES;
        for (size_t i = 0; i < k; i += CHUNK) {
            const size_t depth = k - i < CHUNK ? k - i : CHUNK;
            pack(panel, w + j * k + i, width, depth, k);
            rows_by_panel(y + j, x + i, panel, m, width, depth, k, n, i == 0);
        }
    }
}

static void product_plain(float *y, const float *x, const float *w, size_t m, size_t n, size_t k) {
    product(y, x, w, m, n, k);
}

#if defined(__x86_64__)
/* The same arithmetic with wider registers; without fma, so the bits are the same. */
__attribute__((target("avx2"))) static void product_avx2(float *y, const float *x, const float *w, size_t m, size_t n,
                                                         size_t k) {
    product(y, x, w, m, n, k);
}

__attribute__((target("avx512f"))) static void product_avx512(float *y, const float *x, const float *w, size_t m,
                                                              size_t n, size_t k) {
    product(y, x, w, m, n, k);
}
#endif

void od_host_gemm(float *y, const float *x, const float *w, size_t m, size_t n, size_t k) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        product_avx512(y, x, w, m, n, k);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        product_avx2(y, x, w, m, n, k);
        return;
    }
#endif
    product_plain(y, x, w, m, n, k);
}
