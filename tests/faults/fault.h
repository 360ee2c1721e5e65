/* Planted faults: each a line or two at its real place in a room, chosen at run time by OD_FAULT=name, present only in
 * builds with -DOD_FAULTS=ON. Every room may include this header; in other builds it is empty.
 *
 * Host code asks OD_FAULT_ON(tag); kernels ask OD_KERNEL_FAULT(tag), which reads the launch context. */
#ifndef OD_FAULTS_FAULT_H
#define OD_FAULTS_FAULT_H

/* X(tag, "name", "what is wrong") */
#define OD_FAULT_LIST(X)                                                                                               \
    X(TAIL, "kernel-tail", "the SwiGLU kernel leaves out the last element of its last block")                          \
    X(CAUSAL, "causal-mask", "time-wise attention sees one patch of the future")                                       \
    X(CACHE_POS, "cache-position", "decode writes keys and values one place too early")                                \
    X(SCALER, "scaler-bessel",                                                                                         \
      "Bessel's correction the wrong way round: not in the causal scaler, but in the global one")                      \
    X(EDGE, "graph-missing-edge", "the side stream of the captured graph does not wait for the unembedding")           \
    X(FROZEN, "graph-frozen-argument", "the captured graph keeps the position of the call that captured it")           \
    X(SHAPE, "graph-shape", "a captured graph also serves longer windows than the one that it was captured with")      \
    X(CARRY, "scaler-carry", "the causal scaler's sums begin anew behind the first decode step")                       \
    X(RESCALE, "softmax-tile", "attention past a tile of keys: a new maximum does not rescale the sums before it")     \
    X(GROUP, "group-mask", "space-wise attention sees the variates of other groups")                                   \
    X(NORM, "fused-norm", "the fused chain's RMSNorm leaves the last feature out of its mean of squares")              \
    X(FEEDBACK, "feedback-row", "an own patch is the forecast of the row before")

/* Narrow ones, for a fuzzer to find: few cases show them, or only ones that are driven far. tests/faults/feedback
 * measures how long that takes. In the path with `fused` off. */
#define OD_FAULT_NARROW_LIST(N)                                                                                        \
    N(SUM, "softmax-sum", "attention's sum of weights is too large by a part that grows with the keys")                \
    N(FLOAT, "scaler-float32", "the causal scaler's sums are carried from call to call as float32")                    \
    N(PAST, "key-past-tile", "a batch: the query that first sees past a tile of 64 keys does not see its own")         \
    N(FIFTH, "fifth-capture", "the fifth graph of an engine keeps the position of the call that captured it")          \
    N(TILE, "group-tile", "space-wise attention: each sixteenth variate has the group of the one before")              \
    N(LAST, "missing-last", "global statistics count a missing last step, of contexts of a multiple of 32")

enum od_fault {
    OD_FAULT_NONE,
#define OD_FAULT_TAG(tag, name, about) OD_FAULT_##tag,
    OD_FAULT_LIST(OD_FAULT_TAG) OD_FAULT_NARROW_LIST(OD_FAULT_TAG)
#undef OD_FAULT_TAG
        OD_FAULT_COUNT
};

#ifdef OD_FAULTS
#ifdef __cplusplus
extern "C" {
#endif
/* The fault that OD_FAULT names, read once; an unknown name ends the program with exit 2 and the list. */
enum od_fault od_fault_active(void);
const char *od_fault_name(enum od_fault fault);
#ifdef __cplusplus
}
#endif
#define OD_FAULT_ON(tag) (od_fault_active() == OD_FAULT_##tag)
#else
#define OD_FAULT_ON(tag) 0
#endif

#endif
