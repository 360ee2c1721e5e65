/* Inside of the fast path: what its files share. Nothing outside gpu/ includes this. */
#ifndef OD_GPU_ENGINE_H
#define OD_GPU_ENGINE_H

#include "gpu/device/device.h"
#include "gpu/gpu.h"
#include "model/rope.h"

/* Memory of a session on the device. */
enum od_kept {
    OD_KEPT_VALUE,
    OD_KEPT_MASK,
    OD_KEPT_ID,
    OD_KEPT_SCALER_LOC,
    OD_KEPT_SCALER_SCALE,
    OD_KEPT_STATE,
    OD_KEPT_KEY,
    OD_KEPT_CACHED,
    OD_KEPT_MEAN,
    OD_KEPT_DF,
    OD_KEPT_LOC,
    OD_KEPT_SCALE,
    OD_KEPT_PROBS,
    OD_KEPT_HIDDEN,
    OD_KEPT_COUNT
};

/* The shape that a captured graph is good for; everything else that may differ stands in od_call. The fused path's
 * kernels read the sizes from there as well, so that its graphs serve a bucket of shapes: `capacity` and `step` say
 * which, the other four are 0. Elsewhere a graph is of one shape. */
typedef struct od_shape {
    size_t batch, variates;
    size_t n_patch;   /* patches computed by the call */
    size_t new_count; /* steps ingested by the call */
    size_t capacity;  /* tokens, at most */
    bool step;        /* a decode step on cached keys: one patch a row */
} od_shape;

/* What a call is like that is run or recorded now: hints for the fused path (no bit follows from them), and what the
 * planted fault freezes. */
typedef struct od_sizes {
    size_t tokens, heads; /* rows of the products, and of the head's */
    size_t position;
} od_sizes;

typedef struct od_captured {
    od_shape shape;
    od_graph *graph;
} od_captured;

enum { OD_REHEARSALS = 32 };

struct od_engine {
    const od_device_ops *ops;
    od_device *dev;
    const od_model *model;
    od_options options;
    od_heap heap;
    bool recomputes;  /* cache off, or no time-wise layer */
    bool rolled_back; /* OD_DISABLE_FAST: plain launches whatever the options ask for */

    float *weights;          /* on the device; weights.c */
    size_t *place;           /* of each tensor of the model's table in weights, in floats */
    float *head, *head_bias; /* fused: the heads as one matrix; folded: unembedding and heads */
    bool folded;
    od_call *call;      /* device: the one dynamic input of graphs; fused: room for a small window behind it */
    uint32_t *replaced; /* device counter */
    float *cosine, *sine, *xpos;
    size_t n_position; /* rows of cosine and sine */
    void *scratch[OD_SCRATCH_COUNT];
    size_t n_token; /* capacity of scratch */

    od_shape rehearsed[OD_REHEARSALS]; /* whose products were timed; beyond so many shapes none are */
    size_t n_rehearsed;
    od_captured *graphs; /* options.captures places */
    size_t n_graph;
    size_t n_capture;         /* captures since the graphs were last dropped on request: what options.captures bounds */
    size_t n_prefill_capture; /* of which of calls that are no decode step on cached keys */
    od_session *sessions;     /* open ones */
    uint64_t captures, replays, cache_hits, fallbacks;
#ifdef OD_FAULTS
    void **hoard; /* what planted leaks took: it goes with the engine, or its device could not be closed */
    size_t n_hoard;
    bool recording, ninth; /* a graph, the ninth of them */
#endif
};

struct od_session {
    od_engine *engine;
    od_session *next, **link;
    size_t batch, variates, rows;
    size_t step_limit, patch_limit;
    size_t key_patch; /* patches that the KV cache has room for: patch_limit, or as far as a dynamic one has grown */
    void *kept[OD_KEPT_COUNT];

    size_t n_step;      /* padded steps so far; 0 before prefill */
    size_t prefix;      /* of which context */
    size_t call_patch;  /* patches that the last call computed */
    size_t head_patch;  /* of which, the last ones, the head was computed */
    size_t shown_patch; /* of which outputs show the last: all of a prefill's, one of a decode's */
    bool answered;      /* there are outputs to be asked for */
    bool broken;        /* a call failed: reset first */

