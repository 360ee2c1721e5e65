/* The CUDA device: streams, launches, products, graphs. Every call's result is looked at. */
#include <assert.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults/fault.h"
#include "gpu/device/cuda.h"
#include "gpu/device/tensor_product.h"
#include "gpu/device/tune.h"

/* Each kernel's launcher, made by OD_KERNEL; returns a cudaError_t. */
#define OD_START(name)                                                                                                 \
    extern int od_cuda_start_##name(od_grid grid, const void *args, size_t size, int fault, void *stream);
OD_KERNEL_LIST(OD_START)
#undef OD_START

typedef int (*start_function)(od_grid, const void *, size_t, int, void *);
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

struct od_graph {
    cudaGraphExec_t exec;
    size_t nodes;
};

/* Asked before each engine, and slow to answer: what was found once stays. */
static enum od_status probe(od_error *e) {
    static atomic_bool found;
    int n = 0;
    if (atomic_load(&found)) return OD_OK;
    cudaError_t code = cudaGetDeviceCount(&n);
    if (code != cudaSuccess)
        return od_fail(e, OD_NO_DEVICE,
                       "engine gpu: no CUDA device is usable: %s; --fast twin runs its kernels on the "
                       "CPU",
                       cudaGetErrorString(code));
    if (n == 0) return od_fail(e, OD_NO_DEVICE, "engine gpu: the driver reports no CUDA device");
    atomic_store(&found, true);
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
    }
    dev->stats.math_mode = od_tensor_product_math(options->tf32);
    if (options->fused) return OD_OK;
    enum od_status status = od_lt_open(&dev->lt, options->tf32, dev->heap, e);
    if (!status) dev->stats.math_mode = od_lt_math(dev->lt); /* asked of the library, not assumed */
    return status;
}

static void device_close(od_device *dev) {
    if (!dev) return;
    for (unsigned i = 0; i < dev->n_stream; i++) {
        if (dev->events[i]) cudaEventDestroy(dev->events[i]);
        if (dev->streams[i]) cudaStreamDestroy(dev->streams[i]);
    }
    od_lt_close(dev->lt);
    for (choice *next; dev->choices; dev->choices = next) {
        next = dev->choices->next;
        od_heap_free(dev->heap, dev->choices);
    }
    if (dev->mailbox) od_cuda_mailbox_leave(dev);
    assert(!dev->buffers.first);
    od_heap_free(dev->heap, dev);
}

static enum od_status device_open(od_device **out, const od_options *options, od_heap *heap, od_error *e) {
    od_device *dev = od_heap_alloc(heap, 1, sizeof *dev, "device", e);
    if (!dev) return OD_NO_MEMORY;
    dev->heap = dev->buffers.heap = heap;
    dev->n_stream = options->fused ? 1 : options->streams; /* the fused path is one chain */
    dev->tf32 = options->tf32;
    assert(dev->n_stream >= 1 && dev->n_stream <= OD_STREAMS);
    enum od_status status = od_cuda_mailbox_take(dev, e);
    if (!status) status = open_device(dev, options, e);
    if (status) {
        device_close(dev);
        return status;
    }
    *out = dev;
    return OD_OK;
}

static void count_node(od_device *dev) {
    dev->checked = false;
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
    if (dev->rehearsing) return OD_OK;
    count_node(dev);
    CUDA((cudaError_t)starts[kernel](grid, args, args_size, fault, dev->streams[stream]), kernel_names[kernel]);
    return OD_OK;
}

static enum od_status gemm(od_device *dev, unsigned stream, float *y, const float *x, const float *w, size_t m,
                           size_t n, size_t k, od_error *e) {
    assert(stream < dev->n_stream);
    if (dev->rehearsing) return od_lt_tune(dev->lt, dev->streams[stream], m, n, k, e);
    count_node(dev);
    return od_lt_gemm(dev->lt, dev->streams[stream], y, x, w, m, n, k, e);
}

