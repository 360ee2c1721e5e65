/* Softmax attention of a tile of queries over keys taken in tiles that begin at multiples of tile_keys, with a running
 * maximum. A query's answer depends on itself and the keys that it sees alone: every sum over keys runs in the keys'
 * order, or over lanes that are fixed by the key's number.
 *
 * What a key is (a patch of the same row, a variate at the same patch) is the caller's: the job gives rows, Sight says
 * which are seen.
 *   Sight::sees(i, j): query i of the job attends to key j
 *   Sight::clear(i):   every key below it is seen by query i and those after it */
#ifndef OD_GPU_ATTEND_TILE_CUH
#define OD_GPU_ATTEND_TILE_CUH

#include "gpu/kernels/kernel.cuh"
#include "gpu/kernels/rows.cuh"

enum { OD_TILE_LANES = 8 }; /* of a query: key j of a tile belongs to lane j mod 8 */

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
    m.line = a.tile_keys + OD_TILE_LANES; /* lines of neighbouring queries begin in other banks */
    m.queries = a.tile_queries;
    m.q = OD_SHARED(b, float, m.queries * m.row);
    m.k = OD_SHARED(b, float, a.tile_keys *m.row);
    m.v = OD_SHARED(b, float, a.tile_keys *m.row);
    m.acc = OD_SHARED(b, float, m.queries * m.row);
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

/* Scores of four queries by two keys a thread, the keys of neighbouring threads side by side. n: keys of the tile. */
template <typename Sight>
OD_DEVICE void od_tile_scores(unsigned t, unsigned threads, const od_attend_tile_args &a, const od_tile_memory &m,
                              const od_tile_job &job, const Sight &sight, uint32_t base, uint32_t n) {
    const uint32_t half = od_fours(n) / 2, groups = (job.n_query + 3) / 4, depth = od_fours(a.d_head);
    for (uint32_t u = t; u < groups * half; u += threads) {
        const uint32_t first = u / half * 4, key = u % half;
        const float *k0 = m.k + od_least(key, n - 1) * m.row, *k1 = m.k + od_least(key + half, n - 1) * m.row;
        const float *q[4];
        float s[4][2];
        for (uint32_t i = 0; i < 4; i++) {
            q[i] = m.q + od_least(first + i, job.n_query - 1) * m.row;
            s[i][0] = s[i][1] = 0;
        }
        for (uint32_t f = 0; f < depth; f += 4) {
            const float4 x = od_load4(k0 + f), y = od_load4(k1 + f);
            for (uint32_t i = 0; i < 4; i++) {
                const float4 z = od_load4(q[i] + f);
                s[i][0] = od_dot4(s[i][0], z, x);
                s[i][1] = od_dot4(s[i][1], z, y);
            }
        }
        for (uint32_t i = 0; i < 4 && first + i < job.n_query; i++)
            for (uint32_t j = 0; j < 2; j++) {
                const uint32_t at = key + j * half;
                m.weight[(first + i) * m.line + at] =
                    sight.sees(first + i, base + at) ? s[i][j] * a.inverse_root : -INFINITY;
            }
    }
}

/* Each lane's greatest score. A NaN need not be the maximum: its own weight will be NaN, and so the answer. */
OD_DEVICE void od_tile_peaks(unsigned t, unsigned threads, const od_tile_memory &m, uint32_t n_query, uint32_t n) {
    for (uint32_t u = t; u < n_query * OD_TILE_LANES; u += threads) {
        const float *score = m.weight + u / OD_TILE_LANES * m.line;
        float top = -INFINITY;
        for (uint32_t j = u % OD_TILE_LANES; j < n; j += OD_TILE_LANES)
            if (score[j] > top) top = score[j];
        m.peak[u] = top;
    }
}

