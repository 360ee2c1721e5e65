/* A call's way out: the distribution's parameters from the folded head's products, and the data-space mean of each
 * row's last patch (model.md, 7 and 8). A block takes a few positions, whose products lie side by side; elements are
 * everyone's, what runs over the components is a thread's, in order, as in the kernels head and mean. */
#include "gpu/fused_grid.h"
#include "gpu/kernels/head.cuh"

/* A block's positions: the first of all, how many, and their products in shared memory, an odd number of floats apart.
 */
struct emit_block {
    uint64_t first;
    uint32_t count, n; /* n components */
    uint32_t wide, apart;
    float *raw, *top, *sum;
};

/* df, loc and scale; the largest logit of each position. */
OD_DEVICE void emit_parameters(const od_call *c, const emit_block &e, bool mixture, unsigned t, unsigned threads) {
    for (uint32_t i = t; i < e.count * e.n; i += threads) {
        const float *p = e.raw + i / e.n * e.apart + i % e.n;
        const uint64_t at = e.first * e.n + i;
        c->out_df[at] = 2.0f + od_positive(p[0]);
        c->out_loc[at] = p[e.n];
        c->out_scale[at] = od_positive(p[2 * e.n]);
    }
    if (!mixture) return;
    for (uint32_t i = t; i < e.count; i += threads) {
        const float *logit = e.raw + i * e.apart + 3 * e.n;
        float top = -INFINITY;
        for (uint32_t k = 0; k < e.n; k++)
            if (logit[k] > top) top = logit[k];
        e.top[i] = top;
    }
}

/* Logits become probabilities. */
OD_DEVICE void emit_softmax(const od_call *c, od_block &b, const emit_block &e) {
    OD_PHASE(t, b) {
        for (uint32_t i = t; i < e.count * e.n; i += b.threads) {
            float *logit = e.raw + i / e.n * e.apart + 3 * e.n + i % e.n;
            *logit = expf(*logit - e.top[i / e.n]);
        }
    }
    OD_PHASE(t, b) {
        for (uint32_t i = t; i < e.count; i += b.threads) {
            const float *p = e.raw + i * e.apart + 3 * e.n;
            float sum = 0;
            for (uint32_t k = 0; k < e.n; k++) sum += p[k];
            e.sum[i] = sum;
        }
    }
    OD_PHASE(t, b) {
        for (uint32_t i = t; i < e.count * e.n; i += b.threads) {
            float *p = e.raw + i / e.n * e.apart + 3 * e.n + i % e.n;
            *p /= e.sum[i / e.n];
            c->out_probs[e.first * e.n + i] = *p;
        }
    }
}

OD_DEVICE void emit_mean(const od_emit_args &a, const emit_block &e, uint32_t i, bool mixture) {
    const od_call *c = a.call;
    const uint64_t token = (e.first + i) / a.patch, row = token / c->head_patch, p = (e.first + i) % a.patch;
    if (token % c->head_patch != c->head_patch - 1) return;
    const uint64_t at = row * c->step_stride + c->first_step + (uint64_t)(c->n_patch - 1) * a.patch + p;
    const float *raw = e.raw + i * e.apart;
    c->mean[row * a.patch + p] =
        od_data_mean(mixture ? raw + 3 * e.n : nullptr, raw + e.n, e.n, c->loc[at], c->scale[at], a.replaced);
}

OD_KERNEL(emit, struct od_emit_args) {
    const od_call *c = a.call;
    const bool mixture = a.n_head == 4;
    const uint32_t group = od_emit_group(a.n_component, b.threads);
    const uint64_t all = (uint64_t)c->n_row * c->head_patch * a.patch;
    emit_block e;
    e.first = (uint64_t)b.x * group;
    e.n = a.n_component;
    e.wide = a.n_head * e.n;
    e.apart = e.wide | 1;
    e.raw = OD_SHARED(b, float, group *e.apart);
    e.top = OD_SHARED(b, float, group);
    e.sum = OD_SHARED(b, float, group);
    if (e.first >= all) return;
    e.count = all - e.first < group ? (uint32_t)(all - e.first) : group;
    OD_PHASE(t, b) {
        const float *heads = static_cast<const float *>(c->scratch[OD_SCRATCH_HEADS]) + e.first * e.wide;
        for (uint32_t i = t; i < e.count * e.wide; i += b.threads) e.raw[i / e.wide * e.apart + i % e.wide] = heads[i];
    }
    OD_PHASE(t, b) {
        emit_parameters(c, e, mixture, t, b.threads);
    }
    if (mixture) emit_softmax(c, b, e);
    OD_PHASE(t, b) {
        for (uint32_t i = t; i < e.count; i += b.threads) emit_mean(a, e, i, mixture);
    }
}
