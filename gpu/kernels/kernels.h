/* The kernels' names and arguments: plain C, shared by the engine's host code and the kernel sources.
 *
 * Arguments are frozen when a graph is captured. Whatever may differ between two replays of one graph therefore
 * stands in od_call, a block in device memory that the host rewrites before each call; it is the only input of a graph
 * that may change, beside what its pointers lead to. */
#ifndef OD_GPU_KERNELS_H
#define OD_GPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Letters: R = B·V rows (series), N tokens of the call = R·S, S patches of the call, token (r, i) = r·S + i. */
/* Laid out by hand: clang-format would lay it out anew whenever it grows. */
/* clang-format off */
#define OD_KERNEL_LIST(X)                                                                      \
    X(ingest) X(scaler) X(patchify) X(add_bias) X(rmsnorm) X(qkv) X(attend_time) \
    X(attend_space) X(residual) X(swiglu) X(head) X(mean) X(keep) X(grow) X(front) \
    X(norm_rows) X(emit) X(fold) X(rotate) X(attend_prefill) X(attend_small) X(attend_step) \
    X(attend_group) X(row_product) X(row_chain)
/* clang-format on */

enum od_kernel {
#define OD_KERNEL_TAG(name) OD_KERNEL_##name,
    OD_KERNEL_LIST(OD_KERNEL_TAG)
#undef OD_KERNEL_TAG
        OD_KERNEL_COUNT
};

typedef struct od_grid {
    unsigned x, y;    /* blocks */
    unsigned threads; /* a block, at most 1024 */
    unsigned shared;  /* bytes of shared memory a block */
    bool early;       /* may begin before the launch ahead of it in the stream has ended (kernel.cuh) */
} od_grid;

/* Scratch of the engine, shared by its sessions, in floats unless said otherwise. N is the largest call's tokens. */
enum od_scratch {
    OD_SCRATCH_PATCHES,  /* [N, P] */
    OD_SCRATCH_X,        /* [N, D] the residual stream */
    OD_SCRATCH_NORM,     /* [N, D] */
    OD_SCRATCH_QKV,      /* [N, 3D] */
    OD_SCRATCH_Q,        /* [N, D] */
    OD_SCRATCH_K,        /* [N, D] space-wise */
    OD_SCRATCH_V,        /* [N, D] space-wise */
    OD_SCRATCH_LAYER_K,  /* [N, D] time-wise with cache off: one layer's keys */
    OD_SCRATCH_LAYER_V,  /* [N, D] */
    OD_SCRATCH_ATTENDED, /* [N, D] */
    OD_SCRATCH_PRODUCT,  /* [N, D] */
    OD_SCRATCH_MLP_IN,   /* [N, 2M] */
    OD_SCRATCH_MLP,      /* [N, M] */
    OD_SCRATCH_UNEMBED,  /* [N, P·D] (fused: where it is not folded into the heads) */
    OD_SCRATCH_DF,       /* [N, P, K] raw products of the heads */
    OD_SCRATCH_LOC,
    OD_SCRATCH_SCALE,
    OD_SCRATCH_MIX,
    OD_SCRATCH_HEADS,    /* [N, P, 3 or 4, K] raw products of the heads (fused): df, loc, scale, mixture */
    OD_SCRATCH_IN_VALUE, /* [R, new_count] staged window, at most N·P (fused, small: behind od_call); behind it: */
    OD_SCRATCH_IN_ID,    /* int32 [R, new_count/P] */
    OD_SCRATCH_IN_MASK,  /* bytes [R, new_count] */
    OD_SCRATCH_COUNT
};

/* State of a row's scaler, carried from call to call, all sums in time order. */
typedef struct od_scaler_state {
    double weight, sum, m2, mean; /* Σw, Σwx, Σw(x-mean_{t-1})(x-mean_t), mean_t */
    double low, high;             /* clamp of the scale (stabilised), or 0 and infinity */
    double loc, scale;            /* StdMeanScaler's only pair */
} od_scaler_state;

