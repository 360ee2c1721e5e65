/* How row_chain lays out its shared memory: plain C, for the host that plans it and the kernel that uses it. */
#ifndef OD_GPU_ROW_CHAIN_H
#define OD_GPU_ROW_CHAIN_H

#include "gpu/kernels/kernels.h"

#ifdef __CUDACC__
#define OD_CHAIN static __host__ __device__ __forceinline__
#else
#define OD_CHAIN static inline
#endif

enum {
    OD_CHAIN_ROWS = 8,           /* rows a block */
    OD_CHAIN_THREADS = 256,      /* a block */
    OD_CHAIN_PARTS = 8,          /* sums that a row's squares are added up in */
    OD_CHAIN_FLOATS = 24 * 1024, /* shared memory a block, at most */
    OD_CHAIN_WEIGHTS = 1 << 14   /* floats of one product's weights, at most */
};

/* Floats from one row of w to the next: neighbours begin in other banks, and rows of whole float4s at 16 bytes. */
OD_CHAIN uint32_t od_chain_stride(uint32_t width) {
    return width % 4 == 0 ? width + 4 : width | 1u;
}

/* Rows of w; and, behind them in shared memory, where bias and scale begin. */
OD_CHAIN uint32_t od_chain_weights(const od_chain_link *l) {
    return l->epilogue == OD_EPILOGUE_SWIGLU ? 2 * l->outs : l->outs;
}
OD_CHAIN uint32_t od_chain_bias_at(const od_chain_link *l) {
    return (od_chain_weights(l) * od_chain_stride(l->depth) + 3) / 4 * 4;
}
OD_CHAIN uint32_t od_chain_norm_at(const od_chain_link *l) {
    return od_chain_bias_at(l) + (od_chain_weights(l) + 3) / 4 * 4;
}
OD_CHAIN uint32_t od_chain_link_floats(const od_chain_link *l) {
    return od_chain_norm_at(l) + (l->norm ? (l->depth + 3) / 4 * 4 : 0);
}
/* Eight rows of a slot, side by side. */
OD_CHAIN uint32_t od_chain_slot_floats(uint32_t width) {
    return OD_CHAIN_ROWS * width;
}

/* Is the product one that goes into chains? A matter of its weight's shape, and a chain's rows are tokens. A gated one
 * is normed there. */
OD_CHAIN bool od_chain_takes(const od_product_args *p) {
    if (p->rows == OD_ROWS_STEPS) return false;
    if (p->epilogue == OD_EPILOGUE_SWIGLU && !p->norm) return false;
    const uint64_t rows = (uint64_t)p->outs * (p->epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1);
    return rows * p->depth <= OD_CHAIN_WEIGHTS && rows * od_chain_stride(p->depth) <= OD_CHAIN_FLOATS * 3 / 4;
}

/* Appends a product, which od_chain_takes, to a chain (zeroed before its first, but for `call`); false, and the chain
 * is as before, where there is no room. */
bool od_chain_add(od_row_chain_args *chain, const od_product_args *product);

/* For as many tokens as a bucket holds. */
OD_CHAIN od_grid od_chain_grid(const od_row_chain_args *chain, size_t capacity) {
    od_grid grid = {0};
    grid.x = (unsigned)((capacity + OD_CHAIN_ROWS - 1) / OD_CHAIN_ROWS);
    grid.y = 1;
    grid.threads = OD_CHAIN_THREADS;
    grid.shared = (chain->floats + OD_CHAIN_PARTS * OD_CHAIN_ROWS) * (unsigned)sizeof(float) +
                  2 * OD_CHAIN_ROWS * (unsigned)sizeof(int64_t);
    return grid;
}

#endif
