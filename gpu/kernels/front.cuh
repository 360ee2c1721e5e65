/* What the two ways through the kernel front share: a row's sizes and addresses, shared memory, sums in time order. */
#ifndef OD_GPU_FRONT_CUH
#define OD_GPU_FRONT_CUH

#include "gpu/fused_grid.h"
#include "gpu/kernels/scaler.cuh"

/* Threads that do what is serial, of a warp each. */
enum { FRONT_SUM = 0, FRONT_COUNT = 32, FRONT_STATE = 64, FRONT_M2 = 64 };

/* Sizes and addresses of a row. */
struct front_row {
    float *value;
    uint8_t *mask;
    const float *new_value;
    const uint8_t *new_mask; /* NULL: all 1 */
    float *loc, *scale;
    float *patches; /* from step first on */
    uint32_t first, end, new_step;
    uint32_t summed; /* first … are summed, to here */
    uint32_t prefix; /* 0: no global statistics are wanted */
    uint32_t tile, patch;
};

/* Shared memory: a place for each of the tiles under way. */
struct front_tiles {
    float *x;
    uint8_t *w;
    double *sum;                   /* w·x, then Σwx */
    uint32_t *real;                /* Σw since first: whole numbers, so float64 has the same */
    double *mean, *m2;             /* m2: what each step adds, then the sum */
    od_scaler_state *start, *last; /* before first, and at the end */
    double *whole;                 /* Σwx, Σw of the prefix */
};

OD_DEVICE double front_add(double a, double b) {
    return od_add64(a, b);
}
OD_DEVICE uint32_t front_add(uint32_t a, uint32_t b) {
    return a + b;
}

enum { FRONT_BATCH = 8 };

template <typename Sum, typename X> OD_DEVICE void front_fetch(Sum to[FRONT_BATCH], const X *x) {
    for (int j = 0; j < FRONT_BATCH; j++) to[j] = x[j];
}

template <typename Sum> OD_DEVICE Sum front_chain(Sum *sum, const Sum x[FRONT_BATCH], Sum start) {
    for (int j = 0; j < FRONT_BATCH; j++) sum[j] = start = front_add(start, x[j]);
    return start;
}

/* sum[i] = start + x[0] + … + x[i]. They may be the same memory: loads run a batch ahead of the chain of additions,
 * which thereby need not wait for them. */
template <typename Sum, typename X> OD_DEVICE void front_running(Sum *sum, const X *x, uint32_t n, Sum start) {
    Sum one[FRONT_BATCH], two[FRONT_BATCH];
    uint32_t i = 0;
    if (n >= FRONT_BATCH) {
        front_fetch(one, x);
        for (; i + 3 * FRONT_BATCH <= n; i += 2 * FRONT_BATCH) {
            front_fetch(two, x + i + FRONT_BATCH);
            start = front_chain(sum + i, one, start);
            front_fetch(one, x + i + 2 * FRONT_BATCH);
            start = front_chain(sum + i + FRONT_BATCH, two, start);
        }
        const bool more = i + 2 * FRONT_BATCH <= n;
        if (more) front_fetch(two, x + i + FRONT_BATCH);
        start = front_chain(sum + i, one, start);
        if (more) start = front_chain(sum + i + FRONT_BATCH, two, start);
        i += more ? 2 * FRONT_BATCH : FRONT_BATCH;
    }
    for (; i < n; i++) sum[i] = start = front_add(start, (Sum)x[i]);
}

/* Step t, which goes into the series if it is new. */
OD_DEVICE float front_take(const front_row &f, uint32_t t, uint8_t *w) {
    if (t < f.new_step) {
        *w = f.mask[t];
        return f.value[t];
    }
    const uint32_t i = t - f.new_step;
    const float x = f.new_value[i];
    *w = f.new_mask ? f.new_mask[i] : 1;
    f.value[t] = x;
    f.mask[t] = *w;
    return x;
}

OD_DEVICE front_row front_row_of(const od_front_args &a, const od_block &b, const od_call *c, uint64_t row) {
    const uint64_t at = row * c->step_stride, in = row * c->new_count;
    const bool anew = c->first_step == 0;
    const uint64_t fed = OD_KERNEL_FAULT_WHEN(b, FEEDBACK, row > 0) ? row - 1 : row;
    front_row f;
    f.value = c->value + at;
    f.mask = c->mask + at;
    f.new_value = c->own ? c->mean + fed * a.patch : static_cast<const float *>(c->scratch[OD_SCRATCH_IN_VALUE]) + in;
    f.new_mask = c->own ? nullptr : static_cast<const uint8_t *>(c->scratch[OD_SCRATCH_IN_MASK]) + in;
    f.loc = c->loc + at;
    f.scale = c->scale + at;
    f.first = c->first_step;
    f.end = f.first + c->n_patch * a.patch;
    f.patches = static_cast<float *>(c->scratch[OD_SCRATCH_PATCHES]) + row * (f.end - f.first);
    f.new_step = c->new_step;
    f.prefix = anew && (a.kind == STD_MEAN || a.stabilize) ? c->prefix : 0;
    f.summed = a.kind != STD_MEAN ? f.end : f.first + f.prefix;
    f.tile = od_front_tile(a.patch, b.threads);
    f.patch = a.patch;
    return f;
}

/* The state before the first step, and the ids of new patches. */
OD_DEVICE void front_begin(const od_front_args &a, const od_block &b, const od_call *c, const front_tiles &s,
                           uint64_t row, unsigned t) {
    int32_t *id = c->id + row * c->patch_stride + c->new_step / a.patch;
    const uint32_t n = c->new_count / a.patch;
    const int32_t *in = static_cast<const int32_t *>(c->scratch[OD_SCRATCH_IN_ID]) + row * n;
    for (uint32_t i = t; i < n; i += b.threads) id[i] = c->own ? id[-1] : in[i];
    if (t == FRONT_STATE) { /* of a warp that may have no steps to wait for */
        od_scaler_state start = c->state[row];
        if (c->first_step == 0) od_scaler_reset(&start);
        if (OD_KERNEL_FAULT_WHEN(b, CARRY, c->first_step > c->prefix)) od_scaler_reset(&start);
        *s.start = *s.last = start;
        s.whole[0] = s.whole[1] = 0;
    }
}

#endif