/* What may differ between replays. Rows of per-step arrays are step_stride apart, of per-patch arrays patch_stride. */
typedef struct od_call {
    /* the session */
    float *value;           /* [R, step_stride] the series as far as it goes, padded to patches */
    uint8_t *mask;          /* [R, step_stride] */
    int32_t *id;            /* [R, patch_stride] group of each patch */
    float *loc, *scale;     /* [R, step_stride] the scaler's, rounded */
    od_scaler_state *state; /* [R] */
    float *key, *cached;    /* [layer, R, H, key_stride, d] rotated keys; values */
    float *mean;            /* [R, P] data-space mean of the next patch */
    float *out_df, *out_loc, *out_scale, *out_probs; /* [N, P, K] */
    float *hidden;                                   /* [L, N, D], or NULL */
    const float *cosine, *sine, *xpos;               /* od_rope's tables in float32 */
    uint64_t layer_stride; /* floats from one time-wise layer's keys to the next; 0: one layer's place for all */
    uint32_t step_stride, patch_stride;
    uint32_t rope_rows;  /* positions that the tables hold */
    uint32_t key_stride; /* of key and cached: patches that the KV cache has room for */
    /* the call */
    uint32_t
        first_step;    /* of the call's patches, in steps; 0: the scaler starts anew, else it goes on from its state */
    uint32_t new_step; /* first step that is new: ingested from the window or from the mean */
    uint32_t prefix;   /* steps of the context: the scaler's global statistics end there */
    uint32_t position; /* of the call's first patch */
    uint32_t center;   /* xPos centre of the call */
    uint32_t own;      /* the new patch is the session's own mean */
    /* its sizes */
    uint32_t n_row, variates; /* R, V */
    uint32_t n_patch;         /* S: patches computed */
    uint32_t n_token;         /* N = R·S */
    uint32_t new_count;       /* steps ingested */
    uint32_t head_patch;      /* last patches of each row that the head is computed for: S, or 1 */
    void *scratch[OD_SCRATCH_COUNT];
} od_call;

/* Where a small window stands behind the call block, so that both are one copy; and the bytes of the largest, which
 * every engine has room for: enough for a decode step of toto-open-base with seven variates, little beside the smallest
 * model, whose memory may not grow by half. */
enum { OD_CALL_HEAD = (sizeof(od_call) + 15) / 16 * 16, OD_CALL_WINDOW = 2304 };

/* Copies new_count new steps a row from the window (or, for own: new_count = P, the mean) into the series. A block a
 * row. */
typedef struct od_ingest_args {
    const od_call *call;
    const float *value;  /* [R, new_count] staged window */
    const uint8_t *mask; /* [R, new_count] */
    const int32_t *id;   /* [R, new_count/P] */
    uint32_t new_count, patch;
} od_ingest_args;

/* Statistics in float64, one thread a row, in time order. Grid covers R. */
typedef struct od_scaler_args {
    const od_call *call;
    double minimum;                 /* minimum_scale */
    double low_factor, high_factor; /* 10^-e, 10^e */
    uint32_t rows, patch;
    uint32_t last_count; /* steps from first_step to the end of the call's patches */
    int32_t kind;        /* enum od_scaler */
    int32_t stabilize;
} od_scaler_args;

/* out[N, P] = (value - loc) / scale. Grid covers N·P. */
typedef struct od_patchify_args {
    const od_call *call;
    float *out;
    uint32_t n_patch, patch;
    uint64_t count;
} od_patchify_args;

/* x[row, width] += bias. A block a row. */
typedef struct od_add_bias_args {
    float *x;
    const float *bias;
    uint32_t width;
} od_add_bias_args;

/* y = x / sqrt(mean(x²) + 1e-8) · scale, a block a row of width. Threads: a power of two; shared memory: 4 bytes a
 * thread, in multiples of 16. */
typedef struct od_rmsnorm_args {
    float *y;
    const float *x, *scale;
    uint32_t width;
} od_rmsnorm_args;

/* Splits qkv[N, (3, d, H)] + bias into q [R, H, S, d] and, time-wise, rotated keys and values into the session's cache;
 * space-wise k, v [R, H, S, d] unrotated. A block a token. */
typedef struct od_qkv_args {
    const od_call *call;
    float *q, *k, *v; /* k, v: space-wise only */
    const float *qkv, *bias;
    const float *cosine, *sine, *xpos;                  /* od_rope's tables in float32; NULL: space-wise */
    uint32_t n_patch, n_head, d_head, layer, rope_rows; /* layer: index among the time-wise; rope_rows: n_position */
#ifdef OD_FAULTS
    uint32_t frozen_position;
#endif
} od_qkv_args;

/* out[N, (H, d)] = softmax(q·k/√d)·v: time-wise over the row's patches up to its own, space-wise over the rows of the
 * same batch row and group. Grid: N x H; keys are taken in tiles, in order. Shared memory: OD_ATTEND_TILE + d floats
 * (d rounded up to a multiple of 4) and 16 bytes. */
