/* The CUDA device: runtime, cuBLAS, streams, graphs. Every call's result is looked at. */
#include <assert.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults/fault.h"
#include "gpu/device/device.h"

/* Each kernel's launcher, made by OD_KERNEL; returns a cudaError_t. */
#define OD_START(name) extern int od_cuda_start_##name(od_grid grid, const void *args, int fault, void *stream);
OD_KERNEL_LIST(OD_START)
#undef OD_START

typedef int (*start_function)(od_grid, const void *, int, void *);
static const start_function starts[OD_KERNEL_COUNT] = {
#define OD_START(name) od_cuda_start_##name,
    OD_KERNEL_LIST(OD_START)
#undef OD_START
};
static const char *const kernel_names[OD_KERNEL_COUNT] = {
#define OD_START(name) #name,
    OD_KERNEL_LIST(OD_START)
#undef OD_START
};

typedef struct buffer {
    struct buffer *next, **link;
    size_t bytes;
    char what[48];
    char *raw;
} buffer;

struct od_graph {
    cudaGraphExec_t exec;
    size_t nodes;
};

/* cuBLAS is given its workspace, so that it allocates none while a graph is captured. */
enum { WORKSPACE = 32 * 1024 * 1024 };

struct od_device {
    od_heap *heap;
    buffer *buffers;
    cudaStream_t streams[OD_STREAMS];
    cudaEvent_t events[OD_STREAMS];
    cublasHandle_t blas[OD_STREAMS];
    void *workspace[OD_STREAMS];
    unsigned n_stream;
    bool capturing;
    size_t captured_nodes;
    od_device_stats stats;
};

/* The runtime remembers an error until it is asked: one that is reported here must not be found again after the next
 * kernel's launch. Sticky ones (an illegal access) come back by themselves. */
static enum od_status cuda_failed(cudaError_t code, const char *what, od_error *e) {
    cudaGetLastError();
    return od_fail(e, code == cudaErrorMemoryAllocation ? OD_NO_MEMORY : OD_DEVICE_FAULT, "gpu: %s: %s (%s)", what,
                   cudaGetErrorString(code), cudaGetErrorName(code));
}

static enum od_status blas_failed(cublasStatus_t code, const char *what, od_error *e) {
    return od_fail(e, OD_DEVICE_FAULT, "gpu: cuBLAS %s: %s", what, cublasGetStatusString(code));
}

#define CUDA(call, what)                                                                                               \
    do {                                                                                                               \
        cudaError_t code_ = (call);                                                                                    \
        if (code_ != cudaSuccess) return cuda_failed(code_, what, e);                                                  \
    } while (0)
#define BLAS(call, what)                                                                                               \
    do {                                                                                                               \
        cublasStatus_t code_ = (call);                                                                                 \
        if (code_ != CUBLAS_STATUS_SUCCESS) return blas_failed(code_, what, e);                                        \
    } while (0)

static enum od_status probe(od_error *e) {
    int n = 0;
    cudaError_t code = cudaGetDeviceCount(&n);
    if (code != cudaSuccess)
        return od_fail(e, OD_NO_DEVICE,
                       "engine gpu: no CUDA device is usable: %s; --fast twin runs its kernels on the "
                       "CPU",
                       cudaGetErrorString(code));
    if (n == 0) return od_fail(e, OD_NO_DEVICE, "engine gpu: the driver reports no CUDA device");
    return OD_OK;
}

