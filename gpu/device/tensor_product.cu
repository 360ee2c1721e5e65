/* The tensor-core product's host side: which tiles there are, which one a shape takes, and its launch. */
#include "gpu/device/tensor_product.h"
#include "gpu/device/tensor_product_kernel.cuh"

namespace {

/* The driver's function: found once, so that the library need not link with the driver. */
static cudaError_t find_encoder(decltype(&cuTensorMapEncodeTiled) *encode) {
    static void *found; /* by whichever thread; all find the same */
    void *function = __atomic_load_n(&found, __ATOMIC_RELAXED);
    if (!function) {
        cudaDriverEntryPointQueryResult result;
        const cudaError_t code =
            cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &result);
        if (code != cudaSuccess) return code;
        if (result != cudaDriverEntryPointSuccess) return cudaErrorNotSupported;
        __atomic_store_n(&found, function, __ATOMIC_RELAXED);
    }
    *encode = (decltype(&cuTensorMapEncodeTiled))function;
    return cudaSuccess;
}

/* Boxes of 32 floats of the tile's rows of w: [2][outs][depth] for SWIGLU, else [1][outs][depth]. What lies outside is
 * zero. Left empty where rows are not aligned to 16 bytes: they are brought otherwise. */
static cudaError_t map_weights(CUtensorMap *map, const od_product_args &a, unsigned m) {
    const bool pairs = a.epilogue == OD_EPILOGUE_SWIGLU;
    const cuuint64_t sizes[3] = {a.depth, a.outs, pairs ? 2u : 1u};
    const cuuint64_t strides[2] = {a.depth * (cuuint64_t)4, a.depth * (cuuint64_t)4 * a.outs};
    const cuuint32_t box[3] = {CHUNK, pairs ? m / 2 : m, pairs ? 2u : 1u}, step[3] = {1, 1, 1};
    *map = CUtensorMap{};
    if (a.depth % 4 != 0) return cudaSuccess;
    decltype(&cuTensorMapEncodeTiled) encode = nullptr;
    const cudaError_t code = find_encoder(&encode);
    if (code != cudaSuccess) return code;
    return encode(map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 3, (void *)a.w, sizes, strides, box, step,
                  CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS
               ? cudaSuccess
               : cudaErrorInvalidValue;
}

template <typename T, bool tf32>
static cudaError_t start(const od_product_args &a, unsigned max_rows, bool early, cudaStream_t stream) {
    const unsigned wide = a.epilogue == OD_EPILOGUE_SWIGLU ? T::m / 2 : T::m;
    cudaLaunchAttribute attributes[2] = {};
    unsigned n = 0;
    if (early) {
        attributes[n].id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attributes[n++].val.programmaticStreamSerializationAllowed = 1;
    }
    if (T::split > 1) {
        attributes[n].id = cudaLaunchAttributeClusterDimension;
        attributes[n].val.clusterDim.x = T::split;
        attributes[n].val.clusterDim.y = attributes[n].val.clusterDim.z = 1;
        n++;
    }
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3((a.outs + wide - 1) / wide * T::split, (max_rows + T::n - 1) / T::n);
    config.blockDim = dim3(T::threads);
    config.dynamicSmemBytes = T::shared;
    config.stream = stream;
    config.attrs = attributes;
    config.numAttrs = n;
    CUtensorMap w_map;
    cudaError_t code = map_weights(&w_map, a, T::m);
    if (code == cudaSuccess)
        code = cudaFuncSetAttribute(product<T, tf32>, cudaFuncAttributeMaxDynamicSharedMemorySize, T::shared);
    return code == cudaSuccess ? cudaLaunchKernelEx(&config, product<T, tf32>, a, w_map) : code;
}

typedef cudaError_t (*start_function)(const od_product_args &, unsigned, bool, cudaStream_t);

struct config {
    const char *name;
    int m, n, groups, split;
    float chunk; /* microseconds a chunk takes on an H100 */
    start_function exact, tf32;
};

#define CONFIG(warpgroups, n, groups, split, chunk, name)                                                              \
    {                                                                                                                  \
        name, 64 * warpgroups, n, groups, split, chunk, start<tile<warpgroups, n, groups, split>, false>,              \
            start<tile<warpgroups, n, groups, split>, true>                                                            \
    }
const config configs[] = {
    CONFIG(1, 64, 1, 1, 0.45f, "64x64"),
    CONFIG(2, 64, 1, 1, 0.6f, "128x64"),
    CONFIG(2, 96, 1, 1, 0.85f, "128x96"),
    CONFIG(2, 128, 1, 1, 1.15f, "128x128"),
    CONFIG(3, 64, 1, 1, 0.8f, "192x64"),
    CONFIG(3, 112, 1, 1, 1.35f, "192x112"),
    CONFIG(1, 64, GROUPS, GROUPS, 0.45f, "64x64/4"),
    CONFIG(2, 96, GROUPS, GROUPS, 0.85f, "128x96/4"),
    CONFIG(2, 112, GROUPS, GROUPS, 1.05f, "128x112/4"),
    CONFIG(3, 64, GROUPS, GROUPS, 0.8f, "192x64/4"),
    CONFIG(2, 96, GROUPS, 1, 0.85f, "128x96"),
};
enum { CONFIGS = sizeof configs / sizeof *configs };

/* Part of what a sum's bits are made of, so it depends on the weights' shape alone. */
static int groups_of(const od_product_args *a) {
    const uint64_t rows = (uint64_t)a->outs * (a->epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1);
    return rows <= 1536 && a->depth >= 512 ? GROUPS : 1;
}

static unsigned divide_up(uint64_t p, uint64_t q) {
    return (unsigned)((p + q - 1) / q);
}

/* Microseconds, about, on 132 multiprocessors, of which clusters of 4 find room on 120. Two blocks of one warpgroup
 * share a multiprocessor, and each then takes 1.6 times as long. */
static double time_of(const config &c, const od_product_args *a, unsigned rows) {
    const uint64_t outs = (uint64_t)a->outs * (a->epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1);
    const uint64_t blocks = (uint64_t)divide_up(outs, c.m) * divide_up(rows, c.n) * c.split;
    const unsigned turns = divide_up(blocks, c.split > 1 ? 120 : 132), chunks = divide_up(a->depth, CHUNK * c.split);
    const double fixed = c.split > 1 ? 7.5 : 5.5, one = fixed + chunks * c.chunk;
    return c.m > 64 ? turns * one : turns / 2 * (fixed + chunks * c.chunk * 1.6) + turns % 2 * one;
}

static const config *choose(const od_product_args *a, unsigned rows) {
    const config *best = nullptr;
    double least = 0;
    for (const config &c : configs) {
        if (c.groups != groups_of(a)) continue;
        const double time = time_of(c, a, rows);
        if (!best || time < least) {
            best = &c;
            least = time;
        }
    }
    return best;
}

} // namespace

int od_tensor_product_configs(void) {
    return CONFIGS;
}

bool od_tensor_product_fits(const od_product_args *args, int config) {
    return config == 0 || (config > 0 && config <= CONFIGS && configs[config - 1].groups == groups_of(args));
}

const char *od_tensor_product_name(int config) {
    return config > 0 && config <= CONFIGS ? configs[config - 1].name : "";
}

const char *od_tensor_product_math(bool tf32_only) {
    return tf32_only ? "tf32" : "3xtf32";
}

int od_tensor_product_start(const od_product_args *args, unsigned max_rows, unsigned likely_rows, int config,
                            bool tf32_only, bool early, void *stream) {
    if (args->norm || args->rows == OD_ROWS_STEPS || !od_tensor_product_fits(args, config))
        return cudaErrorInvalidValue;
    if (max_rows == 0) return cudaSuccess;
    const struct config *c = config ? &configs[config - 1] : choose(args, likely_rows);
    return (tf32_only ? c->tf32 : c->exact)(*args, max_rows, early, (cudaStream_t)stream);
}
