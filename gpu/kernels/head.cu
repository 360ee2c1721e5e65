/* The distribution's parameters from the heads' products (model.md, 7): one thread a position, components in order. */
#include "gpu/kernels/head.cuh"

OD_KERNEL(head, struct od_head_args) {
    const od_call *c = a.call;
    OD_PHASE(t, b) {
        const uint64_t at = OD_INDEX(t, b);
        if (at < a.count) {
            const uint32_t n = a.n_component;
            const uint64_t first = at * n;
            for (uint32_t k = 0; k < n; k++) {
                c->out_df[first + k] = 2.0f + od_positive(a.df[first + k] + a.df_bias[k]);
                c->out_loc[first + k] = a.loc[first + k] + a.loc_bias[k];
                c->out_scale[first + k] = od_positive(a.scale[first + k] + a.scale_bias[k]);
                const float x = a.scale[first + k] + a.scale_bias[k];
                if (OD_KERNEL_FAULT_WHEN(b, SOFTPLUS, x > 2)) c->out_scale[first + k] = x;
            }
            if (a.mix) {
                float top = -INFINITY, sum = 0;
                for (uint32_t k = 0; k < n; k++) {
                    const float x = a.mix[first + k] + a.mix_bias[k];
                    if (x > top) top = x;
                }
                for (uint32_t k = 0; k < n; k++) {
                    const float p = expf(a.mix[first + k] + a.mix_bias[k] - top);
                    c->out_probs[first + k] = p;
                    if (!OD_KERNEL_FAULT_WHEN(b, DENOMINATOR, n > 4 && k >= n / 4 * 4)) sum += p;
                }
                for (uint32_t k = 0; k < n; k++) c->out_probs[first + k] /= sum;
            }
        }
    }
}
