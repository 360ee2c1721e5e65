/* Moving bytes, and nothing else: what is moved, and when, is cuda_memory.c's. In a grid x is the piece, whose bytes
 * the blocks of all y share out in turns. */
#include "gpu/device/transfer.h"

#include <cuda_runtime.h>
#include <stdint.h>

namespace {

enum { THREADS = 128, MOST_BLOCKS = 32 };

template <typename Piece> struct batch { Piece piece[OD_TRANSFER_MOST]; };

template <typename T> __device__ void copy_rows(const od_rows_copy &r) {
    const size_t width = r.bytes / sizeof(T), count = r.n * width;
    for (size_t i = blockIdx.y * blockDim.x + threadIdx.x; i < count; i += gridDim.y * blockDim.x)
        static_cast<T *>(r.to)[i] =
            reinterpret_cast<const T *>(static_cast<const char *>(r.from) + i / width * r.apart)[i % width];
}

__global__ void gather(const batch<od_rows_copy> b) {
    const od_rows_copy &r = b.piece[blockIdx.x];
    const size_t bits = reinterpret_cast<uintptr_t>(r.to) | reinterpret_cast<uintptr_t>(r.from) | r.apart | r.bytes;
    if (bits % sizeof(uint4) == 0)
        copy_rows<uint4>(r);
    else if (bits % sizeof(uint32_t) == 0)
        copy_rows<uint32_t>(r);
    else
        copy_rows<unsigned char>(r);
}

/* Whole words between the first and the last multiple of sixteen, single bytes before and behind. */
__global__ void fill(const batch<od_fill> b) {
    const od_fill &piece = b.piece[blockIdx.x];
    const uint32_t word = static_cast<unsigned char>(piece.byte) * 0x01010101u;
    unsigned char *const begin = static_cast<unsigned char *>(piece.to), *const end = begin + piece.bytes;
    const size_t odd = (16 - reinterpret_cast<uintptr_t>(begin) % 16) % 16;
    const size_t head = odd < piece.bytes ? odd : piece.bytes, whole = (piece.bytes - head) / 16;
    const size_t at = blockIdx.y * blockDim.x + threadIdx.x;
    uint4 *const middle = reinterpret_cast<uint4 *>(begin + head);
    for (size_t i = at; i < whole; i += gridDim.y * blockDim.x) middle[i] = make_uint4(word, word, word, word);
    if (at < head) begin[at] = static_cast<unsigned char>(piece.byte);
    unsigned char *const tail = begin + head + whole * 16;
    if (at < static_cast<size_t>(end - tail)) tail[at] = static_cast<unsigned char>(piece.byte);
}

size_t size_of(const od_rows_copy &r) {
    return r.n * r.bytes;
}

size_t size_of(const od_fill &f) {
    return f.bytes;
}

/* Up to 256 KiB a thread has four words of the largest piece, beyond that more. */
unsigned blocks_for(size_t most) {
    const size_t blocks = (most + THREADS * 64 - 1) / (THREADS * 64);
    return blocks > MOST_BLOCKS ? MOST_BLOCKS : static_cast<unsigned>(blocks);
}

template <typename Piece> int start(void (*kernel)(batch<Piece>), const Piece *pieces, size_t n, void *stream) {
    static_assert(sizeof(batch<Piece>) <= 4096, "a launch's arguments");
    batch<Piece> b;
    size_t most = 0;
    if (n > OD_TRANSFER_MOST) return cudaErrorInvalidValue;
    for (size_t i = 0; i < n; i++) {
        b.piece[i] = pieces[i];
        most = size_of(pieces[i]) > most ? size_of(pieces[i]) : most;
    }
    if (!most) return cudaSuccess;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(static_cast<unsigned>(n), blocks_for(most));
    config.blockDim = dim3(THREADS);
    config.stream = static_cast<cudaStream_t>(stream);
    return cudaLaunchKernelEx(&config, kernel, b);
}

} // namespace

int od_transfer_gather(const od_rows_copy *pieces, size_t n, void *stream) {
    return start(gather, pieces, n, stream);
}

int od_transfer_fill(const od_fill *pieces, size_t n, void *stream) {
    return start(fill, pieces, n, stream);
}