static enum od_status open_blas(od_device *dev, unsigned i, bool tf32, od_error *e) {
    cublasMath_t mode;
    BLAS(cublasCreate(&dev->blas[i]), "create");
    CUDA(cudaMalloc(&dev->workspace[i], WORKSPACE), "cuBLAS workspace");
    BLAS(cublasSetStream(dev->blas[i], dev->streams[i]), "set stream");
    BLAS(cublasSetWorkspace(dev->blas[i], dev->workspace[i], WORKSPACE), "set workspace");
    BLAS(cublasSetMathMode(dev->blas[i], tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_PEDANTIC_MATH), "set math mode");
    BLAS(cublasSetAtomicsMode(dev->blas[i], CUBLAS_ATOMICS_NOT_ALLOWED), "set atomics mode");
    /* Asserted, not assumed: what the library reports is what stats report. */
    BLAS(cublasGetMathMode(dev->blas[i], &mode), "get math mode");
    dev->stats.math_mode = mode == CUBLAS_PEDANTIC_MATH         ? "float32"
                           : mode == CUBLAS_TF32_TENSOR_OP_MATH ? "tf32"
                                                                : "unknown";
    if (!tf32 && mode != CUBLAS_PEDANTIC_MATH)
        return od_fail(e, OD_DEVICE_FAULT, "gpu: cuBLAS is in math mode %d, not in pedantic float32", (int)mode);
    return OD_OK;
}

/* Statistics outlive the engine that they came from, so what they name is static. */
static char device_name[128];

static enum od_status open_device(od_device *dev, const od_options *options, od_error *e) {
    int driver = 0, runtime = 0;
    struct cudaDeviceProp properties;
    CUDA(cudaGetDeviceProperties(&properties, 0), "device properties");
    CUDA(cudaDriverGetVersion(&driver), "driver version");
    CUDA(cudaRuntimeGetVersion(&runtime), "runtime version");
    snprintf(device_name, sizeof device_name, "%.80s (CUDA %d.%d, driver API %d.%d)", properties.name, runtime / 1000,
             runtime % 1000 / 10, driver / 1000, driver % 1000 / 10);
    dev->stats.name = device_name;
    for (unsigned i = 0; i < dev->n_stream; i++) {
        CUDA(cudaStreamCreateWithFlags(&dev->streams[i], cudaStreamNonBlocking), "stream");
        CUDA(cudaEventCreateWithFlags(&dev->events[i], cudaEventDisableTiming), "event");
        enum od_status status = open_blas(dev, i, options->tf32, e);
        if (status) return status;
    }
    return OD_OK;
}

static void device_close(od_device *dev) {
    if (!dev) return;
    assert(!dev->buffers);
    for (unsigned i = 0; i < dev->n_stream; i++) {
        if (dev->blas[i]) cublasDestroy(dev->blas[i]);
        cudaFree(dev->workspace[i]);
        if (dev->events[i]) cudaEventDestroy(dev->events[i]);
        if (dev->streams[i]) cudaStreamDestroy(dev->streams[i]);
    }
    od_heap_free(dev->heap, dev);
}

static enum od_status device_open(od_device **out, const od_options *options, od_heap *heap, od_error *e) {
    od_device *dev = od_heap_alloc(heap, 1, sizeof *dev, "device", e);
    if (!dev) return OD_NO_MEMORY;
    dev->heap = heap;
    dev->n_stream = options->streams;
    assert(dev->n_stream >= 1 && dev->n_stream <= OD_STREAMS);
    enum od_status status = open_device(dev, options, e);
    if (status) {
        device_close(dev);
        return status;
    }
    *out = dev;
    return OD_OK;
}

