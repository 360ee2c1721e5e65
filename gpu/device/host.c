/* The twin's device: the CPU in the place of a GPU. Memory has guard bands and comes poisoned, a capture records nodes
 * with their edges and frozen arguments, a replay runs them in a seeded topological order. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults/fault.h"
#include "gpu/device/buffer.h"
#include "gpu/device/device.h"
#include "gpu/device/host_gemm.h"
#include "gpu/device/host_graph.h"
#include "gpu/device/host_product.h"
#include "gpu/device/host_run.h"

#if defined(__SANITIZE_ADDRESS__)
#define OD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OD_ASAN 1
#endif
#endif
#ifdef OD_ASAN
#include <sanitizer/asan_interface.h>
#define BAND_CLOSE(p, n) __asan_poison_memory_region(p, n)
#define BAND_OPEN(p, n)  __asan_unpoison_memory_region(p, n)
#else
#define BAND_CLOSE(p, n) ((void)0)
#define BAND_OPEN(p, n)  ((void)0)
#endif

struct od_device {
    od_buffers buffers;
    od_heap *heap;
    od_device_stats stats;
    uint64_t order;
    od_graph *recording;
    bool rehearsing;
    uint64_t graphs;
    od_error broken; /* first error since the last sync */
};

static enum od_status probe(od_error *e) {
    return OD_OK;
}

static enum od_status device_open(od_device **out, const od_options *options, od_heap *heap, od_error *e) {
    od_device *dev = od_heap_alloc(heap, 1, sizeof *dev, "twin device", e);
    if (!dev) return OD_NO_MEMORY;
    dev->heap = dev->buffers.heap = heap;
    dev->order = options->order;
    dev->stats.math_mode = "float32";
    dev->stats.name = "twin (kernels on the CPU)";
    *out = dev;
    return OD_OK;
}

static void device_close(od_device *dev) {
    if (!dev) return;
    assert(!dev->buffers.first);
    od_heap_free(dev->heap, dev);
}

static enum od_status check_bands(const od_buffer *b, od_error *e) {
    unsigned char bands[2 * OD_GUARD];
    const char *end = b->raw + OD_GUARD + b->bytes;
    BAND_OPEN(b->raw, OD_GUARD);
    BAND_OPEN(end, OD_GUARD);
    memcpy(bands, b->raw, OD_GUARD);
    memcpy(bands + OD_GUARD, end, OD_GUARD);
    BAND_CLOSE(b->raw, OD_GUARD);
    BAND_CLOSE(end, OD_GUARD);
    return od_buffer_check(b, bands, "twin", e);
}

static enum od_status take_memory(char **out, size_t bytes, const char *what, size_t live, od_error *e) {
    *out = aligned_alloc(OD_GUARD, bytes);
    return *out ? OD_OK : od_fail(e, OD_NO_MEMORY, "twin: %s: cannot allocate %zu bytes (%zu live)", what, bytes, live);
}

static enum od_status device_alloc_many(od_device *dev, const od_slice *slices, size_t n, od_error *e) {
    char *raw = NULL;
    size_t bytes = 0;
    enum od_status status = od_buffers_add(&dev->buffers, slices, n, take_memory, &raw, &bytes, e);
    if (status) return status;
    memset(raw, OD_GUARD_BYTE, bytes);
    od_buffer *b = dev->buffers.first;
    for (size_t i = 0; i < n; i++, b = b->next) {
        memset(b->raw + OD_GUARD, OD_POISON_BYTE, b->bytes);
        BAND_CLOSE(b->raw, OD_GUARD);
        BAND_CLOSE(b->raw + OD_GUARD + b->bytes, OD_GUARD);
    }
    return OD_OK;
}

static enum od_status device_alloc(od_device *dev, void **out, size_t bytes, const char *what, od_error *e) {
    const od_slice slice = {out, bytes, what};
    return device_alloc_many(dev, &slice, 1, e);
}

