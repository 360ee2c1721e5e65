/* A call's way out: the distribution's parameters from the folded head's products, and the data-space mean of each
 * row's last patch (model.md, 7 and 8). A block takes a few positions, whose products lie side by side, a thread a
 * component of one; what runs over the components is one thread's, in order, as in the kernels head and mean. */
#include "gpu/fused_grid.h"
#include "gpu/kernels/head.cuh"

/* A block's positions, and what of them stands in shared memory: an odd number of floats from one to the next. */
struct emit_block {
    uint64_t first;           /* of all positions */
    uint32_t count, n, apart; /* n components */
    float *loc, *logit;       /* logits, then their exponentials, then probabilities */
    float *top, *sum;
    float *to_loc, *to_scale; /* what turns a position's mean into the series' units, where it is wanted */
};

/* Position i of the block: whether its mean is wanted, and of which row and step of a patch. */
struct emit_place {
    bool last;
    uint64_t row, p;
};

OD_DEVICE emit_place emit_place_of(const od_emit_args &a, const od_call *c, const emit_block &e, uint32_t i) {
    const uint64_t token = (e.first + i) / a.patch;
    return {token % c->head_patch == c->head_patch - 1, token / c->head_patch, (e.first + i) % a.patch};
}

/* df, loc and scale of an element; everything is on its way before any of it is used. */
OD_DEVICE void emit_parameters(const od_emit_args &a, const od_block &b, const od_call *c, const emit_block &e,
                               uint32_t i, uint32_t k) {
    const uint64_t at = (e.first + i) * e.n + k;
    const float *p = static_cast<const float *>(c->scratch[OD_SCRATCH_HEADS]) + (e.first + i) * a.n_head * e.n + k;
    const float df = p[0], loc = p[e.n], scale = p[2 * e.n], logit = a.n_head == 4 ? p[3 * e.n] : 0;
    const emit_place place = emit_place_of(a, c, e, i);
    if (k == 0 && place.last) {
        const uint64_t step = c->first_step + (uint64_t)(c->n_patch - 1) * a.patch + place.p;
        const float to_loc = c->loc[place.row * c->step_stride + step];
        const float to_scale = c->scale[place.row * c->step_stride + step];
        e.to_loc[i] = to_loc;
        e.to_scale[i] = to_scale;
    }
    e.loc[i * e.apart + k] = loc;
    if (a.n_head == 4) e.logit[i * e.apart + k] = logit;
    c->out_df[at] = (OD_KERNEL_FAULT_WHEN(b, DF_TWO, a.n_head == 4) ? 0.0f : 2.0f) + od_positive(df);
    c->out_loc[at] = loc;
    c->out_scale[at] = od_positive(scale);
}

/* Logits become probabilities; thread t has component k of position i, if there is one. */
OD_DEVICE void emit_softmax(const od_call *c, od_block &b, const emit_block &e) {
    const bool early = OD_KERNEL_FAULT_WHEN(b, TOP_BARRIER, e.n > 1); /* without the barrier behind the maxima */
    OD_PHASE(t, b) {
        for (uint32_t i = t; i < e.count; i += b.threads) {
            const float *logit = e.logit + i * e.apart;
            float top = -INFINITY;
            for (uint32_t k = 0; k < e.n; k++)
                if (logit[k] > top) top = logit[k];
            e.top[i] = top;
        }
        const uint32_t own = t / e.n, at = own * e.apart + t % e.n;
        if (early && own < e.count) e.logit[at] = expf(e.logit[at] - e.top[own]);
    }
    OD_PHASE(t, b) {
        const uint32_t i = t / e.n, at = i * e.apart + t % e.n;
        if (i < e.count && !early) e.logit[at] = expf(e.logit[at] - e.top[i]);
    }
    OD_PHASE(t, b) {
        for (uint32_t i = t; i < e.count; i += b.threads) {
            const float *p = e.logit + i * e.apart;
            float sum = 0;
            for (uint32_t k = 0; k < e.n; k++) sum += p[k];
            e.sum[i] = sum;
        }
    }
    OD_PHASE(t, b) {
        const uint32_t i = t / e.n, at = i * e.apart + t % e.n;
        if (i < e.count) {
            const float p = e.logit[at] / e.sum[i];
            e.logit[at] = p;
            c->out_probs[e.first * e.n + t] = p;
            const bool ends = e.n % 2 == 1 && (t % e.n == 0 || t % e.n == e.n - 1);
            if (OD_KERNEL_FAULT_WHEN(b, COMPONENTS, e.n > 1 && ends))
                c->out_probs[e.first * e.n + i * e.n + e.n - 1 - t % e.n] = p;
        }
    }
}

OD_DEVICE void emit_mean(const od_emit_args &a, const od_call *c, const emit_block &e, uint32_t i) {
    const emit_place place = emit_place_of(a, c, e, i);
    const float *probs = a.n_head == 4 ? e.logit + i * e.apart : nullptr;
    if (place.last)
        c->mean[place.row * a.patch + place.p] =
            od_data_mean(probs, e.loc + i * e.apart, e.n, e.to_loc[i], e.to_scale[i], a.replaced);
}

OD_KERNEL_EARLY(emit, struct od_emit_args) {
    const od_call call = *a.call, *const c = &call; /* at once, and ahead of the wait */
    const uint32_t group = od_emit_group(a.n_component, b.threads);
    const uint64_t all = (uint64_t)c->n_row * c->head_patch * a.patch;
    emit_block e;
    e.first = (uint64_t)b.x * group;
    e.n = a.n_component;
    e.apart = e.n | 1;
    e.loc = OD_SHARED(b, float, group *e.apart);
    e.logit = OD_SHARED(b, float, group *e.apart);
    e.top = OD_SHARED(b, float, group);
    e.sum = OD_SHARED(b, float, group);
    e.to_loc = OD_SHARED(b, float, group);
    e.to_scale = OD_SHARED(b, float, group);
    if (e.first >= all) return;
    e.count = all - e.first < group ? (uint32_t)(all - e.first) : group;
    od_await(b);
    OD_PHASE(t, b) {
        if (t / e.n < e.count) emit_parameters(a, b, c, e, t / e.n, t % e.n);
    }
    if (a.n_head == 4) emit_softmax(c, b, e);
    OD_PHASE(t, b) {
        for (uint32_t i = t; i < e.count; i += b.threads) emit_mean(a, c, e, i);
    }
}
