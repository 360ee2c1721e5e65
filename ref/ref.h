/* The reference engine: reads like model.md, on OpenBLAS, no cleverness. */
#ifndef OD_REF_REF_H
#define OD_REF_REF_H

#include "model/engine.h"

/* float32, and float64 (the arbiter: weights and inputs promoted, everything else in double). Any cache other than
 * `off` is a naive append-only one; `threads` is OpenBLAS's; graph, fused, autotune, streams and captures mean nothing
 * to it; tf32 it cannot. */
const od_engine_api *od_ref_engine(void);
const od_engine_api *od_ref64_engine(void);

#endif
