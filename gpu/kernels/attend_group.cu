/* Space-wise attention: at one patch, a variate sees the variates of its batch row whose group id is its own. Queries,
 * keys and values stand side by side in the projection's slot. A block a (batch row, patch, head, tile of variates),
 * and the next where there are more of them than blocks. */
#include "gpu/kernels/attend_tile.cuh"

struct Group {
    enum { LARGE = 0 };  /* what 32 queries take in registers, other blocks have better use for */
    const int32_t *id;   /* variate 0's at this patch, rows `stride` apart */
    int32_t *own, *tile; /* of the job's queries, and of a tile of keys: in shared memory */
    uint32_t stride, first, variates, tile_keys;
    bool all; /* by fault */
    OD_DEVICE_METHOD uint32_t clear(uint32_t) const {
        return 0;
    }
    OD_DEVICE_METHOD uint32_t reach(uint32_t) const {
        return variates;
    }
    OD_DEVICE_METHOD void fetch(unsigned t, unsigned threads, uint32_t n_query, uint32_t base, uint32_t n) const {
        for (uint32_t i = t; i < n_query && base == 0; i += threads) own[i] = id[(uint64_t)(first + i) * stride];
        for (uint32_t j = t; j < n; j += threads) tile[j] = id[(uint64_t)(base + j) * stride];
    }
    OD_DEVICE_METHOD bool sees(uint32_t i, uint32_t j) const {
        return j < variates && (all || tile[j % tile_keys] == own[i]);
    }
};

OD_KERNEL_EARLY(attend_group, struct od_attend_tile_args) {
    const od_call call = *a.call, *const c = &call;
    const uint32_t width = a.n_head * a.d_head, variates = c->variates;
    const uint32_t tiles = (variates + a.tile_queries - 1) / a.tile_queries;
    const uint32_t items = c->n_row / variates * c->n_patch * a.n_head * tiles;
    const float *qkv = static_cast<const float *>(c->scratch[OD_SCRATCH_QKV]);
    float *out = static_cast<float *>(c->scratch[OD_SCRATCH_ATTENDED]);
    const od_tile_memory m = od_tile_take(a, b);
    int32_t *own = OD_SHARED(b, int32_t, a.tile_queries), *keys = OD_SHARED(b, int32_t, a.tile_keys);
    od_await(b);
    for (uint32_t item = b.x; item < items; item += b.nx) {
        const uint32_t h = item % a.n_head, tile = item / a.n_head % tiles, i = item / a.n_head / tiles % c->n_patch;
        const uint64_t row = (uint64_t)(item / a.n_head / tiles / c->n_patch) * variates; /* of variate 0 */
        const uint32_t first = tile * a.tile_queries;
        const int32_t *id = c->id + row * c->patch_stride + c->position + i;
        const uint32_t from = OD_KERNEL_FAULT_WHEN(b, GROUP_FIRST, first > 0) ? 0 : first;
        const uint32_t end =
            OD_KERNEL_FAULT_WHEN(b, VARIATE, variates % 4 == 1 && variates > 4) ? variates - 1 : variates;
        const Group group = {id, own, keys, c->patch_stride, from, end, a.tile_keys, OD_KERNEL_FAULT(b, GROUP)};
        const float *at = qkv + (row * c->n_patch + i) * 3 * width + h * a.d_head;
        const uint64_t token = (row + first) * c->n_patch + i;
        od_tile_job job;
        job.q = qkv + token * 3 * width + h * a.d_head;
        job.k = at + width;
        job.v = at + 2 * width;
        job.out = out + token * width + h * a.d_head;
        job.q_stride = job.key_stride = (uint64_t)c->n_patch * 3 * width;
        job.out_stride = (uint64_t)c->n_patch * width;
        job.n_query = od_least(variates - first, a.tile_queries);
        job.n_key = variates;
        od_attend_tile(a, b, m, job, group);
    }
}
