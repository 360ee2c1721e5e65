#include "gpu/device/host_product.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "faults/fault.h"
#include "gpu/device/host_gemm.h"

/* A tile of outputs is summed into memory of its own, so that an epilogue may read what it replaces. */
enum { ROWS = 64, OUTS = 128 };

static void finish(float *y, const float *sum, const float *up, const od_product_args *a, size_t rows, size_t first,
                   size_t n, size_t end) {
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < end; j++) {
            float *out = y + r * a->outs + first + j;
            const float s = sum[r * n + j] + a->bias[first + j];
            switch (a->epilogue) {
            case OD_EPILOGUE_BIAS: *out = s; break;
            case OD_EPILOGUE_RESIDUAL: *out += s; break;
            case OD_EPILOGUE_SWIGLU:
                *out = s / (1.0f + expf(-s)) * (up[r * n + j] + a->bias[a->outs + first + j]);
                break;
            }
        }
    }
}

/* By fault: n values as TF32 keeps them, which the caller frees; C is compiled without contraction, which would undo
 * it. */
static float *rounded(const float *x, size_t n) {
    float *y = malloc(n * sizeof *y);
    for (size_t i = 0; y && i < n; i++) {
        const float c = x[i] * 8193;
        y[i] = c - (c - x[i]);
    }
    return y;
}

/* Rows that lie together. */
static void block(float *y, const float *x, const od_product_args *a, size_t rows) {
    float sum[ROWS * OUTS], up[ROWS * OUTS], *coarse = NULL;
    if (OD_FAULT_WHEN(TF32, a->rows == OD_ROWS_TOKENS) && (coarse = rounded(x, rows * a->depth))) x = coarse;
    for (size_t first = 0; first < a->outs; first += OUTS) {
        const size_t n = a->outs - first < OUTS ? a->outs - first : OUTS;
        od_host_gemm(sum, x, a->w + first * a->depth, rows, n, a->depth);
        if (a->epilogue == OD_EPILOGUE_SWIGLU)
            od_host_gemm(up, x, a->w + (a->outs + first) * a->depth, rows, n, a->depth);
        const bool less = OD_FAULT_WHEN(PRODUCT_ROW, a->rows == OD_ROWS_TOKENS && rows == ROWS);
        const bool narrow = OD_FAULT_WHEN(RESIDUAL, a->epilogue == OD_EPILOGUE_RESIDUAL && n == OUTS);
        finish(y, sum, up, a, less ? rows - 1 : rows, first, n, narrow ? n - 1 : n);
    }
    free(coarse);
}

void od_host_product(const od_product_args *a) {
    const od_call *c = a->call;
    const float *x = c->scratch[a->x];
    float *y = c->scratch[a->y];
    assert(!a->norm && a->rows != OD_ROWS_STEPS);
    /* runs of rows that lie together in x: all tokens, or each row's last patches */
    const size_t runs = a->rows == OD_ROWS_TOKENS ? 1 : c->n_row;
    const size_t run = a->rows == OD_ROWS_TOKENS ? c->n_token : c->head_patch;
    const size_t skip = a->rows == OD_ROWS_TOKENS ? 0 : c->n_patch - c->head_patch;
    for (size_t i = 0; i < runs; i++)
        for (size_t r = 0; r < run; r += ROWS)
            block(y + (i * run + r) * a->outs, x + (i * (skip + run) + skip + r) * a->depth, a,
                  run - r < ROWS ? run - r : ROWS);
}
