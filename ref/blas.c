#include "ref/blas.h"

#include <cblas.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* BUFFER_SIZE of OpenBLAS' common_x86_64.h (32 << 22), the largest of those of today's processors. A product of SIDE x
 * SIDE is above what its kernels for small matrices do without the buffer. */
enum { BUFFER = 128 << 20, SIDE = 128, BESIDES = 64 << 20 };

/* Its other threads, which it starts when it is loaded, take theirs whenever they come to it: room for all of them, and
 * for what is mapped meanwhile (a thread's own heap is 64 MiB of addresses). */
enum od_status od_ref_blas_ready(unsigned threads, od_error *e) {
    static atomic_uint ready; /* for so many threads */
    if (ready >= threads) return OD_OK;
    const int started = openblas_get_num_threads();
    const size_t buffers = started > (int)threads ? (size_t)started : threads,
                 bytes = buffers * BUFFER + (buffers - 1) * BESIDES;
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    float *x = calloc(2 * SIDE * SIDE, sizeof *x);
    if (room != MAP_FAILED) munmap(room, bytes);
    if (room == MAP_FAILED || !x) {
        free(x);
        return od_fail(e, OD_NO_MEMORY,
                       "ref: no %zu MiB of address space for the buffers of OpenBLAS' %zu threads "
                       "(OPENBLAS_NUM_THREADS=1 in the environment needs the least)",
                       bytes >> 20, buffers);
    }
    openblas_set_num_threads((int)threads);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1, x, SIDE, x, SIDE, 0, x + SIDE * SIDE,
                SIDE);
    free(x);
    ready = threads;
    return OD_OK;
}
