/* A recorded graph of the twin: nodes with frozen arguments and the edges that streams and forks imply. */
#ifndef OD_GPU_DEVICE_HOST_GRAPH_H
#define OD_GPU_DEVICE_HOST_GRAPH_H

#include "gpu/device/device.h"

enum { OD_NODE_ARGS = 256 };

enum od_node_kind { OD_NODE_KERNEL, OD_NODE_GEMM, OD_NODE_PRODUCT };

typedef struct od_gemm {
    float *y;
    const float *x, *w;
    size_t m, n, k;
} od_gemm;

typedef struct od_node {
    enum od_node_kind kind;
    enum od_kernel kernel;
    od_grid grid;
    size_t args_size; /* bytes of `as` in use */
    union {
        od_gemm gemm;
        od_product_args product;
        uint64_t align;
        unsigned char args[OD_NODE_ARGS];
    } as;
} od_node;

enum od_status od_host_graph_create(od_graph **out, od_heap *heap, od_error *e);
void od_host_graph_destroy(od_graph *graph); /* NULL is fine */

/* Appends a node to a stream: it depends on what the stream has to wait for. */
enum od_status od_host_graph_add(od_graph *graph, unsigned stream, const od_node *node, od_error *e);

/* What is added to `waiter` from now on also depends on all that `on` has been given. */
void od_host_graph_fork(od_graph *graph, unsigned waiter, unsigned on);

/* Checks that every stream was joined into stream 0 (else OD_DEVICE_FAULT, as a CUDA capture refuses it), and fixes the
 * order of replay: a topological order drawn from seed, or the order of recording for 0. */
enum od_status od_host_graph_finish(od_graph *graph, uint64_t seed, od_error *e);

size_t od_host_graph_size(const od_graph *graph);
/* Copies node number i of the order of replay. */
void od_host_graph_node(od_node *out, const od_graph *graph, size_t i);

#endif
