#include "gpu/device/host_graph.h"

#include <assert.h>
#include <string.h>

/* A stream's clock: the last node of every stream that its next node has to wait for, directly or through others (each
 * later node of a stream waits for its earlier ones, so the last one is enough). */
typedef struct stream_clock {
    uint32_t last[OD_STREAMS]; /* node + 1 by the stream it was given to; 0 = none */
} stream_clock;

/* Nodes are kept packed: a graph counts as memory of the fast path, so it should not be larger than it must. */
typedef struct entry {
    od_grid grid;
    stream_clock waits;
    uint32_t args_at;
    uint16_t args_size;
    uint8_t kernel, stream, kind;
} entry;

struct od_graph {
    od_heap *heap;
    entry *entries;
    unsigned char *args;
    size_t n, n_room, args_size, args_room;
    stream_clock streams[OD_STREAMS];
    uint32_t *order;
};

enum od_status od_host_graph_create(od_graph **out, od_heap *heap, od_error *e) {
    od_graph *g = od_heap_alloc(heap, 1, sizeof *g, "recorded graph", e);
    if (!g) return OD_NO_MEMORY;
    g->heap = heap;
    *out = g;
    return OD_OK;
}

void od_host_graph_destroy(od_graph *g) {
    if (!g) return;
    od_heap_free(g->heap, g->entries);
    od_heap_free(g->heap, g->args);
    od_heap_free(g->heap, g->order);
    od_heap_free(g->heap, g);
}

/* *block = a copy of its first `used` elements with room for `room`. */
static enum od_status resize(od_graph *g, void **block, size_t used, size_t room, size_t size, od_error *e) {
    void *more = od_heap_alloc(g->heap, room, size, "recorded graph", e);
    if (!more) return OD_NO_MEMORY;
    if (used) memcpy(more, *block, used * size);
    od_heap_free(g->heap, *block);
    *block = more;
    return OD_OK;
}

enum od_status od_host_graph_add(od_graph *g, unsigned stream, const od_node *node, od_error *e) {
    enum od_status status = OD_OK;
    assert(node->args_size <= OD_NODE_ARGS);
    if (g->n == g->n_room) {
        status = resize(g, (void **)&g->entries, g->n, g->n_room + 32, sizeof *g->entries, e);
        if (status) return status;
        g->n_room += 32;
    }
    if (g->args_room - g->args_size < OD_NODE_ARGS) {
        status = resize(g, (void **)&g->args, g->args_size, g->args_room + 4096, 1, e);
        if (status) return status;
        g->args_room += 4096;
    }
    g->entries[g->n] = (entry){.grid = node->grid,
                               .waits = g->streams[stream],
                               .args_at = (uint32_t)g->args_size,
                               .args_size = (uint16_t)node->args_size,
                               .kernel = (uint8_t)node->kernel,
                               .stream = (uint8_t)stream,
                               .kind = (uint8_t)node->kind};
    memcpy(g->args + g->args_size, node->as.args, node->args_size);
    g->args_size += node->args_size;
    g->streams[stream].last[stream] = (uint32_t)++g->n;
    return OD_OK;
}

void od_host_graph_fork(od_graph *g, unsigned waiter, unsigned on) {
    stream_clock *w = &g->streams[waiter];
    for (unsigned s = 0; s < OD_STREAMS; s++)
        if (g->streams[on].last[s] > w->last[s]) w->last[s] = g->streams[on].last[s];
}

static uint64_t next_draw(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int is_ready(const od_graph *g, size_t i, const unsigned char *done) {
    for (unsigned s = 0; s < OD_STREAMS; s++)
        if (g->entries[i].waits.last[s] && !done[g->entries[i].waits.last[s] - 1]) return 0;
    return 1;
}

/* Nodes of one stream are a chain; every stream has at most one next node, so at most
 * OD_STREAMS nodes are ready at a time. */
static void draw_order(od_graph *g, uint64_t seed, unsigned char *done, size_t *next) {
    for (unsigned s = 0; s < OD_STREAMS; s++)
        for (next[s] = 0; next[s] < g->n && g->entries[next[s]].stream != s;) next[s]++;
    for (size_t k = 0; k < g->n; k++) {
        unsigned ready[OD_STREAMS], n_ready = 0;
        for (unsigned s = 0; s < OD_STREAMS; s++)
            if (next[s] < g->n && is_ready(g, next[s], done)) ready[n_ready++] = s;
        assert(n_ready > 0);
        unsigned s = ready[seed ? next_draw(&seed) % n_ready : 0];
        if (!n_ready) return;
        size_t i = next[s];
        g->order[k] = (uint32_t)i;
        done[i] = 1;
        for (next[s]++; next[s] < g->n && g->entries[next[s]].stream != s;) next[s]++;
    }
}

enum od_status od_host_graph_finish(od_graph *g, uint64_t seed, od_error *e) {
    for (unsigned s = 1; s < OD_STREAMS; s++)
        if (g->streams[s].last[s] > g->streams[0].last[s])
            return od_fail(e, OD_DEVICE_FAULT, "twin: stream %u was not joined into stream 0 before the capture ended",
                           s);
    enum od_status status = resize(g, (void **)&g->entries, g->n, g->n, sizeof *g->entries, e);
    if (!status) status = resize(g, (void **)&g->args, g->args_size, g->args_size, 1, e);
    if (status) return status;
    g->order = od_heap_alloc(g->heap, g->n, sizeof *g->order, "order of replay", e);
    unsigned char *done = od_heap_alloc(g->heap, g->n, 1, "order of replay", e);
    if (g->order && done) {
        size_t next[OD_STREAMS];
        draw_order(g, seed, done, next);
        if (!seed)
            for (size_t i = 0; i < g->n; i++) g->order[i] = (uint32_t)i;
    }
    od_heap_free(g->heap, done);
    return g->order && done ? OD_OK : OD_NO_MEMORY;
}

size_t od_host_graph_size(const od_graph *g) {
    return g->n;
}

void od_host_graph_node(od_node *out, const od_graph *g, size_t i) {
    const entry *n = &g->entries[g->order[i]];
    out->kind = (enum od_node_kind)n->kind;
    out->kernel = (enum od_kernel)n->kernel;
    out->grid = n->grid;
    out->args_size = n->args_size;
    memcpy(out->as.args, g->args + n->args_at, n->args_size);
}
