/* The planted faults, a row each.
 *
 * X(tag, "name", "family", "stage", "what is wrong")
 *
 * name    what OD_FAULT takes
 * family  tail mask cache graph order precision position scaler head memory speed nan corner
 * stage   where explain must see it: embedding, scaler, input (either of these: a wrong window moves the statistics of some
 * scalers alone), time or space (layers of that kind), layer (of either), heads;
 * none where no tensor of one call is wrong (memory, speed, a crash)
 *
 * The lists: OD_FAULT_LIST has tests of its own for each (tests/faults/run, explain, bisect). OD_FAULT_NARROW_LIST is
 * for a fuzzer to find: few cases show them, or only ones that are driven far; tests/faults/feedback measures how long
 * that takes. OD_FAULT_BENCH_LIST is the rest that the twin shows, OD_FAULT_GPU_LIST what only a GPU does.
 * OD_FAULT_SHARED_LIST stands in what both engines share and in the judge, where no differential run can see it: each
 * row says whose tests do. */
#ifndef OD_FAULTS_LIST_H
#define OD_FAULTS_LIST_H

/* clang-format off */
#define OD_FAULT_LIST(X) \
    X(TAIL, "kernel-tail", "tail", "layer", \
      "the SwiGLU kernel leaves out the last element of its last block") \
    X(CAUSAL, "causal-mask", "mask", "time", \
      "time-wise attention sees one patch of the future") \
    X(CACHE_POS, "cache-position", "cache", "time", \
      "decode writes keys and values one place too early") \
    X(SCALER, "scaler-bessel", "scaler", "scaler", \
      "Bessel's correction the wrong way round: not in the causal scaler, but in the global one") \
    X(EDGE, "graph-missing-edge", "graph", "heads", \
      "the side stream of the captured graph does not wait for the unembedding") \
    X(FROZEN, "graph-frozen-argument", "graph", "time", \
      "the captured graph keeps the position of the call that captured it") \
    X(SHAPE, "graph-shape", "graph", "scaler", \
      "a captured graph also serves longer windows than the one that it was captured with") \
    X(CARRY, "scaler-carry", "scaler", "scaler", \
      "the causal scaler's sums begin anew behind the first decode step") \
    X(RESCALE, "softmax-tile", "order", "layer", \
      "attention past a tile of keys: a new maximum does not rescale the sums before it") \
    X(GROUP, "group-mask", "mask", "space", \
      "space-wise attention sees the variates of other groups") \
    X(NORM, "fused-norm", "precision", "layer", \
      "the fused chain's RMSNorm leaves the last feature out of its mean of squares") \
    X(FEEDBACK, "feedback-row", "cache", "input", \
      "an own patch is the forecast of the row before")

#define OD_FAULT_NARROW_LIST(N) \
    N(SUM, "softmax-sum", "precision", "layer", \
      "attention's sum of weights is too large by a part that grows with the keys") \
    N(FLOAT, "scaler-float32", "scaler", "scaler", \
      "the causal scaler's sums are carried from call to call as float32") \
    N(PAST, "key-past-tile", "mask", "time", \
      "a batch: the query that first sees past a tile of 64 keys does not see its own") \
    N(FIFTH, "fifth-capture", "corner", "time", \
      "the fifth graph of an engine keeps the position of the call that captured it") \
    N(TILE, "group-tile", "mask", "space", \
      "space-wise attention: each sixteenth variate has the group of the one before") \
    N(LAST, "missing-last", "scaler", "scaler", \
      "global statistics count a missing last step, of contexts of a multiple of 32")