    /* host side, taken at open */
    char *staged; /* room for a call block (OD_CALL_HEAD), then a call's window without gaps, so that it is one copy:
                     od_staged_id and od_staged_mask say what lies where */
    od_tensor *tensor;
    size_t max_tensor;
    void **host;           /* max_tensor buffers for outputs */
    od_rows_copy *fetched; /* [max_tensor]: what goes to the host, and where */
#ifdef OD_FAULTS
    size_t n_reset, n_decoded, last_count; /* since it was opened; steps of the last window */
#endif
};

/* buffers.c: device memory. */
enum od_status od_engine_reserve(od_engine *engine, size_t n_token, size_t n_position, od_error *e);
enum od_status od_engine_release(od_engine *engine, od_error *e);
enum od_status od_session_reserve(od_session *s, od_error *e);
enum od_status od_session_release(od_session *s, od_error *e);
size_t od_scratch_bytes(const od_engine *engine, enum od_scratch which, size_t n_token);
void od_engine_drop_graphs(od_engine *engine);
/* Room for n_patch patches in the session's KV cache: a dynamic one grows and keeps its first `used`. A failure leaves
 * it as it was. */
enum od_status od_session_grow(od_session *s, size_t n_patch, size_t used, od_error *e);

#ifdef OD_FAULTS
/* What a planted leak takes: device memory that nothing uses, freed with the engine; and what it does not give back. */
void od_engine_hoard(od_engine *engine, size_t bytes);
void od_engine_keep(od_engine *engine, void *buffer);
#endif

/* weights.c: what the kernels read, on the device. */
enum od_status od_engine_upload(od_engine *engine, od_error *e);
const float *od_engine_weight(const od_engine *engine, enum od_weight kind, size_t layer);

/* forward.c: the work of one call, given to the device's streams in order. `position` is of the call's first patch. */
enum od_status od_forward(od_engine *engine, const od_shape *shape, size_t position, od_error *e);

/* fused.c: the same with the fused kernels, for any shape of the bucket. */
enum od_status od_forward_fused(od_engine *engine, const od_shape *bucket, const od_sizes *sizes, od_error *e);

/* Where in a staged window of `count` steps (all rows together) its ids and its mask begin; the values are at 0. */
static inline size_t od_staged_id(size_t count) {
    return count * sizeof(float);
}
static inline size_t od_staged_mask(size_t count, size_t patch) {
    return od_staged_id(count) + count / patch * sizeof(int32_t);
}

/* Bytes of the device's call block, of a session's staging and of what it keeps. */
static inline size_t od_call_bytes(const od_engine *en) {
    return en->options.fused ? OD_CALL_HEAD + OD_CALL_WINDOW : sizeof(od_call);
}
static inline size_t od_staged_bytes(const od_session *s) {
    const size_t steps = s->rows * s->step_limit;
    return OD_CALL_HEAD + od_staged_mask(steps, s->engine->model->config.patch) + steps;
}
size_t od_kept_bytes(const od_session *s, enum od_kept which); /* buffers.c */

/* poison.c: fills of all scratch into fills, room for OD_SCRATCH_COUNT; how many they are. */
size_t od_engine_scratch_fills(const od_engine *engine, od_fill *fills, int byte);

/* The interface's poison and scramble_undeclared. */
enum od_status od_engine_poison(od_engine *engine, od_error *e);
enum od_status od_engine_scramble(od_engine *engine, od_error *e);

/* call.c: prefill and decode around it. */
enum od_status od_session_prefill(od_session *s, const od_window *window, od_error *e);
enum od_status od_session_decode(od_session *s, const od_window *next, od_error *e);

/* outputs.c */
enum od_status od_session_outputs_reserve(od_session *s, od_error *e);
void od_session_outputs_release(od_session *s);
void od_session_outputs_scramble(od_session *s); /* those on the host */
enum od_status od_session_outputs(od_session *s, od_outputs *out, od_error *e);

#endif
