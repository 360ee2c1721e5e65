/* Time-wise attention of many patches: each sees its row's patches up to itself, earlier calls' among them. Queries
 * come turned from the projection's slot, keys and values from the cache. A block a (row, head, tile of queries), and
 * the next where there are more of them than blocks. */
#include "gpu/kernels/attend_tile.cuh"

OD_KERNEL_EARLY(attend_prefill, struct od_attend_tile_args) {
    const od_call call = *a.call, *const c = &call;
    const uint32_t width = a.n_head * a.d_head, heads = c->n_row * a.n_head;
    const uint32_t tiles = (c->n_patch + a.tile_queries - 1) / a.tile_queries;
    const float *qkv = static_cast<const float *>(c->scratch[OD_SCRATCH_QKV]);
    float *out = static_cast<float *>(c->scratch[OD_SCRATCH_ATTENDED]);
    const od_tile_memory m = od_tile_take(a, b);
    od_await(b);
    for (uint32_t item = b.x; item < heads * tiles; item += b.nx) {
        const uint32_t first = (tiles - 1 - item / heads) * a.tile_queries; /* the longest come first */
        const uint32_t row = item % heads / a.n_head, h = item % a.n_head;
        const uint32_t n_query = od_least(c->n_patch - first, a.tile_queries);
        const uint64_t token = (uint64_t)row * c->n_patch + first;
        const uint64_t place = a.layer * c->layer_stride + (uint64_t)(row * a.n_head + h) * c->key_stride * a.d_head;
        const uint32_t own = OD_KERNEL_FAULT_WHEN(b, OWN_KEY, first > 0) ? 0 : 1;
        const od_sight_past past = {c->position + first + own, OD_KERNEL_FAULT(b, CAUSAL) ? 1u : 0u,
                                    c->n_patch - first};
        od_tile_job job;
        job.q = qkv + token * 3 * width + h * a.d_head;
        job.k = c->key + place;
        job.v = c->cached + place;
        job.out = out + token * width + h * a.d_head;
        job.q_stride = 3 * (uint64_t)width;
        job.key_stride = a.d_head;
        job.out_stride = width;
        job.n_query = n_query;
        job.n_key = past.clear(n_query - 1);
        od_attend_tile(a, b, m, job, past);
    }
}
