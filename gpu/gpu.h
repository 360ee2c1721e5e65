/* The fast path: one engine on two devices. */
#ifndef OD_GPU_GPU_H
#define OD_GPU_GPU_H

#include "model/engine.h"

/* The engine on CUDA and cuBLAS. In a build without CUDA its probe says so and create fails with OD_NO_DEVICE. */
const od_engine_api *od_gpu_engine(void);

/* The twin: the same host code and the same kernel sources on the CPU. */
const od_engine_api *od_twin_engine(void);

#endif
