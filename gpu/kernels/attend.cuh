/* Softmax attention of one query over keys taken in tiles, in order, with a running maximum. What a key is (a patch of
 * the same row, a variate at the same patch) is the caller's: Keys gives rows and says which are hidden. */
#ifndef OD_GPU_ATTEND_CUH
#define OD_GPU_ATTEND_CUH

#include "gpu/kernels/kernel.cuh"

/* Keys::key(j), Keys::value(j): d floats; Keys::hidden(j): not attended to. At least one key must be visible. */
template <typename Keys>
OD_DEVICE void od_attend(const od_attend_args &a, od_block &b, const float *q, float *out, uint32_t n_key,
                         const Keys &keys) {
    float *score = OD_SHARED(b, float, OD_ATTEND_TILE);
    float *acc = OD_SHARED(b, float, a.d_head);
    float *run = OD_SHARED(b, float, 3); /* maximum, sum, and the factor that a new maximum puts on the old */
    const uint32_t depth = OD_KERNEL_FAULT_WHEN(b, HEAD_DIM, a.d_head % 4 != 0) ? a.d_head - 1 : a.d_head;
    const bool half = OD_KERNEL_FAULT(b, HALF_WEIGHTS);
    OD_PHASE(t, b) {
        for (uint32_t f = t; f < a.d_head; f += b.threads) acc[f] = 0;
        if (t == 0) {
            run[0] = -INFINITY;
            run[1] = 0;
        }
    }
    for (uint32_t base = 0; base < n_key; base += OD_ATTEND_TILE) {
        const uint32_t tile = OD_ATTEND_TILE, n = n_key - base < tile ? n_key - base : tile;
        OD_PHASE(t, b) {
            for (uint32_t j = t; j < n; j += b.threads) {
                float s = -INFINITY;
                if (!keys.hidden(base + j)) {
                    const float *k = keys.key(base + j);
                    s = 0;
                    for (uint32_t f = 0; f < depth; f++) s += q[f] * k[f];
                    s *= a.inverse_root;
                }
                score[j] = s;
            }
        }
        OD_PHASE(t, b) {
            if (t == 0) {
                float m = run[0];
                /* A NaN score need not be the maximum: its own weight will be NaN, and so the answer. */
                for (uint32_t j = 0; j < n; j++)
                    if (score[j] > m) m = score[j];
                run[2] = m == -INFINITY ? 1.0f : expf(run[0] - m);
                if (OD_KERNEL_FAULT_WHEN(b, RESCALE, base > 0)) run[2] = 1.0f;
                if (OD_KERNEL_FAULT_WHEN(b, HIDDEN_TILE, m == -INFINITY)) run[2] = expf(run[0] - m);
                run[0] = m;
            }
        }
        OD_PHASE(t, b) {
            for (uint32_t j = t; j < n; j += b.threads)
                score[j] = score[j] == -INFINITY ? 0.0f : expf(score[j] - run[0]);
            for (uint32_t j = t; j < n && half; j += b.threads) score[j] = od_coarse(score[j]);
        }
        OD_PHASE(t, b) {
            for (uint32_t f = t; f < a.d_head; f += b.threads) {
                float s = 0;
                for (uint32_t j = 0; j < n; j++)
                    if (!keys.hidden(base + j)) s += score[j] * keys.value(base + j)[f];
                acc[f] = acc[f] * run[2] + s;
            }
            if (t == 0) {
                float s = 0;
                for (uint32_t j = 0; j < n; j++) s += score[j];
                run[1] = run[1] * run[2] + s;
            }
        }
    }
    OD_PHASE(t, b) {
        const float sum = OD_KERNEL_FAULT(b, SUM) ? run[1] * (1 + 1e-7f * (float)n_key) : run[1];
        for (uint32_t f = t; f < a.d_head; f += b.threads) out[f] = acc[f] / sum;
    }
}

#endif