static enum od_status device_free(od_device *dev, void *data, od_error *e) {
    if (!data) return OD_OK;
    od_buffer *b = od_buffers_find(&dev->buffers, data);
    enum od_status status = check_bands(b, e);
    /* The piece may live on with its other buffers: this one's bytes stay closed until it goes. */
    BAND_CLOSE(b->raw + OD_GUARD, b->bytes);
    char *raw = od_buffers_remove(&dev->buffers, b);
    free(raw);
    return status;
}

static enum od_status upload(od_device *dev, void *to, const void *from, size_t bytes, od_error *e) {
    assert(!dev->recording);
    dev->stats.copied += bytes;
    if (bytes) memcpy(to, from, bytes);
    return OD_OK;
}

static enum od_status download(od_device *dev, void *to, const void *from, size_t bytes, od_error *e) {
    assert(!dev->recording);
    dev->stats.waits++;
    if (bytes) memcpy(to, from, bytes);
    return OD_OK;
}

static enum od_status download_rows(od_device *dev, const od_rows_copy *rows, size_t n, od_error *e) {
    assert(!dev->recording);
    dev->stats.waits++;
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < rows[i].n; r++)
            memcpy((char *)rows[i].to + r * rows[i].bytes, (const char *)rows[i].from + r * rows[i].apart,
                   rows[i].bytes);
    return OD_OK;
}

static bool overlap(const od_fill *a, const od_fill *b) {
    const uintptr_t from = (uintptr_t)a->to, other = (uintptr_t)b->to;
    return from < other + b->bytes && other < from + a->bytes;
}

static enum od_status fill(od_device *dev, const od_fill *fills, size_t n, od_error *e) {
    assert(!dev->recording);
    for (size_t i = 0; i < n; i++) {
        if (!fills[i].bytes) continue;
        for (size_t k = 0; k < i; k++) assert(!fills[k].bytes || !overlap(&fills[i], &fills[k]));
        memset(fills[i].to, fills[i].byte, fills[i].bytes);
    }
    return OD_OK;
}

/* Each launch draws its own order from the seed and its number, so that a rerun of the same work meets another. */
static void run_node(od_device *dev, const od_node *node) {
    const uint64_t n = ++dev->stats.launches;
    if (node->kind == OD_NODE_GEMM) {
        const od_gemm *g = &node->as.gemm;
        od_host_gemm(g->y, g->x, g->w, g->m, g->n, g->k);
        return;
    }
    if (node->kind == OD_NODE_PRODUCT) {
        od_host_product(&node->as.product);
        return;
    }
    uint64_t mixed = (dev->order ^ n) * 0x9e3779b97f4a7c15u;
    mixed ^= mixed >> 32;
    od_host_order order = {.kind = dev->order ? (int)(mixed % 3) : 0, .seed = mixed};
#ifdef OD_FAULTS
    const int fault = (int)od_fault_active();
#else
    const int fault = 0;
#endif
    if (od_host_run(node->kernel, node->grid, node->as.args, fault, order) && dev->broken.status == OD_OK)
        od_fail(&dev->broken, OD_DEVICE_FAULT, "twin: kernel %s used more shared memory than it was given (%u bytes)",
                od_kernel_name(node->kernel), node->grid.shared);
}

/* A rehearsal has nothing to choose here, but overwrites what one on a GPU would. */
static enum od_status submit(od_device *dev, unsigned stream, const od_node *node, od_error *e) {
    if (dev->rehearsing) {
        if (node->kind == OD_NODE_PRODUCT) od_host_product(&node->as.product);
        return OD_OK;
    }
    if (dev->recording) return od_host_graph_add(dev->recording, stream, node, e);
    run_node(dev, node);
    return OD_OK;
}

static enum od_status launch(od_device *dev, unsigned stream, enum od_kernel kernel, od_grid grid, const void *args,
                             size_t args_size, od_error *e) {
    od_node node = {.kernel = kernel, .grid = grid, .args_size = args_size};
    assert(args_size <= sizeof node.as.args && stream < OD_STREAMS);
    assert(args_size == od_kernel_args_size(kernel));
    assert(grid.threads >= 1 && grid.threads <= OD_HOST_THREADS && grid.shared <= OD_HOST_SHARED);
    memcpy(node.as.args, args, args_size);
    return submit(dev, stream, &node, e);
}

