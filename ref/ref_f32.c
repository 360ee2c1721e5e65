/* The reference in float32. */
#define OD_REF_BITS  32
#define OD_REF_NAME  "ref"
#define OD_REF_ABOUT "the reference: float32 on OpenBLAS"
#include "ref/engine.inc"

const od_engine_api *od_ref_engine(void) {
    return &engine_api;
}
