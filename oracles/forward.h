/* One procedure over any engine: what the official code was asked for when the golden vectors were made
 * (tests/vectors/make_vectors.py, KEYS), so that its answers can be compared tensor by tensor. */
#ifndef OD_ORACLES_FORWARD_H
#define OD_ORACLES_FORWARD_H

#include "model/engine.h"

/* Raw steps [B, V, N] each, row-major and contiguous; the first T are the context, the rest is its continuation. */
typedef struct od_forward_input {
    size_t batch, variates, n_step, n_context;
    const float *value;
    const uint8_t *mask;
    const int32_t *id;
} od_forward_input;

/* Tensors that own their data. */
typedef struct od_forward_result {
    size_t n_tensor;
    od_tensor *tensor;
    od_stats stats; /* of the caching engine, after its last call; all zero before */
} od_forward_result;

/* Runs `model` on `api` and collects, steps = (N - T)/P rounded down:
 *   prefill.{scaler_loc,scaler_scale,hidden.<i>,df,loc,scale[,probs]}
 *   uncached.<s>.{df,loc,scale[,probs]}   [B,V,P(,K)], s = 0 … steps teacher-forced patches, cache off
 *   cached.<s>.{df,loc,scale[,probs]}     the same with a cache: options' own, or fixed where that is off
 *   forecast_uncached, forecast_cached    [B,V,steps·P] free-running mean forecast
 * dtypes are the engine's. `options` sets the other switches (hidden is set here). The caller frees *out with
 * od_forward_free. OD_BAD_INPUT: T of 0 or beyond N, a mask that is neither 0 nor 1; otherwise whatever the engine
 * says, prefixed with the step. On error *out is empty. */
enum od_status od_forward_run(od_forward_result *out, const od_engine_api *api, const od_model *model,
                              const od_options *options, const od_forward_input *input, od_error *e);

void od_forward_free(od_forward_result *result); /* an empty or zeroed one is fine */

/* NULL where there is none of that name. */
const od_tensor *od_forward_find(const od_forward_result *result, const char *name);

#endif
