/* Memory of the CUDA device: buffers between guard bands, and bytes on their way. */
#include <assert.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "faults/fault.h"
#include "gpu/device/cuda.h"
#include "gpu/device/transfer.h"

/* The runtime remembers an error until it is asked: one that is reported here must not be found again after the next
 * kernel's launch. Sticky ones (an illegal access) come back by themselves. */
enum od_status od_cuda_failed(cudaError_t code, const char *what, od_error *e) {
    cudaGetLastError();
    return od_fail(e, code == cudaErrorMemoryAllocation ? OD_NO_MEMORY : OD_DEVICE_FAULT, "gpu: %s: %s (%s)", what,
                   cudaGetErrorString(code), cudaGetErrorName(code));
}

static enum od_status take_memory(char **out, size_t bytes, const char *what, size_t live, od_error *e) {
    size_t free_bytes = 0, total = 0;
    const cudaError_t code = cudaMalloc((void **)out, bytes);
    if (code == cudaSuccess) return OD_OK;
    cudaGetLastError(); /* a refused allocation is not sticky */
    if (cudaMemGetInfo(&free_bytes, &total) != cudaSuccess) free_bytes = 0;
    return od_fail(e, code == cudaErrorMemoryAllocation ? OD_NO_MEMORY : OD_DEVICE_FAULT,
                   "gpu: %s: cannot allocate %zu bytes (%zu free, %zu live here): %s", what, bytes, free_bytes, live,
                   cudaGetErrorString(code));
}

/* The bands of so many buffers as a launch takes come over together; b: the first of them, moved behind the last. */
static enum od_status check_some(od_device *dev, const od_buffer **b, od_error *e) {
    enum { BANDS = 2 * OD_GUARD };
    static_assert(OD_TRANSFER_MOST * BANDS <= OD_MAILBOX, "room for the bands");
    od_rows_copy rows[OD_TRANSFER_MOST];
    const od_buffer *first = *b;
    size_t n = 0;
    for (; *b && n < OD_TRANSFER_MOST; *b = (*b)->next, n++)
        rows[n] = (od_rows_copy){.to = dev->mailbox + n * BANDS,
                                 .from = (*b)->raw,
                                 .apart = OD_GUARD + (*b)->bytes, /* the two bands are rows of so many bytes */
                                 .bytes = OD_GUARD,
                                 .n = 2};
    CUDA((cudaError_t)od_transfer_gather(rows, n, dev->streams[0]), "guard band");
    CUDA(cudaStreamSynchronize(dev->streams[0]), "guard band");
    for (size_t i = 0; i < n; i++, first = first->next) {
        enum od_status status = od_buffer_check(first, (unsigned char *)dev->mailbox + i * BANDS, "gpu", e);
        if (status) return status;
    }
    return OD_OK;
}

enum od_status od_cuda_sync(od_device *dev, od_error *e) {
    dev->stats.waits++;
    for (unsigned i = 0; i < dev->n_stream; i++) CUDA(cudaStreamSynchronize(dev->streams[i]), "synchronise");
    CUDA(cudaGetLastError(), "synchronise");
    dev->mailed = 0;
    return OD_OK;
}

enum od_status od_cuda_check(od_device *dev, od_error *e) {
    enum od_status status = od_cuda_sync(dev, e);
    for (const od_buffer *b = dev->buffers.first; b && !status;) status = check_some(dev, &b, e);
    dev->checked = !status;
    return status;
}

/* All bands are looked at, not this buffer's alone: buffers go one after the other, and those that follow have been
 * seen then. */
enum od_status od_cuda_free(od_device *dev, void *data, od_error *e) {
    if (!data) return OD_OK;
    enum od_status status = dev->checked ? OD_OK : od_cuda_check(dev, e);
    char *raw = od_buffers_remove(&dev->buffers, od_buffers_find(&dev->buffers, data));
    cudaError_t code = raw ? cudaFree(raw) : cudaSuccess;
    if (!status && code != cudaSuccess) status = od_cuda_failed(code, "free", e);
    return status;
}

