/* The reference in float64: the arbiter. */
#define OD_REF_BITS  64
#define OD_REF_NAME  "ref64"
#define OD_REF_ABOUT "the arbiter: the reference in float64, weights and inputs promoted"
#include "ref/engine.inc"

const od_engine_api *od_ref64_engine(void) {
    return &engine_api;
}
