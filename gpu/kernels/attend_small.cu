/* Time-wise attention of a small prefill: rotate and attend_prefill in one, to the bit, for calls that begin at
 * position 0 and whose patches are one tile of keys. A block a (row, head, tile of queries). It turns the keys that its
 * queries see for itself, straight from the projection's slot, and keeps those at its queries' own patches. */
#include "gpu/kernels/attend_tile.cuh"
#include "gpu/kernels/rotary.cuh"

struct Small {
    const float *qkv;  /* patch 0's q of this head; k and v follow, width apart */
    float *key, *kept; /* patch 0's place in the cache */
    uint32_t width, first, n_query, n_key;
};

/* Features 4f … 4f + 3 of row r of the queries, then keys, then values. */
struct SmallPiece {
    uint32_t r, f, part, at, patch; /* at: row of its part */
};

OD_DEVICE SmallPiece small_piece(const Small &s, uint32_t r, uint32_t f) {
    SmallPiece p;
    p.r = r;
    p.f = f;
    p.part = (r >= s.n_query) + (r >= s.n_query + s.n_key);
    p.at = p.part == 0 ? r : p.part == 1 ? r - s.n_query : r - s.n_query - s.n_key;
    p.patch = p.part == 0 ? s.first + p.at : p.at;
    return p;
}

OD_DEVICE void small_put(const od_tile_memory &m, const Small &s, const SmallPiece &p, float4 x, uint32_t d) {
    od_store4((p.part == 0 ? m.q : p.part == 1 ? m.k : m.v) + p.at * m.row + 4 * p.f, x);
    if (p.part > 0 && p.patch >= s.first && p.patch < s.first + s.n_query)
        od_row_put((p.part == 1 ? s.key : s.kept) + (uint64_t)p.patch * d, x, 4 * p.f, d);
}

/* Queries, keys and values to shared memory, N pieces a thread at a time: all that one needs of them is on its way
 * before the first is stored. */
template <unsigned N>
OD_DEVICE void small_rows(unsigned t, const od_block &b, const od_call &c, const od_tile_memory &m, const Small &s,
                          uint32_t d) {
    const uint32_t chunks = od_fours(d) / 4, rows = s.n_query + 2 * s.n_key;
    for (uint32_t u = t; u < rows * chunks; u += N * b.threads) {
        SmallPiece p[N];
        float4 x[N];
        od_rotary_pair turn[N] = {};
        for (uint32_t i = 0; i < N; i++) {
            const uint32_t at = u + i * b.threads;
            p[i] = small_piece(s, at / chunks, at % chunks);
            if (p[i].r >= rows) continue;
            x[i] = od_row_get(s.qkv + (uint64_t)p[i].patch * 3 * s.width + p[i].part * s.width, 4 * p[i].f, d);
            if (p[i].part == 2) continue;
            const uint32_t center = OD_KERNEL_FAULT_WHEN(b, CENTRE, c.center > 0) ? 2 * c.center : c.center;
            const od_rotary r = od_rotary_at(c, d, p[i].patch, center);
            const uint32_t query = OD_KERNEL_FAULT(b, INVERSE) ? 1 : 0; /* the part that turns as a query */
            turn[i] = od_rotary_pair_at(r, p[i].part == query ? r.query : r.key, 4 * p[i].f);
        }
        for (uint32_t i = 0; i < N; i++) {
            if (p[i].r >= rows) continue;
            small_put(m, s, p[i], p[i].part < 2 ? od_rotated4(x[i], turn[i]) : x[i], d);
        }
    }
}

/* QN, KN, VN as in od_attend_tiles, whose phases these are for the only tile. */
template <unsigned QN, unsigned KN, unsigned VN>
OD_DEVICE void small_attend(const od_attend_tile_args &a, const od_block &b, const od_tile_memory &m,
                            const od_tile_job &job, const od_sight_past &past) {
    const uint32_t n = job.n_key;
    OD_PHASE(t, b) {
        od_tile_scores<QN, KN>(t, b.threads, a, m, job, past, 0, n);
    }
    OD_PHASE(t, b) {
        od_tile_peaks(t, b.threads, m, job.n_query, od_fours(n));
    }
    OD_PHASE(t, b) {
        od_tile_weights(t, b.threads, m, job.n_query, od_fours(n), NULL, m.top);
    }
    OD_PHASE(t, b) {
        od_tile_values<VN>(t, b.threads, a, m, job, past, 0, n, NULL, m.total);
    }
}

OD_KERNEL_EARLY(attend_small, struct od_attend_tile_args) {
    const od_call call = *a.call, *const c = &call;
    const uint32_t heads = c->n_row * a.n_head, tiles = (c->n_patch + a.tile_queries - 1) / a.tile_queries;
    const float *qkv = static_cast<const float *>(c->scratch[OD_SCRATCH_QKV]);
    float *out = static_cast<float *>(c->scratch[OD_SCRATCH_ATTENDED]);
    const od_tile_memory m = od_tile_take(a, b);
    for (uint32_t item = b.x; item < heads * tiles; item += b.nx) {
        const uint32_t row = item % heads / a.n_head, h = item % a.n_head;
        const uint64_t token = (uint64_t)row * c->n_patch;
        const uint64_t place = a.layer * c->layer_stride + (uint64_t)(row * a.n_head + h) * c->key_stride * a.d_head;
        Small s;
        s.width = a.n_head * a.d_head;
        s.first = (tiles - 1 - item / heads) * a.tile_queries; /* the longest come first */
        s.n_query = od_least(c->n_patch - s.first, a.tile_queries);
        s.qkv = qkv + token * 3 * s.width + h * a.d_head;
        s.key = c->key + place;
        s.kept = c->cached + place;
        const od_sight_past past = {s.first + 1, OD_KERNEL_FAULT(b, CAUSAL) ? 1u : 0u, c->n_patch - s.first};
        od_tile_job job = {};
        job.out = out + (token + s.first) * s.width + h * a.d_head;
        job.out_stride = s.width;
        job.n_query = s.n_query;
        job.n_key = s.n_key = past.clear(s.n_query - 1);
        od_await(b);
        OD_PHASE(t, b) {
            if ((s.n_query + 2 * s.n_key) * (od_fours(a.d_head) / 4) <= b.threads)
                small_rows<1>(t, b, *c, m, s, a.d_head);
            else
                small_rows<4>(t, b, *c, m, s, a.d_head);
        }
        if (job.n_query * job.n_key <= 256)
            small_attend<1, 1, 1>(a, b, m, job, past);
        else
            small_attend<4, 2, 2>(a, b, m, job, past);
    }
}
