/* One text, two precisions: OD_REF_BITS (32 or 64) chooses `real` and the BLAS calls on it. Functions of <tgmath.h>
 * (exp, sqrt, log1p) follow the type of their argument. */
#ifndef OD_REF_REAL_H
#define OD_REF_REAL_H

#include <cblas.h>
#include <float.h>
#include <stddef.h>
#include <tgmath.h>

#if OD_REF_BITS == 32
typedef float real;
#define OD_REF_DTYPE   OD_F32
#define OD_REF_EPSILON FLT_EPSILON
#define OD_REF_MATH    "float32"
#define od_gemm        cblas_sgemm
#define od_dot         cblas_sdot
#elif OD_REF_BITS == 64
typedef double real;
#define OD_REF_DTYPE   OD_F64
#define OD_REF_EPSILON DBL_EPSILON
#define OD_REF_MATH    "float64"
#define od_gemm        cblas_dgemm
#define od_dot         cblas_ddot
#else
#error "OD_REF_BITS must be 32 or 64"
#endif

#endif
