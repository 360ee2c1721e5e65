/* Fused decode step, time-wise: the new patch's query and key turn, key and value go into the cache, and the query
 * attends to all patches so far. A block a (row, head). Keys are taken in tiles that begin at multiples of tile_keys, a
 * key a thread; values in groups of OD_STEP_GROUP keys, whose sums are added in order. Keys and values of earlier calls
 * are on their way before the projection's kernel has ended. */
#include "gpu/kernels/rotary.cuh"
#include "gpu/kernels/rows.cuh"

struct Step {
    const float *qkv;   /* the token's q of this head; k and v follow, width apart */
    float *key, *value; /* the head's place in the cache */
    float *out;
    uint32_t width, n_key, slot; /* slot: where the new key goes */
    od_rotary rotary;
};

struct StepMemory {
    float *k, *v; /* a tile of rows */
    float *q, *new_key, *new_value;
    float *turn; /* of each pair of q, then of k */
    float *score, *weight;
    float *part, *sum;        /* of each group of keys: weighted values, weights */
    float *acc, *top, *total; /* so far; top and total by turns */
    float *factor;            /* what a new maximum puts on the old sums */
    uint32_t row;
};

OD_DEVICE StepMemory step_memory(const od_attend_step_args &a, od_block &b) {
    StepMemory m;
    const uint32_t groups = a.tile_keys / OD_STEP_GROUP;
    m.row = od_row_stride(a.d_head);
    m.k = OD_SHARED(b, float, a.tile_keys *m.row);
    m.v = OD_SHARED(b, float, a.tile_keys *m.row);
    m.q = OD_SHARED(b, float, m.row);
    m.new_key = OD_SHARED(b, float, m.row);
    m.new_value = OD_SHARED(b, float, m.row);
    m.turn = OD_SHARED(b, float, 4 * a.d_head);
    m.score = OD_SHARED(b, float, a.tile_keys);
    m.weight = OD_SHARED(b, float, a.tile_keys);
    m.part = OD_SHARED(b, float, groups *m.row);
    m.sum = OD_SHARED(b, float, groups);
    m.acc = OD_SHARED(b, float, a.d_head);
    m.top = OD_SHARED(b, float, 2);
    m.total = OD_SHARED(b, float, 2);
    m.factor = OD_SHARED(b, float, 1);
    return m;
}

OD_DEVICE Step step_of(const od_attend_step_args &a, const od_block &b) {
    const od_call *c = a.call;
    const uint32_t row = b.x / a.n_head, h = b.x % a.n_head;
    const uint64_t place = a.layer * c->layer_stride + (uint64_t)b.x * c->key_stride * a.d_head;
    uint32_t position = c->position;
    Step s;
#ifdef OD_FAULTS
    if (OD_KERNEL_FAULT(b, FROZEN)) position = a.frozen_position;
#endif
    s.width = a.n_head * a.d_head;
    s.qkv = static_cast<const float *>(c->scratch[OD_SCRATCH_QKV]) + (uint64_t)row * 3 * s.width + h * a.d_head;
    s.key = c->key + place;
    s.value = c->cached + place;
    s.out = static_cast<float *>(c->scratch[OD_SCRATCH_ATTENDED]) + (uint64_t)row * s.width + h * a.d_head;
    s.n_key = c->position + 1;
    s.slot = position;
    if (OD_KERNEL_FAULT_WHEN(b, CACHE_POS, c->position > 0)) s.slot -= 1;
    s.rotary = od_rotary_at(*c, a.d_head, position, c->center);
    return s;
}

/* A thread reads no turn but its own, so no barrier is needed between the two. */
OD_DEVICE void fetch_turns(unsigned t, unsigned threads, const StepMemory &m, const od_rotary &r) {
    for (uint32_t p = t; p < 2 * r.half; p += threads) {
        const bool query = p < r.half;
        od_store4(m.turn + 4 * p, od_rotary_turn(r, query ? r.query : r.key, query ? p : p - r.half));
    }
}

/* Query, key and value of the new patch: pairs of features, a thread each; clear: and zeros behind them. */
OD_DEVICE void new_patch(unsigned t, unsigned threads, const StepMemory &m, const Step &s, uint32_t d, bool clear) {
    for (uint32_t p = t; p < 3 * s.rotary.half; p += threads) {
        const uint32_t part = p / s.rotary.half, f = p % s.rotary.half * 2;
        float even = s.qkv[part * s.width + f], odd = s.qkv[part * s.width + f + 1];
        if (part < 2) {
            const float4 turn = od_load4(m.turn + 4 * p);
            const float turned = od_rotated_even(even, odd, turn);
            odd = od_rotated_odd(even, odd, turn);
            even = turned;
        }
        float *own = part == 0 ? m.q : part == 1 ? m.new_key : m.new_value;
        own[f] = even;
        own[f + 1] = odd;
        if (part > 0) {
            float *kept = (part == 1 ? s.key : s.value) + (uint64_t)s.slot * d + f;
            kept[0] = even;
            kept[1] = odd;
        }
    }
    for (uint32_t f = d + t; f < od_fours(d) && clear; f += threads) m.q[f] = m.new_key[f] = m.new_value[f] = 0;
}

OD_DEVICE void step_scores(unsigned t, unsigned threads, const od_attend_step_args &a, const StepMemory &m,
                           uint32_t slot, uint32_t n) {
    const uint32_t depth = od_fours(a.d_head);
    for (uint32_t j = t; j < od_fours(n); j += threads) {
        const float *k = j == slot ? m.new_key : m.k + j * m.row;
        float4 s = od_zero4();
        for (uint32_t f = 0; f < depth && j < n; f += 4) {
            const float4 x = od_load4(m.q + f), y = od_load4(k + f);
            s.x += x.x * y.x;
            s.y += x.y * y.y;
            s.z += x.z * y.z;
            s.w += x.w * y.w;
        }
        m.score[j] = j < n ? ((s.x + s.y) + (s.z + s.w)) * a.inverse_root : -INFINITY;
    }
}