static enum od_status gemm(od_device *dev, unsigned stream, float *y, const float *x, const float *w, size_t m,
                           size_t n, size_t k, od_error *e) {
    od_node node = {.kind = OD_NODE_GEMM, .args_size = sizeof(od_gemm)};
    node.as.gemm = (od_gemm){.y = y, .x = x, .w = w, .m = m, .n = n, .k = k};
    return submit(dev, stream, &node, e);
}

static enum od_status product(od_device *dev, const od_product_args *args, size_t max_rows, size_t likely_rows,
                              od_error *e) {
    od_node node = {.kind = OD_NODE_PRODUCT, .args_size = sizeof *args, .as.product = *args};
    return submit(dev, 0, &node, e);
}

static void rehearse(od_device *dev, bool on) {
    assert(!dev->recording);
    dev->rehearsing = on;
}

static enum od_status fork_stream(od_device *dev, unsigned waiter, unsigned on, od_error *e) {
    if (dev->recording) od_host_graph_fork(dev->recording, waiter, on);
    return OD_OK;
}

static enum od_status capture_begin(od_device *dev, od_error *e) {
    assert(!dev->recording);
    return od_host_graph_create(&dev->recording, dev->heap, e);
}

static enum od_status capture_end(od_device *dev, od_graph **out, od_error *e) {
    od_graph *graph = dev->recording;
    dev->recording = NULL;
    uint64_t seed = dev->order ? dev->order + 0x9e3779b97f4a7c15u * ++dev->graphs : 0;
    enum od_status status = od_host_graph_finish(graph, seed, e);
    if (status) {
        od_host_graph_destroy(graph);
        graph = NULL;
    }
    *out = graph;
    return status;
}

static bool pin(od_device *dev, const void *memory, size_t bytes) {
    return false;
}

static void unpin(od_device *dev, const void *memory) {
}

static enum od_status replay(od_device *dev, od_graph *graph, od_error *e) {
    for (size_t i = 0; i < od_host_graph_size(graph); i++) {
        od_node node;
        od_host_graph_node(&node, graph, i);
        run_node(dev, &node);
    }
    return OD_OK;
}

static void graph_free(od_device *dev, od_graph *graph) {
    od_host_graph_destroy(graph);
}

static enum od_status sync_all(od_device *dev, od_error *e) {
    dev->stats.waits++;
    if (dev->broken.status != OD_OK) return od_fail(e, dev->broken.status, "%s", dev->broken.text);
    for (const od_buffer *b = dev->buffers.first; b; b = b->next) {
        enum od_status status = check_bands(b, e);
        if (status) return status;
    }
    return OD_OK;
}

static void stats(od_device *dev, od_device_stats *out) {
    *out = dev->stats;
    out->live = dev->buffers.live;
    out->peak = dev->buffers.peak;
    out->used = dev->buffers.taken;
}

const od_device_ops *od_device_host(void) {
    static const od_device_ops ops = {.name = "twin",
                                      .emulated = true,
                                      .probe = probe,
                                      .open = device_open,
                                      .close = device_close,
                                      .alloc = device_alloc,
                                      .alloc_many = device_alloc_many,
                                      .free = device_free,
                                      .pin = pin,
                                      .unpin = unpin,
                                      .upload = upload,
                                      .download = download,
                                      .download_rows = download_rows,
                                      .fill = fill,
                                      .launch = launch,
                                      .gemm = gemm,
                                      .product = product,
                                      .fork = fork_stream,
                                      .rehearse = rehearse,
                                      .capture_begin = capture_begin,
                                      .capture_end = capture_end,
                                      .replay = replay,
                                      .graph_free = graph_free,
                                      .sync = sync_all,
                                      .check = sync_all,
                                      .stats = stats};
    return &ops;
}