#define OD_FAULT_BENCH_LIST(B) \
    /* kernels */ \
    B(HEAD_DIM, "tail-head-dim", "tail", "layer", \
      "plain attention: scores leave out the last feature of heads that are no multiple of 4 wide") \
    B(PRODUCT_ROW, "tail-product-row", "tail", "layer", \
      "the twin's prefill product leaves out the last row of a full tile of 64") \
    B(RESIDUAL, "tail-product-residual", "tail", "layer", \
      "the twin's prefill product adds nothing to the last column of a full tile of 128 of the residual") \
    B(VARIATE, "tail-variate", "tail", "space", \
      "fused space-wise attention does not see the last of 4n + 1 variates") \
    B(PATCH_TAIL, "tail-patch-step", "tail", "embedding", \
      "plain path: the last step of a patch of odd length is not scaled") \
    B(MEAN_TAIL, "tail-forecast", "tail", "heads", \
      "plain path: the last value of the last row's mean is not written") \
    B(GROW_TAIL, "tail-cache-grow", "tail", "time", \
      "a cache that grows leaves behind what is no whole turn of the threads") \
    B(PADDING, "mask-left-padding", "mask", "scaler", \
      "plain causal scaler: padding in front counts as zeros") \
    B(MISSING, "mask-missing", "mask", "scaler", \
      "fused causal scaler: a missing value counts in the squares") \
    B(GROUP_FIRST, "mask-group-tile", "mask", "space", \
      "fused space-wise attention: variates from the second tile on have the groups of the first") \
    B(OWN_KEY, "mask-own-key", "mask", "time", \
      "fused prefill: queries from the second tile on do not see their own key") \
    B(SUM_ORDER, "order-threads", "order", "layer", \
      "plain RMSNorm adds up in the order in which threads come") \
    B(BARRIER, "order-barrier", "order", "layer", \
      "fused RMSNorm: no barrier before the sums of threads are added up") \
    B(TOP_BARRIER, "order-softmax-barrier", "order", "heads", \
      "fused heads: no barrier between a softmax's maximum and its exponentials") \
    B(SPLIT, "order-batch-split", "order", "none", \
      "plain RMSNorm adds up in another order where a call has more than 16 tokens") \
    B(STEP_MERGE, "order-step-merge", "order", "time", \
      "fused decode step: the merge of weighted values forgets the last group of keys") \
    B(TF32, "precision-tf32-operand", "precision", "layer", \
      "the twin's prefill product rounds one operand to TF32") \
    B(HALF_WEIGHTS, "precision-half-weights", "precision", "layer", \
      "plain attention keeps its weights in half precision") \
    B(HALF_SUM, "precision-half-sum", "precision", "heads", \
      "fused decode step: the heads' partial sums are kept in half precision") \
    B(FAST_EXP, "precision-fast-exp", "precision", "layer", \
      "plain SwiGLU: the exponential is (1 + x/1024)^1024") \
    B(NORM_EPS, "precision-norm-eps", "precision", "layer", \
      "plain RMSNorm: eps is 1e-5") \
    B(NORM_ROOT, "precision-norm-root", "precision", "layer", \
      "fused RMSNorm: eps, 1e-5, is added to the root") \
    B(ROTARY_OFFSET, "position-offset", "position", "time", \
      "plain decode steps turn queries and keys by the position before") \
    B(CENTRE, "position-centre", "position", "time", \
      "fused prefill: xPos is centred at the last position") \
    B(INVERSE, "position-inverse", "position", "time", \
      "fused prefill of few patches: queries have the xPos scale of keys, keys that of queries") \
    B(ROTARY_PAIR, "position-odd-pair", "position", "time", \
      "plain path: keys with an odd number of pairs have the last one the wrong way round") \
    B(PREFIX, "scaler-prefix", "scaler", "scaler", \
      "plain path: global statistics leave out the last step of the context") \
    B(CLAMP, "scaler-clamp", "scaler", "scaler", \
      "fused scaler: the scale of short contexts is not clamped") \
    B(SQUARES, "scaler-squares", "scaler", "scaler", \
      "plain path: the global variance is mean square less squared mean, in float32") \
    B(MINIMUM, "scaler-minimum", "scaler", "scaler", \
      "the causal scaler adds its minimum to the root") \
    B(COMPONENTS, "head-components", "head", "heads", \
      "fused heads: the first and the last of an odd number of probabilities are exchanged") \
    B(SOFTPLUS, "head-softplus", "head", "heads", \
      "plain heads: softplus is linear beyond 2, not 20") \
    B(DF_TWO, "head-df", "head", "heads", \
      "fused heads of a mixture: df lacks the 2") \
    B(DENOMINATOR, "head-softmax-tail", "head", "heads", \
      "plain heads: a softmax's sum leaves out components behind the last four") \
    B(EMPTY, "nan-empty", "nan", "scaler", \
      "plain causal scaler: a mean of no value is 0 by 0") \
    B(FEATURES, "nan-features", "nan", "time", \
      "fused decode step: features beyond a head's are not cleared") \
    B(HIDDEN_TILE, "nan-hidden-tile", "nan", "space", \
      "plain space-wise attention: a tile of keys without a visible one makes NaN") \
    B(LENGTH, "corner-length", "corner", "time", \
      "plain path, batches: the query at 128n + 1 patches does not see its own key") \
    B(BUCKET, "corner-bucket", "corner", "layer", \
      "fused chain: calls of 64n tokens: the RMSNorm of the last 8 leaves out a feature") \
    B(VARIATES, "corner-variates", "corner", "space", \
      "plain space-wise attention does not see the last of 16n + 1 variates") \
    /* host */ \
    B(LAYER_STRIDE, "cache-layer-stride", "cache", "time", \
      "the cache's layers lie as far apart as one batch row's keys take: a batch's layers overlap") \
    B(GROW_LAST, "cache-grow-last", "cache", "time", \
      "a dynamic cache that grows leaves its newest patch behind") \
    B(GROW_CAP, "cache-grow-cap", "memory", "none", \
      "a dynamic cache grows to a patch less than the session's limit, and is overrun by that one") \
    B(DECODE_COUNT, "decode-count", "cache", "time", \
      "a decode's position counts the decodes since the session was opened, not since its reset") \
    B(PREFIX_STALE, "prefix-stale", "scaler", "scaler", \
      "global statistics end where the first context of the session did, whatever was reset since") \
    B(SAME_COUNT, "window-stale", "cache", "input", \
      "a context as long as the one before the reset is taken to be staged already") \
    B(PAD_RIGHT, "pad-right", "mask", "input", \
      "a context that is no whole number of patches is padded at its end") \
    B(KEY_STEP, "graph-key-step", "graph", "time", \
      "fused: a prefill's graph also serves decode steps of its bucket") \
    B(KEY_COUNT, "graph-key-count", "graph", "scaler", \
      "cache off: the graph of a context also serves decodes that end at as many patches") \
    B(WARM_UP, "graph-warm-up", "graph", "embedding", \
      "a decode that is captured was run once before, to warm up: the session's state moves twice") \
    B(STALE_GRAPH, "graph-stale-scratch", "graph", "scaler", \
      "graphs outlive the scratch that a larger session replaced, and read their windows there") \
    B(NINTH, "ninth-capture", "corner", "heads", \
      "the ninth graph of an engine lacks its last kernel") \
    B(MEAN_OF, "feedback-session", "corner", "input", \
      "an own patch is the forecast of the session that was opened last") \
    B(THIRD_RESET, "third-reset", "corner", "scaler", \
      "from a session's third reset on the first step of a context is what stood there in the staging") \
    B(XPOS_ROWS, "xpos-rows", "corner", "time", \
      "fused: a session shorter than the longest takes xPos factors from the wrong row") \
    B(SECOND_LIFE, "second-life", "corner", "layer", \
      "from the second engine of a process on, the last bias of the last layer is not uploaded") \
    B(LEAK_STEP, "leak-step", "memory", "none", \
      "each decode step leaves 256 bytes on the device") \
    B(LEAK_CAPTURE, "leak-capture", "memory", "none", \
      "graphs that are dropped are not freed") \
    B(LEAK_RESET, "leak-reset", "memory", "none", \
      "each reset takes new staging and leaves the old") \
    B(LEAK_OPEN, "leak-open", "memory", "none", \
      "a session that is closed leaves its list of outputs") \
    B(LEAK_HOST, "leak-malloc", "memory", "none", \
      "a copy of each window is kept, in memory that the engine does not count") \
    B(OWN_SCRATCH, "graph-own-scratch", "memory", "none", \
      "each captured graph takes scratch of its own") \
    B(MASK_SHORT, "mask-short", "memory", "none", \
      "a session's mask is one byte short: its last step is written behind it") \
    B(XPOS_SHORT, "xpos-short", "memory", "time", \
      "the xPos table lacks its last row: a key at the last position reads behind it") \
    B(SYNC_LAYER, "sync-layer", "speed", "none", \
      "plain launches: the device is waited for after each layer") \
    B(SILENT, "silent-fallback", "speed", "none", \
      "from the second replay on calls run plain launches, and none is counted") \
    B(RECAPTURE, "recapture-each", "speed", "none", \
      "no captured graph is found again: each call captures, up to the limit") \
    B(COPY_WEIGHTS, "copy-weights", "speed", "none", \
      "each call copies weights to the device") \
    B(REF_EPS, "ref-eps", "precision", "layer", \
      "the float32 reference's RMSNorm adds 1e-5, not 1e-8") \
    B(REF_MASK, "ref-mask", "mask", "time", \
      "the float32 reference's time-wise attention sees one patch of the future") \
    B(REF_SCALER, "ref-bessel", "scaler", "scaler", \
      "both references: the causal scaler divides by n, not by n - 1")