/* The tile's maximum, which every thread finds for itself; a NaN need not be it: its own weight will be NaN, and so the
 * answer. */
OD_DEVICE void step_weights(unsigned t, unsigned threads, const StepMemory &m, uint32_t n, const float *was,
                            float *top) {
    const float before = was ? *was : -INFINITY;
    float4 most;
    most.x = most.y = most.z = most.w = before;
    for (uint32_t j = 0; j < n; j += 4) {
        const float4 s = od_load4(m.score + j);
        if (s.x > most.x) most.x = s.x;
        if (s.y > most.y) most.y = s.y;
        if (s.z > most.z) most.z = s.z;
        if (s.w > most.w) most.w = s.w;
    }
    if (most.y > most.x) most.x = most.y;
    if (most.w > most.z) most.z = most.w;
    if (most.z > most.x) most.x = most.z;
    for (uint32_t j = t; j < n; j += threads) m.weight[j] = m.score[j] == -INFINITY ? 0.0f : expf(m.score[j] - most.x);
    if (t == 0) {
        *top = most.x;
        *m.factor = most.x == -INFINITY ? 1.0f : expf(before - most.x);
    }
}

/* Weighted values of a group of keys, four features a thread. */
OD_DEVICE void step_values(unsigned t, unsigned threads, const StepMemory &m, uint32_t slot, uint32_t n, uint32_t d) {
    const uint32_t chunks = od_fours(d) / 4, groups = (n + OD_STEP_GROUP - 1) / OD_STEP_GROUP;
    for (uint32_t u = t; u < groups * chunks; u += threads) {
        const uint32_t group = u / chunks, f = u % chunks * 4, from = group * OD_STEP_GROUP;
        float4 s = od_zero4();
        float sum = 0;
        for (uint32_t j = from; j < from + OD_STEP_GROUP && j < n; j++) {
            const float w = m.weight[j];
            s = od_add4(s, w, od_load4((j == slot ? m.new_value : m.v + j * m.row) + f));
            sum += w;
        }
        od_store4(m.part + group * m.row + f, s);
        if (f == 0) m.sum[group] = sum;
    }
}

/* Adds the groups, a feature a thread, to what was; out: the answer, after the last tile. */
OD_DEVICE void step_merge(unsigned t, unsigned threads, const StepMemory &m, uint32_t n, uint32_t d, const float *was,
                          float *total, float *out) {
    const uint32_t groups = (n + OD_STEP_GROUP - 1) / OD_STEP_GROUP;
    for (uint32_t f = t; f < d; f += threads) {
        float s = 0, sum = 0;
        for (uint32_t g = 0; g < groups; g++) {
            s += m.part[g * m.row + f];
            sum += m.sum[g];
        }
        if (was) {
            s += m.acc[f] * *m.factor;
            sum += *was * *m.factor;
        }
        m.acc[f] = s;
        if (f == 0) *total = sum;
        if (out) out[f] = s / sum;
    }
}

OD_KERNEL_EARLY(attend_step, struct od_attend_step_args) {
    const uint32_t d = a.d_head, tile = a.tile_keys;
    if (b.x >= a.call->n_row * a.n_head) {
        od_await(b); /* a place kept: od_attend_step_grid */
        return;
    }
    const StepMemory m = step_memory(a, b);
    const Step s = step_of(a, b);
    for (uint32_t base = 0; base < s.n_key; base += tile) {
        const uint32_t left = s.n_key - base, n = left < tile ? left : tile, next = base + tile, turn = base / tile % 2;
        const uint32_t slot = s.slot - base; /* in the tile; beyond it: not in this one */
        OD_PHASE(t, b) {
            if (base == 0) {
                od_rows_fetch(t, b.threads, m.k, m.row, s.key, d, n, d, slot);
                od_copy_commit();
            }
            od_rows_fetch(t, b.threads, m.v, m.row, s.value + (uint64_t)base * d, d, n, d, slot);
            od_copy_commit();
            if (base == 0) {
                fetch_turns(t, b.threads, m, s.rotary);
                od_await(b);
                new_patch(t, b.threads, m, s, d, !OD_KERNEL_FAULT_WHEN(b, FEATURES, d % 4 != 0));
            }
            od_copy_wait<1>(); /* all but the values */
        }
        OD_PHASE(t, b) {
            step_scores(t, b.threads, a, m, slot, n);
        }
        OD_PHASE(t, b) {
            if (next < s.n_key) {
                const uint32_t rest = s.n_key - next;
                od_rows_fetch(t, b.threads, m.k, m.row, s.key + (uint64_t)next * d, d, rest < tile ? rest : tile, d,
                              s.slot - next);
            }
            od_copy_commit();
            step_weights(t, b.threads, m, n, base ? m.top + (1 - turn) : NULL, m.top + turn);
            od_copy_wait<1>(); /* all but the next keys */
        }
        OD_PHASE(t, b) {
            step_values(t, b.threads, m, slot, n, d);
        }
        OD_PHASE(t, b) {
            const bool less = OD_KERNEL_FAULT_WHEN(b, STEP_MERGE, n > OD_STEP_GROUP);
            step_merge(t, b.threads, m, less ? n - OD_STEP_GROUP : n, d, base ? m.total + (1 - turn) : NULL,
                       m.total + turn, next < s.n_key ? NULL : s.out);
        }
    }
}
