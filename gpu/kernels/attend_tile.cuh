/* Softmax attention of a tile of queries over keys taken in tiles that begin at multiples of tile_keys, with a running
 * maximum. A query's answer depends on itself and the keys that it sees alone: every sum over keys runs in the keys'
 * order, or over lanes that are fixed by the key's number.
 *
 * What a key is (a patch of the same row, a variate at the same patch) is the caller's: the job gives rows, Sight says
 * which are seen.
 *   Sight::sees(i, j): query i of the job attends to key j
 *   Sight::clear(i):   every key below it is seen by query i and those after it
 *   Sight::reach(i):   no key from it on is seen by query i or those before it
 *   Sight::LARGE:      whether tiles may have 32 queries and more
 *   Sight::fetch():    what it needs of keys base … base + n - 1 (and, for base 0, of the queries) comes to the block
 */
#ifndef OD_GPU_ATTEND_TILE_CUH
#define OD_GPU_ATTEND_TILE_CUH

#include "gpu/kernels/kernel.cuh"
#include "gpu/kernels/rows.cuh"

enum { OD_TILE_LANES = 16 }; /* of a query: keys 4e … 4e + 3 of a tile, which has 64 at most, belong to lane e */

struct od_tile_job {
    const float *q, *k, *v;
    float *out;
    uint64_t q_stride, key_stride, out_stride; /* floats from one row of d to the next */
    uint32_t n_query, n_key;                   /* queries: at most tile_queries */
};

struct od_tile_memory {
    float *q, *k, *v, *acc; /* rows of od_row_stride(d) */
    float *weight;          /* [tile_queries, line]: scores, then weights; below 0: not seen */
    float *peak, *sum;      /* [tile_queries, lanes] */
    float *factor;          /* what a new maximum puts on the old sums */
    float *top, *total;     /* [2, tile_queries] the maximum and the sum so far, by turns */
    uint32_t row, line, queries;
};

OD_DEVICE od_tile_memory od_tile_take(const od_attend_tile_args &a, od_block &b) {
    od_tile_memory m;
    m.row = od_row_stride(a.d_head);
    m.line = a.tile_keys + 4; /* lines of neighbouring queries begin in other banks */
    m.queries = a.tile_queries;
    m.q = OD_SHARED(b, float, m.queries *m.row);
    m.k = OD_SHARED(b, float, a.tile_keys *m.row);
    m.v = OD_SHARED(b, float, a.tile_keys *m.row);
    m.acc = OD_SHARED(b, float, m.queries *m.row);
    m.weight = OD_SHARED(b, float, m.queries *m.line);
    m.peak = OD_SHARED(b, float, m.queries *OD_TILE_LANES);
    m.sum = OD_SHARED(b, float, m.queries *OD_TILE_LANES);
    m.factor = OD_SHARED(b, float, m.queries);
    m.top = OD_SHARED(b, float, 2 * m.queries);
    m.total = OD_SHARED(b, float, 2 * m.queries);
    return m;
}

OD_DEVICE uint32_t od_least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* The part of keys 0 … key that is in the tile of n from base on. */
OD_DEVICE uint32_t od_within(uint32_t key, uint32_t base, uint32_t n) {
    return key > base ? od_least(key - base, n) : 0;
}

/* Scores of QN queries by KN keys a thread, the keys of neighbouring threads side by side. n: keys of the tile. */
template <unsigned QN, unsigned KN, typename Sight>
OD_DEVICE void od_tile_scores(unsigned t, unsigned threads, const od_attend_tile_args &a, const od_tile_memory &m,
                              const od_tile_job &job, const Sight &sight, uint32_t base, uint32_t n) {
    const uint32_t apart = od_fours(n) / KN, groups = (job.n_query + QN - 1) / QN, depth = od_fours(a.d_head);
    for (uint32_t u = t; u < groups * apart; u += threads) {
        const uint32_t first = u / apart * QN, key = u % apart;
        const float *q[QN], *k[KN];
        float s[QN][KN] = {};
        for (uint32_t i = 0; i < QN; i++) q[i] = m.q + od_least(first + i, job.n_query - 1) * m.row;
        for (uint32_t j = 0; j < KN; j++) k[j] = m.k + od_least(key + j * apart, n - 1) * m.row;
        for (uint32_t f = 0; f < depth; f += 4) {
            float4 x[KN];
            for (uint32_t j = 0; j < KN; j++) x[j] = od_load4(k[j] + f);
            for (uint32_t i = 0; i < QN; i++) {
                const float4 y = od_load4(q[i] + f);
                for (uint32_t j = 0; j < KN; j++) s[i][j] = od_dot4(s[i][j], y, x[j]);
            }
        }
        for (uint32_t i = 0; i < QN; i++)
            for (uint32_t j = 0; j < KN && first + i < job.n_query; j++) {
                const uint32_t at = key + j * apart;
                m.weight[(first + i) * m.line + at] =
                    sight.sees(first + i, base + at) ? s[i][j] * a.inverse_root : -INFINITY;
            }
    }
}