#define OD_FAULT_SHARED_LIST(S) \
    S(CSV_MISSING, "csv-missing", "scaler", "none", \
      "model, seen by test_model alone: a missing value of a CSV counts as 0") \
    S(XPOS_INVERSE, "xpos-inverse", "position", "none", \
      "model, seen by the golden vectors and test_model alone: xPos factors are their inverses") \
    S(CONFIG_DEFAULT, "config-default", "scaler", "none", \
      "model, seen by test_model alone: a config.json without scale_factor_exponent means 1, not 10") \
    S(TRANSPOSED, "weights-transposed", "head", "none", \
      "model, seen by the golden vectors and test_model alone: square weights of a file are transposed") \
    S(RNG_PAIR, "rng-pair", "corner", "none", \
      "model, seen by test_model alone: normal draws of a pair share half of their bits") \
    S(COMPARE_LAST, "compare-last", "tail", "none", \
      "oracles, seen by test_oracles alone: comparing leaves out the last element") \
    S(NAN_EQUAL, "nan-equal", "nan", "none", \
      "oracles, seen by test_oracles alone: NaN and Inf equal any number") \
    S(SELF_RERUN, "rerun-itself", "corner", "none", \
      "oracles, seen by test_oracles alone: determinism compares a run with itself") \
    S(LIVE_ONCE, "live-once", "memory", "none", \
      "oracles, seen by test_oracles alone: live bytes are read after the first two requests alone")

#define OD_FAULT_GPU_LIST(G) \
    G(GPU_TF32, "gpu-tf32", "precision", "layer", \
      "plain: cuBLASLt products round to TF32") \
    G(GPU_EVENT, "gpu-event", "graph", "heads", \
      "plain launches: stream 0 does not wait for the heads on the side streams") \
    G(GPU_BARRIER, "gpu-barrier", "order", "layer", \
      "fused chain: RMSNorm's sums are read without waiting for the warps that write them") \
    G(GPU_ATOMIC, "gpu-atomic", "order", "layer", \
      "fused chain: RMSNorm's sum of squares is one float that all threads add to as they come") \
    G(GPU_COPY, "gpu-copy", "order", "time", \
      "fused attention by tiles: scores are computed before the copies of queries and keys are waited for") \
    G(GPU_EARLY, "gpu-early-read", "order", "heads", \
      "answers are read before their copies from the device are waited for")
/* clang-format on */

#endif