static choice *chosen(const od_device *dev, const od_product_args *args, size_t max_rows) {
    choice *at = dev->choices;
    while (at && (at->outs != args->outs || at->depth != args->depth || at->epilogue != args->epilogue ||
                  at->max_rows != max_rows))
        at = at->next;
    return at;
}

static enum od_status choose(od_device *dev, const od_product_args *args, size_t max_rows, size_t likely_rows,
                             od_error *e) {
    int config = 0;
    if (chosen(dev, args, max_rows)) return OD_OK;
    enum od_status status = od_tune_product(&config, args, max_rows, likely_rows, dev->tf32, dev->streams[0], e);
    if (status) return status;
    choice *c = od_heap_alloc(dev->heap, 1, sizeof *c, "choice of a tile", e);
    if (!c) return OD_NO_MEMORY;
    *c = (choice){dev->choices, args->outs, args->depth, args->epilogue, max_rows, config};
    dev->choices = c;
    return OD_OK;
}

static enum od_status product(od_device *dev, const od_product_args *args, size_t max_rows, size_t likely_rows,
                              od_error *e) {
    assert(max_rows <= UINT_MAX);
    if (dev->rehearsing) return choose(dev, args, max_rows, likely_rows, e);
    const choice *c = chosen(dev, args, max_rows);
    count_node(dev);
    CUDA((cudaError_t)od_tensor_product_start(args, (unsigned)max_rows, (unsigned)likely_rows, c ? c->config : 0,
                                              dev->tf32, true, dev->streams[0]),
         "product");
    return OD_OK;
}

static void rehearse(od_device *dev, bool on) {
    dev->rehearsing = on;
}

static enum od_status fork_stream(od_device *dev, unsigned waiter, unsigned on, od_error *e) {
    assert(waiter < dev->n_stream && on < dev->n_stream);
    if (dev->rehearsing || OD_FAULT_WHEN(GPU_EVENT, !dev->capturing && waiter == 0)) return OD_OK;
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
        return od_cuda_failed(code, "instantiate graph", e);
    }
    *out = g;
    return OD_OK;
}

static enum od_status replay(od_device *dev, od_graph *graph, od_error *e) {
    dev->checked = false;
    CUDA(cudaGraphLaunch(graph->exec, dev->streams[0]), "launch graph");
    dev->stats.launches += graph->nodes;
    return OD_OK;
}

static void graph_free(od_device *dev, od_graph *graph) {
    cudaGraphExecDestroy(graph->exec);
    od_heap_free(dev->heap, graph);
}

static void stats(od_device *dev, od_device_stats *out) {
    *out = dev->stats;
    out->live = dev->buffers.live;
    out->peak = dev->buffers.peak;
    size_t free_bytes = 0, total = 0;
    if (cudaMemGetInfo(&free_bytes, &total) == cudaSuccess)
        out->used = total - free_bytes;
    else
        cudaGetLastError();
}

const od_device_ops *od_device_cuda(void) {
    static const od_device_ops ops = {.name = "gpu",
                                      .emulated = false,
                                      .probe = probe,
                                      .open = device_open,
                                      .close = device_close,
                                      .alloc = od_cuda_alloc,
                                      .alloc_many = od_cuda_alloc_many,
                                      .free = od_cuda_free,
                                      .pin = od_cuda_pin,
                                      .unpin = od_cuda_unpin,
                                      .upload = od_cuda_upload,
                                      .download = od_cuda_download,
                                      .download_rows = od_cuda_download_rows,
                                      .fill = od_cuda_fill,
                                      .launch = launch,
                                      .gemm = gemm,
                                      .product = product,
                                      .fork = fork_stream,
                                      .rehearse = rehearse,
                                      .capture_begin = capture_begin,
                                      .capture_end = capture_end,
                                      .replay = replay,
                                      .graph_free = graph_free,
                                      .sync = od_cuda_sync,
                                      .check = od_cuda_check,
                                      .stats = stats};
    return &ops;
}