OD_DEVICE float od_most(float a, float b) {
    return b > a ? b : a;
}

/* Each lane's greatest score. A NaN need not be the maximum: its own weight will be NaN, and so the answer. n: a
 * multiple of 4. */
OD_DEVICE void od_tile_peaks(unsigned t, unsigned threads, const od_tile_memory &m, uint32_t n_query, uint32_t n) {
    for (uint32_t u = t; u < n_query * OD_TILE_LANES; u += threads) {
        const uint32_t j = u % OD_TILE_LANES * 4;
        float top = -INFINITY;
        if (j < n) {
            const float4 s = od_load4(m.weight + u / OD_TILE_LANES * m.line + j);
            top = od_most(od_most(od_most(od_most(top, s.x), s.y), s.z), s.w);
        }
        m.peak[u] = top;
    }
}

/* Hidden: below 0. */
OD_DEVICE float od_tile_weight(float score, float top, float *sum) {
    const float w = expf(score - top);
    const bool seen = score != -INFINITY;
    if (seen) *sum += w;
    return seen ? w : -1.0f;
}

/* From scores to weights, and each lane's sum of them; the new maximum, and its factor. */
OD_DEVICE void od_tile_weights(unsigned t, unsigned threads, const od_tile_memory &m, uint32_t n_query, uint32_t n,
                               const float *was, float *top) {
    for (uint32_t u = t; u < n_query * OD_TILE_LANES; u += threads) {
        const uint32_t q = u / OD_TILE_LANES, j = u % OD_TILE_LANES * 4;
        const float before = was ? was[q] : -INFINITY;
        float most = before, sum = 0;
        for (uint32_t e = 0; e < OD_TILE_LANES; e += 4) {
            const float4 peak = od_load4(m.peak + q * OD_TILE_LANES + e);
            most = od_most(od_most(most, od_most(peak.x, peak.y)), od_most(peak.z, peak.w));
        }
        if (j < n) {
            float *line = m.weight + q * m.line + j;
            float4 w = od_load4(line);
            w.x = od_tile_weight(w.x, most, &sum);
            w.y = od_tile_weight(w.y, most, &sum);
            w.z = od_tile_weight(w.z, most, &sum);
            w.w = od_tile_weight(w.w, most, &sum);
            od_store4(line, w);
        }
        m.sum[u] = sum;
        if (j == 0) {
            top[q] = most;
            m.factor[q] = most == -INFINITY ? 1.0f : expf(before - most);
        }
    }
}

/* The sum of the weights, this tile's included. */
OD_DEVICE float od_tile_total(const od_tile_memory &m, uint32_t q, const float *was) {
    float sum = 0;
    for (uint32_t e = 0; e < OD_TILE_LANES; e += 4) {
        const float4 s = od_load4(m.sum + q * OD_TILE_LANES + e);
        sum += (s.x + s.y) + (s.z + s.w);
    }
    return was ? was[q] * m.factor[q] + sum : sum;
}

/* Values times weights, features f … f + 3 of VN queries: over the tile's keys below `clear`, a multiple of 4, and
 * those seen below `reach`. */
template <unsigned VN>
OD_DEVICE void od_tile_add(float4 *s, const float *const *w, const float *v, uint32_t row, uint32_t clear,
                           uint32_t reach) {
    uint32_t j = 0;
    for (; j < clear; j += 4, v += 4 * row) {
        const float4 v0 = od_load4(v), v1 = od_load4(v + row), v2 = od_load4(v + 2 * row), v3 = od_load4(v + 3 * row);
        for (uint32_t i = 0; i < VN; i++) {
            const float4 x = od_load4(w[i] + j);
            s[i] = od_add4(od_add4(od_add4(od_add4(s[i], x.x, v0), x.y, v1), x.z, v2), x.w, v3);
        }
    }
    for (; j < reach; j++, v += row) {
        const float4 x = od_load4(v);
        for (uint32_t i = 0; i < VN; i++)
            if (!(w[i][j] < 0)) s[i] = od_add4(s[i], w[i][j], x); /* what is hidden may be NaN */
    }
}