typedef struct od_attend_args {
    const od_call *call;
    float *out;
    const float *q, *k, *v;
    float inverse_root; /* 1/√d */
    uint32_t n_patch, n_head, d_head, layer, variates;
} od_attend_args;

enum { OD_ATTEND_TILE = 64 };

/* x[N, D] += y + bias. A block a token. */
typedef struct od_residual_args {
    float *x;
    const float *y, *bias;
    uint32_t width; /* D */
} od_residual_args;

/* y[N, M] = silu(gate)·up, gate and up the halves of x[N, 2M] + bias. A block a token. */
typedef struct od_swiglu_args {
    float *y;
    const float *x, *bias;
    uint32_t width, rows; /* M, N */
} od_swiglu_args;

/* df, loc, scale, probs from the raw products [N·P, K]; one thread an (N, P) position. */
typedef struct od_head_args {
    const od_call *call;
    const float *df, *loc, *scale, *mix; /* mix NULL: one Student-T */
    const float *df_bias, *loc_bias, *scale_bias, *mix_bias;
    uint32_t n_component;
    uint64_t count; /* N·P */
} od_head_args;

/* The session's mean [R, P] from the call's last patch; NaN, infinite and half of float32's maximum or more become 0
 * and add to *replaced. out_probs is read for a mixture only. Grid covers R·P. */
typedef struct od_mean_args {
    const od_call *call;
    uint32_t *replaced;
    uint32_t rows, n_patch, patch, n_component, mixture;
} od_mean_args;

/* Keeps the scratch slot x [N, D] as hidden state of a layer. Grid covers at least N·D. */
typedef struct od_keep_args {
    const od_call *call;
    uint32_t x; /* enum od_scratch */
    uint32_t layer, width;
} od_keep_args;

/* Moves a KV cache that has become too small into a larger one: of each of `places` (layer, row, head) the first `used`
 * patches, from rows of from_stride patches to rows of to_stride. A block a place. */
typedef struct od_grow_args {
    float *to_key, *to_value;
    const float *from_key, *from_value;
    uint32_t from_stride, to_stride, used, d_head;
} od_grow_args;

/* The fused kernels (options.fused). Their grids are as large as the bucket of shapes that a graph was captured for,
 * and they read the call's own sizes and the scratch's addresses from od_call: a block beyond n_row or n_token returns.
 */

enum od_epilogue {
    OD_EPILOGUE_BIAS,     /* y = x·wᵀ + bias */
    OD_EPILOGUE_RESIDUAL, /* y += x·wᵀ + bias */
    OD_EPILOGUE_SWIGLU    /* y[j] = silu(g[j])·g[outs + j], g = x·wᵀ + bias of 2·outs rows of w: gate, then up */
};

enum od_rows {
    OD_ROWS_TOKENS, /* every token of the call */
    OD_ROWS_HEAD,   /* of each row its last head_patch patches, in order; y has no gaps */
    OD_ROWS_STEPS   /* x and y have a row for every step of those patches (row_product alone) */
};

/* y[rows, outs] = epilogue(norm(x)·wᵀ): decode steps, and heads that are not folded, run it as the kernel row_product
 * (with a plan beside it: od_row_product_args in gpu/row_plan.h), prefills through od_device_ops.product. x and y are
 * slots of scratch with rows of depth and outs floats. The sum of a row depends on that row, w and depth alone: not on
 * how many rows there are, nor on where the row stands. */
typedef struct od_product_args {
    const od_call *call;
    const float *w;    /* [outs, depth], or [2·outs, depth] for SWIGLU; 256-byte aligned */
    const float *bias; /* as long as w has rows */
    const float *norm; /* [depth] RMSNorm's scale (row_product alone), or NULL */
    uint32_t x, y;     /* enum od_scratch */
    uint32_t outs, depth;
    uint32_t epilogue, rows; /* enum od_epilogue, enum od_rows */
    uint32_t patch;          /* OD_ROWS_STEPS: steps of a patch */
} od_product_args;

/* A call's way in, blocks over rows: the new_count new steps, from the staged window or (own: new_count = patch)
 * the session's mean, into the series, as the kernel ingest; the scaler from first_step to the end of the call's
 * patches, as the kernel scaler, to the bit; scaled patches into the scratch slot PATCHES, as patchify. 1 <= prefix,
 * and new_step is at least first_step. Grid: od_front_grid. */
typedef struct od_front_args {
    const od_call *call;
    double minimum;                 /* minimum_scale */
    double low_factor, high_factor; /* 10^-e, 10^e */
    uint32_t patch;
    int32_t kind; /* enum od_scaler */
    int32_t stabilize;
} od_front_args;

