#include "gpu/device/host_gemm.h"

#include <stdint.h>
#include <string.h>

enum { LANES = 16, CHUNK = 128, ROWS = 4 };

typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));
typedef float quad __attribute__((vector_size(4 * sizeof(float)), aligned(4)));

/* panel[i][j] = w[j][i] for four j and four i: four loads and four stores in the place of sixteen. */
static inline __attribute__((always_inline)) void pack_quad(float *restrict panel, const float *restrict w,
                                                            size_t stride) {
    quad a, b, c, d;
    memcpy(&a, w, sizeof a);
    memcpy(&b, w + stride, sizeof b);
    memcpy(&c, w + 2 * stride, sizeof c);
    memcpy(&d, w + 3 * stride, sizeof d);
    const quad low_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), low_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const quad high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7), high_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    const quad out[4] = {
        __builtin_shufflevector(low_ab, low_cd, 0, 1, 4, 5), __builtin_shufflevector(low_ab, low_cd, 2, 3, 6, 7),
        __builtin_shufflevector(high_ab, high_cd, 0, 1, 4, 5), __builtin_shufflevector(high_ab, high_cd, 2, 3, 6, 7)};
    for (size_t i = 0; i < 4; i++) memcpy(panel + i * LANES, &out[i], sizeof out[i]);
}

/* panel[i][j] = w[j][i]: outputs become lanes, so that no sum crosses lanes. Missing outputs are zero. */
static inline __attribute__((always_inline)) void pack(float *restrict panel, const float *restrict w, size_t n,
                                                       size_t k, size_t stride) {
    const size_t whole = n / 4 * 4;
    size_t i = 0;
    for (; i + 4 <= k; i += 4)
        for (size_t j = 0; j < whole; j += 4) pack_quad(panel + i * LANES + j, w + j * stride + i, stride);
    for (; i < k; i++)
        for (size_t j = 0; j < whole; j++) panel[i * LANES + j] = w[j * stride + i];
    if (whole == LANES) return;
    for (i = 0; i < k; i++)
        for (size_t j = whole; j < LANES; j++) panel[i * LANES + j] = j < n ? w[j * stride + i] : 0;
}

/* Where the sums go: lane j of row r to y[r·row + j·lane], set or added to. */
typedef struct target {
    float *y;
    size_t n, row, lane; /* n: lanes that count */
    int first;
} target;

static inline __attribute__((always_inline)) void store(const target *t, size_t r, const lanes *sum) {
    float *y = t->y + r * t->row, part[LANES];
    if (t->n == LANES && t->lane == 1) {
        lanes s = *sum;
        if (!t->first) {
            lanes was;
            memcpy(&was, y, sizeof was);
            s = was + s;
        }
        memcpy(y, &s, sizeof s);
        return;
    }
    memcpy(part, sum, sizeof part);
    for (size_t j = 0; j < t->n; j++) y[j * t->lane] = t->first ? part[j] : y[j * t->lane] + part[j];
}

/* n rows of x, n being known when it is compiled, against one panel. */
static inline __attribute__((always_inline)) void some_rows(const target *t, size_t r, const float *x,
                                                            const float *panel, size_t n, size_t k, size_t stride) {
    lanes sum[ROWS] = {{0}};
    for (size_t i = 0; i < k; i++) {
        lanes p;
        memcpy(&p, panel + i * LANES, sizeof p);
        for (size_t q = 0; q < n; q++) sum[q] += x[(r + q) * stride + i] * p;
    }
    for (size_t q = 0; q < n; q++) store(t, r + q, &sum[q]);
}

/* Rows [0, rows) of x against one panel. Every row is summed alike, alone or in a group of ROWS. */
static inline __attribute__((always_inline)) void rows_by_panel(const target *t, const float *x, const float *panel,
                                                                size_t rows, size_t k, size_t stride) {
    size_t r = 0;
    for (; r + ROWS <= rows; r += ROWS) some_rows(t, r, x, panel, ROWS, k, stride);
    switch (rows - r) {
    case 3: some_rows(t, r, x, panel, 3, k, stride); break;
    case 2: some_rows(t, r, x, panel, 2, k, stride); break;
    case 1: some_rows(t, r, x, panel, 1, k, stride); break;
    default: break;
    }
}

/* Few outputs would leave most lanes empty: then rows of x become lanes instead. Each sum is the same, term by term. */
static inline __attribute__((always_inline)) void product(float *y, const float *x, const float *w, size_t m, size_t n,
                                                          size_t k) {
    float panel[CHUNK * LANES];
    const int turned = n < LANES && m > n;
    const float *wide = turned ? x : w, *narrow = turned ? w : x;
    const size_t n_wide = turned ? m : n, n_narrow = turned ? n : m;
    for (size_t j = 0; j < n_wide; j += LANES) {
        const size_t width = n_wide - j < LANES ? n_wide - j : LANES;
        target t = {.y = y + j * (turned ? n : 1), .n = width, .row = turned ? 1 : n, .lane = turned ? n : 1};
        for (size_t i = 0; i < k; i += CHUNK) {
            const size_t depth = k - i < CHUNK ? k - i : CHUNK;
            t.first = i == 0;
            pack(panel, wide + j * k + i, width, depth, k);
            rows_by_panel(&t, narrow + i, panel, n_narrow, depth, k);
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