enum od_status od_cuda_alloc_many(od_device *dev, const od_slice *slices, size_t n, od_error *e) {
    char *raw = NULL;
    size_t bytes = 0;
    enum od_status status = od_buffers_add(&dev->buffers, slices, n, take_memory, &raw, &bytes, e);
    if (status) return status;
    dev->checked = false;
    od_fill fills[OD_TRANSFER_MOST];
    cudaError_t code = cudaMemsetAsync(raw, OD_GUARD_BYTE, bytes, dev->streams[0]);
    const od_buffer *b = dev->buffers.first;
    status = code == cudaSuccess ? OD_OK : od_cuda_failed(code, "guard bands", e);
    for (size_t i = 0; i < n && !status;) {
        size_t k = 0;
        for (; i < n && k < OD_TRANSFER_MOST; i++, b = b->next)
            fills[k++] = (od_fill){.to = b->raw + OD_GUARD, .bytes = b->bytes, .byte = OD_POISON_BYTE};
        status = od_cuda_fill(dev, fills, k, e);
    }
    for (size_t i = 0; i < n && status; i++) {
        od_cuda_free(dev, *slices[i].out, NULL);
        *slices[i].out = NULL;
    }
    return status;
}

enum od_status od_cuda_alloc(od_device *dev, void **out, size_t bytes, const char *what, od_error *e) {
    const od_slice slice = {out, bytes, what};
    return od_cuda_alloc_many(dev, &slice, 1, e);
}

/* Refused under a limit of locked memory, or where somebody else locked it: the driver copies piece by piece then. */
bool od_cuda_pin(od_device *dev, const void *memory, size_t bytes) {
    union {
        const void *given;
        void *taken;
    } m = {memory}; /* the runtime's interface knows no const; nothing is written */
    const cudaError_t code = cudaHostRegister(m.taken, bytes, cudaHostRegisterDefault);
    if (code != cudaSuccess) cudaGetLastError();
    return code == cudaSuccess;
}

void od_cuda_unpin(od_device *dev, const void *memory) {
    union {
        const void *given;
        void *taken;
    } m = {memory};
    if (cudaHostUnregister(m.taken) != cudaSuccess) cudaGetLastError();
}

enum od_status od_cuda_upload(od_device *dev, void *to, const void *from, size_t bytes, od_error *e) {
    dev->checked = false;
    dev->stats.copied += bytes;
    if (bytes <= OD_MAILBOX - dev->mailed) {
        char *at = dev->mailbox + dev->mailed;
        memcpy(at, from, bytes);
        dev->mailed += bytes;
        from = at;
    }
    CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, dev->streams[0]), "upload");
    return OD_OK;
}

enum od_status od_cuda_download(od_device *dev, void *to, const void *from, size_t bytes, od_error *e) {
    const od_rows_copy rows = {.to = to, .from = from, .apart = bytes, .bytes = bytes, .n = bytes ? 1 : 0};
    return od_cuda_download_rows(dev, &rows, 1, e);
}

/* A place in the mailbox, aligned so that words of sixteen bytes can be written to it; NULL where there is no room. */
static char *mail(const od_device *dev, size_t *mailed, size_t bytes) {
    static_assert(OD_MAILBOX % 16 == 0, "what is left is never negative");
    const size_t at = (*mailed + 15) / 16 * 16;
    if (bytes > OD_MAILBOX - at) return NULL;
    *mailed = at + bytes;
    return dev->mailbox + at;
}