/* y = x / sqrt(mean(x²) + 1e-8) · scale over each token's row, from one scratch slot to another. A block a token; grid:
 * od_norm_rows_grid. */
typedef struct od_norm_rows_args {
    const od_call *call;
    const float *scale; /* [width], 16-byte aligned */
    uint32_t x, y;      /* enum od_scratch: two */
    uint32_t width;
} od_norm_rows_args;

/* From the scratch slot HEADS [n_row·head_patch, P, n_head, K], biases already in it, to the session's df, loc, scale
 * and, for a mixture, probs [n_row·head_patch, P, K], and its mean [R, P] from each row's last patch, as the kernels
 * head and mean; grid: od_emit_grid. */
typedef struct od_emit_args {
    const od_call *call;
    uint32_t *replaced;
    uint32_t patch, n_head, n_component; /* n_head: df, loc, scale, and for a mixture its logits */
} od_emit_args;

/* out[P, n_head, K, D] = head · unembedding, and their biases likewise: at create, before any call. Pointers are
 * 16-byte aligned; grid: od_fold_grid. */
typedef struct od_fold_args {
    float *out, *out_bias;                      /* [P, n_head, K, D], [P, n_head, K] */
    const float *unembed;                       /* [P, D, D] */
    const float *unembed_bias;                  /* [P, D] */
    const float *head[4];                       /* n_head of [K, D] */
    const float *head_bias[4];                  /* [K] */
    uint32_t patch, n_head, n_component, width; /* P, 3 or 4, K, D */
} od_fold_args;

/* Turns q in the slot QKV, whose rows are [q][k][v] of [H, d] each with the bias in them, and puts turned keys and the
 * values into the session's cache. Tokens are taken in turn by as many blocks as there are. */
typedef struct od_rotate_args {
    const od_call *call;
    uint32_t n_head, d_head, layer; /* layer: among the time-wise */
#ifdef OD_FAULTS
    uint32_t frozen_position;
#endif
} od_rotate_args;

/* attend_prefill, attend_group: the slot ATTENDED [N, (H, d)] from turned queries and the cache, or from the slot QKV
 * alone. attend_small: rotate and attend_prefill in one, for calls that begin at position 0 and have at most tile_keys
 * patches. Sizes as in fused_grid_attention.h: tile_keys follow from d alone, or there is one tile. */
typedef struct od_attend_tile_args {
    const od_call *call;
    float inverse_root; /* 1/√d */
    uint32_t n_head, d_head, layer;
    uint32_t tile_queries, tile_keys; /* keys: a multiple of 4 */
} od_attend_tile_args;

/* attend_step: what rotate and attend_prefill do, for calls of one patch a row. A block a (row, head). */
typedef struct od_attend_step_args {
    const od_call *call;
    float inverse_root;
    uint32_t n_head, d_head, layer;
    uint32_t tile_keys; /* a multiple of OD_STEP_GROUP; follows from d alone, or there is one tile */
#ifdef OD_FAULTS
    uint32_t frozen_position;
#endif
} od_attend_step_args;

enum { OD_STEP_GROUP = 8 };

/* Floats from one row of d in shared memory to the next: an odd number of 16 bytes, so that neighbours begin in other
 * banks. */
#define OD_ROW_STRIDE(d) ((((d) + 3u) / 4u | 1u) * 4u)

/* row_chain: up to four small products for eight rows a block. Offsets are in floats of its shared memory. */
enum { OD_CHAIN_LINKS = 4, OD_CHAIN_LOADS = 2 };

typedef struct od_chain_link {
    const float *w, *bias, *norm; /* as in od_product_args */
    uint32_t outs, depth;
    uint32_t w_at, x_at, y_at; /* the weights with bias and scale; eight rows of x and, where kept, of y */
    uint8_t epilogue, y;       /* enum od_epilogue; enum od_scratch */
    uint8_t head;              /* as OD_ROWS_HEAD */
    uint8_t keep;              /* y stays for later links, beside the slot in scratch */
} od_chain_link;

/* Rows of a slot that the first link to use them finds in scratch. */
typedef struct od_chain_load {
    uint32_t slot, at, width;
} od_chain_load;

typedef struct od_row_chain_args {
    const od_call *call;
    uint32_t n_link, n_load, floats;
    od_chain_load load[OD_CHAIN_LOADS];
    od_chain_link link[OD_CHAIN_LINKS];
} od_row_chain_args;

#endif
