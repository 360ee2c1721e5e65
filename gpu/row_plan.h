/* How row_product splits its work: plain C, for the host that makes the plan and the kernel that follows it.
 *
 * A block owns some outputs, and therefore some rows of w. Its threads form groups of `lanes`; a group owns `tile` rows
 * of w, and its lanes take that rows' float4s in turn, `steps` each. Everything follows from the shape of w alone: so
 * does the order in which an output is summed. */
#ifndef OD_GPU_ROW_PLAN_H
#define OD_GPU_ROW_PLAN_H

#include "gpu/kernels/kernels.h"

#ifdef __CUDACC__
#define OD_BOTH static __host__ __device__ __forceinline__
#else
#define OD_BOTH static inline
#endif

enum {
    OD_ROW_GROUP = 8,     /* rows of x a block */
    OD_ROW_BLOCKS = 132,  /* one a multiprocessor of an H100 */
    OD_ROW_THREADS = 256, /* a block, at most */
    OD_ROW_TILE = 6,      /* rows of w a thread */
    OD_ROW_GROUPS = 8,    /* of threads a block, at most: each has an eighth of them to start its copies */
    OD_ROW_SHORT = 64,    /* depth of short rows */
    OD_ROW_LEAST = 1024,  /* floats of w a block, where the outputs suffice */
    OD_ROW_KEPT = 5,      /* steps of w in shared memory */
    OD_ROW_X = 96 * 1024  /* bytes of x in shared memory, at most */
};

typedef struct od_row_plan {
    uint32_t per;           /* outputs a block */
    uint32_t tile, groups;  /* rows of w a group, groups a block */
    uint32_t lane_bits;     /* log2 of the threads a group: powers of two, for no thread has time to divide */
    uint32_t active;        /* of them, those with any part of a row */
    uint32_t thread_bits;   /* of the threads a block */
    uint32_t segment_bits;  /* of the partial sums of an output on their way from lanes to one */
    uint32_t whole;         /* rows are whole float4s: 16-byte loads, the ring; otherwise plain loops */
    uint32_t depth4, steps; /* float4s of a row, of them a lane */
    uint32_t pitch;         /* float4s from one row of w in shared memory to the next */
    uint32_t rows;          /* of x a block */
    uint32_t staged;        /* x comes by way of shared memory: several groups read it, or it is scaled */
} od_row_plan;

OD_BOTH uint32_t od_row_least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}
OD_BOTH uint32_t od_row_most(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}
OD_BOTH uint32_t od_row_parts(uint32_t n, uint32_t of) {
    return (n + of - 1) / of;
}

OD_BOTH od_row_plan od_row_plan_of(const od_product_args *a) {
    const uint32_t each = a->epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1; /* rows of w an output */
    od_row_plan p;
    /* A block for every multiprocessor, but none with so few weights that reading x outweighs them. A thread takes one
     * row of w where rows are short, since latency is all that counts there. */
    const bool is_short = a->depth <= OD_ROW_SHORT;
    p.per = od_row_most(od_row_parts(a->outs, OD_ROW_BLOCKS), OD_ROW_LEAST / (each * a->depth));
    p.per = od_row_least(od_row_least(p.per, a->outs), (is_short ? 1 : OD_ROW_TILE) * OD_ROW_GROUPS / each);
    p.tile = is_short || p.per * each < 4 ? 1 : OD_ROW_TILE;
    p.groups = p.tile == 1 ? p.per * each : od_row_parts(p.per * each, OD_ROW_TILE);
    p.whole = a->depth % 4 == 0;
    p.depth4 = od_row_parts(a->depth, 4);
    p.lane_bits = 0;
    while (p.groups << (p.lane_bits + 1) <= OD_ROW_THREADS && 1u << p.lane_bits < p.depth4) p.lane_bits++;
    p.thread_bits = 5;
    while (1u << p.thread_bits < p.groups << p.lane_bits) p.thread_bits++;
    p.active = od_row_least(1u << p.lane_bits, p.depth4);
    p.segment_bits = !p.whole || p.lane_bits < 3 ? 3 : od_row_least(p.lane_bits - 3, 4);
    p.steps = (p.depth4 + (1u << p.lane_bits) - 1) >> p.lane_bits;
    /* Partial sums of 8 rows take the room of two steps. */
    p.pitch = od_row_most(od_row_least(p.depth4, OD_ROW_KEPT << p.lane_bits), 2 * p.active);
    p.staged = p.groups > 1 || a->norm || !p.whole || a->rows == OD_ROWS_HEAD || p.steps > OD_ROW_KEPT;
    p.rows = OD_ROW_GROUP;
    if (p.staged) p.rows = od_row_most(od_row_least(OD_ROW_X / 16 / p.depth4, OD_ROW_GROUP), 1);
    return p;
}

/* What the kernel is given: the plan comes along, for code that makes it is code that has to be fetched. */
typedef struct od_row_product_args {
    od_product_args product;
    od_row_plan plan;
} od_row_product_args;

OD_BOTH od_row_product_args od_row_args(const od_product_args *product) {
    od_row_product_args a;
    a.product = *product;
    a.plan = od_row_plan_of(product);
    return a;
}

/* Shared memory, in floats. */
OD_BOTH uint32_t od_row_weight_floats(const od_row_plan *p) {
    return p->whole ? p->groups * p->tile * p->pitch * 4 + (p->groups * 2 + 3) / 4 * 4 : 0;
}
/* x; and the segments, in its place when it has been read. */
OD_BOTH uint32_t od_row_x_floats(const od_row_plan *p, uint32_t n_weight, uint32_t rows) {
    const uint32_t x = p->staged ? rows * p->depth4 * 4 : 0;
    const uint32_t segments = (n_weight * OD_ROW_GROUP) << p->segment_bits;
    return p->whole ? od_row_most(x, segments) : x + segments;
}

/* Covers max_rows rows of x; a call may have fewer. There is a block for every multiprocessor even where the outputs
 * are shared out among fewer: one without outputs only keeps its place until the kernel ahead has ended. Otherwise its
 * multiprocessor would have room for two large blocks of the kernel behind, which would be late for all. */
OD_BOTH od_grid od_row_product_grid(const od_product_args *a, uint32_t max_rows) {
    const od_row_plan p = od_row_plan_of(a);
    const uint32_t rows = od_row_least(max_rows, p.rows);
    const uint32_t n_weight = p.per * (a->epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1);
    uint32_t floats = od_row_weight_floats(&p) + od_row_x_floats(&p, n_weight, rows) + (n_weight + 3) / 4 * 4;
    if (a->epilogue == OD_EPILOGUE_RESIDUAL) floats += p.per * OD_ROW_GROUP;
    if (a->norm) floats += p.depth4 * 4 + (1u << p.thread_bits) + OD_ROW_GROUP;
    od_grid grid;
    grid.x = od_row_parts(max_rows, p.rows); /* x may be much longer than y */
    grid.y = od_row_most(od_row_parts(a->outs, p.per), od_row_parts(OD_ROW_BLOCKS, grid.x));
    grid.threads = 1u << p.thread_bits;
    grid.shared = floats * (uint32_t)sizeof(float);
    grid.early = true;
    return grid;
}

#endif