/* Without the mailbox. The driver takes rows that lie less than 2 GiB apart. */
static cudaError_t copy_rows(const od_rows_copy *r, cudaStream_t stream) {
    cudaError_t code = cudaSuccess;
    if (r->n == 1 || r->apart == r->bytes)
        return cudaMemcpyAsync(r->to, r->from, r->n * r->bytes, cudaMemcpyDeviceToHost, stream);
    if (r->apart < INT_MAX)
        return cudaMemcpy2DAsync(r->to, r->bytes, r->from, r->apart, r->bytes, r->n, cudaMemcpyDeviceToHost, stream);
    for (size_t i = 0; i < r->n && code == cudaSuccess; i++)
        code = cudaMemcpyAsync((char *)r->to + i * r->bytes, (const char *)r->from + i * r->apart, r->bytes,
                               cudaMemcpyDeviceToHost, stream);
    return code;
}

/* What fits into the mailbox goes through it, so that one wait serves all. Waits also after a failure: what was started
 * must not write to a mailbox that has passed to another device. */
enum od_status od_cuda_download_rows(od_device *dev, const od_rows_copy *rows, size_t n, od_error *e) {
    od_rows_copy some[OD_TRANSFER_MOST];
    size_t mailed = dev->mailed, k = 0;
    cudaError_t code = cudaSuccess;
    dev->stats.waits++;
    for (size_t i = 0; i < n && code == cudaSuccess; i++) {
        char *to = mail(dev, &mailed, rows[i].n * rows[i].bytes);
        if (to) {
            some[k] = rows[i];
            some[k++].to = to;
        } else {
            code = copy_rows(&rows[i], dev->streams[0]);
        }
        if (code != cudaSuccess || (k < OD_TRANSFER_MOST && i + 1 < n)) continue;
        code = (cudaError_t)od_transfer_gather(some, k, dev->streams[0]);
        k = 0;
    }
    const cudaError_t waited = OD_FAULT_ON(GPU_EARLY) ? cudaSuccess : cudaStreamSynchronize(dev->streams[0]);
    CUDA(code, "download");
    CUDA(waited, "download");
    mailed = dev->mailed;
    for (size_t i = 0; i < n; i++) {
        const size_t bytes = rows[i].n * rows[i].bytes;
        const char *from = mail(dev, &mailed, bytes);
        if (from && bytes) memcpy(rows[i].to, from, bytes);
    }
    dev->mailed = 0;
    return OD_OK;
}

/* From here on the driver's own fill is the faster one. */
enum { LARGE_FILL = 1 << 20 };

enum od_status od_cuda_fill(od_device *dev, const od_fill *fills, size_t n, od_error *e) {
    od_fill some[OD_TRANSFER_MOST];
    size_t k = 0;
    dev->checked = false;
    for (size_t i = 0; i < n; i++) {
        if (fills[i].bytes < LARGE_FILL)
            some[k++] = fills[i];
        else
            CUDA(cudaMemsetAsync(fills[i].to, fills[i].byte, fills[i].bytes, dev->streams[0]), "fill");
        if (k < OD_TRANSFER_MOST && i + 1 < n) continue;
        CUDA((cudaError_t)od_transfer_fill(some, k, dev->streams[0]), "fill");
        k = 0;
    }
    return OD_OK;
}

/* A case has an engine or two at a time. */
enum { SPARE = 4 };
static _Atomic(char *) spare[SPARE];

enum od_status od_cuda_mailbox_take(od_device *dev, od_error *e) {
    for (int i = 0; i < SPARE && !dev->mailbox; i++) dev->mailbox = atomic_exchange(&spare[i], NULL);
    if (!dev->mailbox) CUDA(cudaMallocHost((void **)&dev->mailbox, OD_MAILBOX), "page-locked memory");
    return OD_OK;
}

void od_cuda_mailbox_leave(od_device *dev) {
    for (int i = 0; i < SPARE && dev->mailbox; i++) dev->mailbox = atomic_exchange(&spare[i], dev->mailbox);
    if (dev->mailbox) cudaFreeHost(dev->mailbox);
    dev->mailbox = NULL;
}