static enum od_status device_alloc(od_device *dev, void **out, size_t bytes, const char *what, od_error *e) {
    size_t whole = 0, free_bytes = 0, total = 0;
    buffer *b = od_heap_alloc(dev->heap, 1, sizeof *b, what, e);
    if (!b) return OD_NO_MEMORY;
    cudaError_t code = cudaErrorMemoryAllocation;
    if (od_size_add(&whole, bytes, 2 * OD_GUARD)) code = cudaMalloc((void **)&b->raw, whole);
    if (code != cudaSuccess) {
        od_heap_free(dev->heap, b);
        cudaGetLastError(); /* a refused allocation is not sticky */
        if (cudaMemGetInfo(&free_bytes, &total) != cudaSuccess) free_bytes = 0;
        return od_fail(e, code == cudaErrorMemoryAllocation ? OD_NO_MEMORY : OD_DEVICE_FAULT,
                       "gpu: %s: cannot allocate %zu bytes (%zu free, %zu live here): %s", what, bytes, free_bytes,
                       dev->stats.live, cudaGetErrorString(code));
    }
    snprintf(b->what, sizeof b->what, "%s", what);
    b->bytes = bytes;
    b->next = dev->buffers;
    b->link = &dev->buffers;
    if (b->next) b->next->link = &b->next;
    dev->buffers = b;
    dev->stats.live += bytes;
    if (dev->stats.live > dev->stats.peak) dev->stats.peak = dev->stats.live;
    *out = b->raw + OD_GUARD;
    CUDA(cudaMemsetAsync(b->raw, OD_GUARD_BYTE, OD_GUARD, dev->streams[0]), "guard band");
    CUDA(cudaMemsetAsync(b->raw + OD_GUARD, OD_POISON_BYTE, bytes, dev->streams[0]), "poison");
    CUDA(cudaMemsetAsync(b->raw + OD_GUARD + bytes, OD_GUARD_BYTE, OD_GUARD, dev->streams[0]), "guard band");
    return OD_OK;
}

static enum od_status check_bands(od_device *dev, const buffer *b, od_error *e) {
    unsigned char bands[2 * OD_GUARD];
    CUDA(cudaMemcpy(bands, b->raw, OD_GUARD, cudaMemcpyDeviceToHost), "guard band");
    CUDA(cudaMemcpy(bands + OD_GUARD, b->raw + OD_GUARD + b->bytes, OD_GUARD, cudaMemcpyDeviceToHost), "guard band");
    for (size_t i = 0; i < sizeof bands; i++)
        if (bands[i] != OD_GUARD_BYTE)
            return od_fail(e, OD_DEVICE_FAULT, "gpu: something wrote %s buffer %s (%zu bytes)",
                           i < OD_GUARD ? "before" : "past the end of", b->what, b->bytes);
    return OD_OK;
}

static enum od_status device_free(od_device *dev, void *data, od_error *e) {
    if (!data) return OD_OK;
    buffer *b = dev->buffers;
    while (b && b->raw + OD_GUARD != (char *)data) b = b->next;
    assert(b);
    cudaError_t waited = cudaDeviceSynchronize();
    enum od_status status = waited == cudaSuccess ? check_bands(dev, b, e) : cuda_failed(waited, "synchronise", e);
    cudaError_t code = cudaFree(b->raw);
    if (!status && code != cudaSuccess) status = cuda_failed(code, "free", e);
    *b->link = b->next;
    if (b->next) b->next->link = b->link;
    dev->stats.live -= b->bytes;
    od_heap_free(dev->heap, b);
    return status;
}

static enum od_status upload(od_device *dev, void *to, const void *from, size_t bytes, od_error *e) {
    CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, dev->streams[0]), "upload");
    return OD_OK;
}

static enum od_status download(od_device *dev, void *to, const void *from, size_t bytes, od_error *e) {
    CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, dev->streams[0]), "download");
    CUDA(cudaStreamSynchronize(dev->streams[0]), "download");
    return OD_OK;
}

static enum od_status fill(od_device *dev, void *to, int byte, size_t bytes, od_error *e) {
    CUDA(cudaMemsetAsync(to, byte, bytes, dev->streams[0]), "fill");
    return OD_OK;
}

static void count_node(od_device *dev) {
    if (dev->capturing)
        dev->captured_nodes++;
    else
        dev->stats.launches++;
}

static enum od_status launch(od_device *dev, unsigned stream, enum od_kernel kernel, od_grid grid, const void *args,
                             size_t args_size, od_error *e) {
#ifdef OD_FAULTS
    const int fault = (int)od_fault_active();
#else
    const int fault = 0;
#endif
    assert(stream < dev->n_stream);
    count_node(dev);
    CUDA((cudaError_t)starts[kernel](grid, args, fault, dev->streams[stream]), kernel_names[kernel]);
    return OD_OK;
}

