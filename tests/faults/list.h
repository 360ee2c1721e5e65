/* The planted faults, a row each.
 *
 * X(tag, "name", "family", "stage", "what is wrong")
 *
 * name    what OD_FAULT takes
 * family  tail mask cache graph order precision position scaler head memory speed nan corner
 * stage   where explain must see it: embedding, scaler, time or space (layers of that kind), layer (of either), heads;
 * none where no tensor of one call is wrong (memory, speed, a crash)
 *
 * The lists: OD_FAULT_LIST has tests of its own for each (tests/faults/run, explain, bisect). OD_FAULT_NARROW_LIST is
 * for a fuzzer to find: few cases show them, or only ones that are driven far; tests/faults/feedback measures how long
 * that takes. OD_FAULT_BENCH_LIST is the rest that the twin shows, OD_FAULT_GPU_LIST what only a GPU does. */
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
    X(RESCALE, "softmax-tile", "order", "time", \
      "attention past a tile of keys: a new maximum does not rescale the sums before it") \
    X(GROUP, "group-mask", "mask", "space", \
      "space-wise attention sees the variates of other groups") \
    X(NORM, "fused-norm", "precision", "layer", \
      "the fused chain's RMSNorm leaves the last feature out of its mean of squares") \
    X(FEEDBACK, "feedback-row", "cache", "scaler", \
      "an own patch is the forecast of the row before")

#define OD_FAULT_NARROW_LIST(N) \
    N(SUM, "softmax-sum", "precision", "time", \
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

#define OD_FAULT_BENCH_LIST(B)

#define OD_FAULT_GPU_LIST(G)
/* clang-format on */

#endif