/* The same, added to what was; after the last tile the answer. */
template <unsigned VN, typename Sight>
OD_DEVICE void od_tile_values(unsigned t, unsigned threads, const od_attend_tile_args &a, const od_tile_memory &m,
                              const od_tile_job &job, const Sight &sight, uint32_t base, uint32_t n, const float *was,
                              float *total) {
    const uint32_t chunks = od_fours(a.d_head) / 4, groups = (job.n_query + VN - 1) / VN;
    for (uint32_t u = t; u < groups * chunks; u += threads) {
        const uint32_t first = u / chunks * VN, f = u % chunks * 4, last = od_least(first + VN, job.n_query) - 1;
        const uint32_t clear = od_within(sight.clear(first), base, n), reach = od_within(sight.reach(last), base, n);
        const float *w[VN];
        float4 s[VN];
        for (uint32_t i = 0; i < VN; i++) {
            w[i] = m.weight + od_least(first + i, job.n_query - 1) * m.line;
            s[i] = od_zero4();
        }
        od_tile_add<VN>(s, w, m.v + f, m.row, clear / 4 * 4, reach);
        for (uint32_t i = 0; i < VN; i++) {
            const uint32_t q = first + i;
            if (q >= job.n_query) continue;
            const float sum = od_tile_total(m, q, was);
            float *acc = m.acc + q * m.row + f;
            if (was) s[i] = od_add4(s[i], m.factor[q], od_load4(acc));
            od_store4(acc, s[i]);
            if (f == 0) total[q] = sum;
            if (base + n == job.n_key) od_row_put(job.out + q * job.out_stride, od_over4(s[i], sum), f, a.d_head);
        }
    }
}

/* One job, by the whole block. Values come while scores are computed, the next tile's keys while values are added. */
template <unsigned QN, unsigned KN, unsigned VN, typename Sight>
OD_DEVICE void od_attend_tiles(const od_attend_tile_args &a, const od_block &b, const od_tile_memory &m,
                               const od_tile_job &job, const Sight &sight) {
    const uint32_t tile = a.tile_keys, d = a.d_head;
    for (uint32_t base = 0; base < job.n_key; base += tile) {
        const uint32_t n = od_least(job.n_key - base, tile), next = base + tile, turn = base / tile % 2;
        float *const top = m.top + turn * m.queries, *const total = m.total + turn * m.queries;
        const float *was = base ? m.top + (1 - turn) * m.queries : NULL;
        const float *had = base ? m.total + (1 - turn) * m.queries : NULL;
        OD_PHASE(t, b) {
            if (base == 0) {
                od_rows_fetch(t, b.threads, m.q, m.row, job.q, job.q_stride, job.n_query, d);
                od_rows_fetch(t, b.threads, m.k, m.row, job.k, job.key_stride, n, d);
                od_copy_commit();
            }
            od_rows_fetch(t, b.threads, m.v, m.row, job.v + base * job.key_stride, job.key_stride, n, d);
            od_copy_commit();
            sight.fetch(t, b.threads, job.n_query, base, n);
            if (!OD_GPU_FAULT(b, GPU_COPY)) od_copy_wait<1>(); /* all but the values */
        }
        OD_PHASE(t, b) {
            od_tile_scores<QN, KN>(t, b.threads, a, m, job, sight, base, n);
        }
        OD_PHASE(t, b) {
            if (next < job.n_key)
                od_rows_fetch(t, b.threads, m.k, m.row, job.k + next * job.key_stride, job.key_stride,
                              od_least(job.n_key - next, tile), d);
            od_copy_commit();
            od_tile_peaks(t, b.threads, m, job.n_query, od_fours(n));
        }
        OD_PHASE(t, b) {
            od_tile_weights(t, b.threads, m, job.n_query, od_fours(n), was, top);
            od_copy_wait<1>(); /* all but the next keys */
        }
        OD_PHASE(t, b) {
            od_tile_values<VN>(t, b.threads, a, m, job, sight, base, n, had, total);
        }
    }
}

/* How much a thread does at a time follows from the tile; no sum does. */
template <typename Sight>
OD_DEVICE void od_attend_tile(const od_attend_tile_args &a, const od_block &b, const od_tile_memory &m,
                              const od_tile_job &job, const Sight &sight) {
    if (job.n_query * od_least(job.n_key, a.tile_keys) <= 256)
        od_attend_tiles<1, 1, 1>(a, b, m, job, sight);
    else if (!Sight::LARGE || a.tile_queries < 32)
        od_attend_tiles<4, 2, 2>(a, b, m, job, sight);
    else
        od_attend_tiles<4, 4, 4>(a, b, m, job, sight);
}

/* Time-wise: a query sees its row's patches up to itself. */
struct od_sight_past {
    enum { LARGE = 1 };
    uint32_t first;  /* keys that query 0 sees */
    uint32_t future; /* keys too many, by fault */
    uint32_t left;   /* queries of the row from query 0 on */
    OD_DEVICE_METHOD uint32_t clear(uint32_t i) const {
        return first + i + (i + 1 < left ? future : 0);
    }
    OD_DEVICE_METHOD uint32_t reach(uint32_t i) const {
        return clear(i);
    }
    OD_DEVICE_METHOD void fetch(unsigned, unsigned, uint32_t, uint32_t, uint32_t) const {
    }
    OD_DEVICE_METHOD bool sees(uint32_t i, uint32_t j) const {
        return j < clear(i);
    }
};

#endif