/* Row-major y = x·wᵀ is column-major yᵀ[n,m] = (wᵀ)ᵀ[n,k] · xᵀ[k,m]. */
static enum od_status gemm(od_device *dev, unsigned stream, float *y, const float *x, const float *w, size_t m,
                           size_t n, size_t k, od_error *e) {
    const float one = 1, zero = 0;
    assert(stream < dev->n_stream && m <= INT_MAX && n <= INT_MAX && k <= INT_MAX);
    count_node(dev);
    BLAS(cublasSgemm(dev->blas[stream], CUBLAS_OP_T, CUBLAS_OP_N, (int)n, (int)m, (int)k, &one, w, (int)k, x, (int)k,
                     &zero, y, (int)n),
         "sgemm");
    return OD_OK;
}

static enum od_status fork_stream(od_device *dev, unsigned waiter, unsigned on, od_error *e) {
    assert(waiter < dev->n_stream && on < dev->n_stream);
    CUDA(cudaEventRecord(dev->events[on], dev->streams[on]), "event");
    CUDA(cudaStreamWaitEvent(dev->streams[waiter], dev->events[on], 0), "wait for event");
    return OD_OK;
}

static enum od_status capture_begin(od_device *dev, od_error *e) {
    CUDA(cudaStreamBeginCapture(dev->streams[0], cudaStreamCaptureModeThreadLocal), "begin capture");
    dev->capturing = true;
    dev->captured_nodes = 0;
    return OD_OK;
}

static enum od_status capture_end(od_device *dev, od_graph **out, od_error *e) {
    cudaGraph_t graph = NULL;
    *out = NULL;
    dev->capturing = false;
    CUDA(cudaStreamEndCapture(dev->streams[0], &graph), "end capture");
    od_graph *g = od_heap_alloc(dev->heap, 1, sizeof *g, "graph", e);
    if (!g) {
        cudaGraphDestroy(graph);
        return OD_NO_MEMORY;
    }
    g->nodes = dev->captured_nodes;
    cudaError_t code = cudaGraphInstantiate(&g->exec, graph, 0);
    cudaGraphDestroy(graph);
    if (code != cudaSuccess) {
        od_heap_free(dev->heap, g);
        return cuda_failed(code, "instantiate graph", e);
    }
    *out = g;
    return OD_OK;
}

static enum od_status replay(od_device *dev, od_graph *graph, od_error *e) {
    CUDA(cudaGraphLaunch(graph->exec, dev->streams[0]), "launch graph");
    dev->stats.launches += graph->nodes;
    return OD_OK;
}

static void graph_free(od_device *dev, od_graph *graph) {
    cudaGraphExecDestroy(graph->exec);
    od_heap_free(dev->heap, graph);
}

static enum od_status sync_all(od_device *dev, od_error *e) {
    for (unsigned i = 0; i < dev->n_stream; i++) CUDA(cudaStreamSynchronize(dev->streams[i]), "synchronise");
    CUDA(cudaGetLastError(), "synchronise");
    return OD_OK;
}

static enum od_status check_all(od_device *dev, od_error *e) {
    enum od_status status = sync_all(dev, e);
    for (const buffer *b = dev->buffers; b && !status; b = b->next) status = check_bands(dev, b, e);
    return status;
}

static void stats(od_device *dev, od_device_stats *out) {
    *out = dev->stats;
}

const od_device_ops *od_device_cuda(void) {
    static const od_device_ops ops = {.name = "gpu",
                                      .emulated = false,
                                      .probe = probe,
                                      .open = device_open,
                                      .close = device_close,
                                      .alloc = device_alloc,
                                      .free = device_free,
                                      .upload = upload,
                                      .download = download,
                                      .fill = fill,
                                      .launch = launch,
                                      .gemm = gemm,
                                      .fork = fork_stream,
                                      .capture_begin = capture_begin,
                                      .capture_end = capture_end,
                                      .replay = replay,
                                      .graph_free = graph_free,
                                      .sync = sync_all,
                                      .check = check_all,
                                      .stats = stats};
    return &ops;
}