/* From scores to weights, and each lane's sum of them; the new maximum, and its factor. */
OD_DEVICE void od_tile_weights(unsigned t, unsigned threads, const od_tile_memory &m, uint32_t n_query, uint32_t n,
                               const float *was, float *top) {
    for (uint32_t u = t; u < n_query * OD_TILE_LANES; u += threads) {
        const uint32_t q = u / OD_TILE_LANES, lane = u % OD_TILE_LANES;
        const float before = was ? was[q] : -INFINITY;
        float *score = m.weight + q * m.line, most = before, sum = 0;
        for (uint32_t e = 0; e < OD_TILE_LANES; e++) {
            const float peak = m.peak[q * OD_TILE_LANES + e];
            if (peak > most) most = peak;
        }
        for (uint32_t j = lane; j < n; j += OD_TILE_LANES) {
            const bool seen = score[j] != -INFINITY;
            const float w = expf(score[j] - most);
            score[j] = seen ? w : -1.0f;
            if (seen) sum += w;
        }
        m.sum[u] = sum;
        if (lane == 0) {
            top[q] = most;
            m.factor[q] = most == -INFINITY ? 1.0f : expf(before - most);
        }
    }
}

/* The sum of the weights so far: before the tile, and with it. */
OD_DEVICE float od_tile_total(const od_tile_memory &m, uint32_t q, const float *was) {
    const float4 lo = od_load4(m.sum + q * OD_TILE_LANES), hi = od_load4(m.sum + q * OD_TILE_LANES + 4);
    const float sum = ((lo.x + lo.y) + (lo.z + lo.w)) + ((hi.x + hi.y) + (hi.z + hi.w));
    return was ? was[q] * m.factor[q] + sum : sum;
}

/* Values times weights, two queries by four features a thread, added to what was; after the last tile the answer.
 * clear: keys of the tile that both queries see. */
template <typename Sight>
OD_DEVICE void od_tile_values(unsigned t, unsigned threads, const od_attend_tile_args &a, const od_tile_memory &m,
                              const od_tile_job &job, const Sight &sight, uint32_t base, uint32_t n, const float *was,
                              float *total) {
    const uint32_t chunks = od_fours(a.d_head) / 4, pairs = (job.n_query + 1) / 2;
    for (uint32_t u = t; u < pairs * chunks; u += threads) {
        const uint32_t first = u / chunks * 2, f = u % chunks * 4, seen = sight.clear(first);
        const uint32_t clear = (seen > base ? od_least(seen - base, n) : 0) / 4 * 4;
        const float *w[2] = {m.weight + first * m.line, m.weight + od_least(first + 1, job.n_query - 1) * m.line};
        float4 s[2] = {od_zero4(), od_zero4()};
        uint32_t j = 0;
        for (; j < clear; j += 4) {
            const float4 x = od_load4(w[0] + j), y = od_load4(w[1] + j);
            const float *v = m.v + j * m.row + f;
            const float4 v0 = od_load4(v), v1 = od_load4(v + m.row), v2 = od_load4(v + 2 * m.row),
                         v3 = od_load4(v + 3 * m.row);
            s[0] = od_add4(od_add4(od_add4(od_add4(s[0], x.x, v0), x.y, v1), x.z, v2), x.w, v3);
            s[1] = od_add4(od_add4(od_add4(od_add4(s[1], y.x, v0), y.y, v1), y.z, v2), y.w, v3);
        }
        for (; j < n; j++) {
            const float4 v = od_load4(m.v + j * m.row + f);
            for (uint32_t i = 0; i < 2; i++)
                if (!(w[i][j] < 0)) s[i] = od_add4(s[i], w[i][j], v); /* what is hidden may be NaN */
        }
        for (uint32_t i = 0; i < 2 && first + i < job.n_query; i++) {
            const uint32_t q = first + i;
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
template <typename Sight>
OD_DEVICE void od_attend_tile(const od_attend_tile_args &a, const od_block &b, const od_tile_memory &m,
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
            od_copy_wait<1>(); /* all but the values */
        }
        OD_PHASE(t, b) {
            od_tile_scores(t, b.threads, a, m, job, sight, base, n);
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
            od_tile_values(t, b.threads, a, m, job, sight, base, n, had, total);
        }
    }
}

#endif
