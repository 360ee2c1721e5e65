/* The instructions that tensor_product.cu is made of (sm_90a). Shared memory is spoken of by 32-bit addresses. */
#ifndef OD_GPU_TENSOR_PRODUCT_CUH
#define OD_GPU_TENSOR_PRODUCT_CUH

#include <cuda.h>
#include <cuda_runtime.h>
#include <stdint.h>

#define OD_INLINE static __device__ __forceinline__

/* Programmatic dependent launch, as in kernel.cuh. */
OD_INLINE void let_next_begin() {
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}
OD_INLINE void await_previous() {
    asm volatile("griddepcontrol.wait;" ::: "memory");
}

/* Copies of 16 or 4 bytes, of which the first `valid` are read and the rest become zero. */
OD_INLINE void copy16(uint32_t to, const float *from, uint32_t valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid) : "memory");
}
OD_INLINE void copy4(uint32_t to, const float *from, uint32_t valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(valid) : "memory");
}
OD_INLINE void copy_wait_all() {
    asm volatile("cp.async.wait_all;" ::: "memory");
}

OD_INLINE void prefetch_map(const CUtensorMap *map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}
/* A box of the map's tensor, its first element at {k, row, 0}; the barrier counts its bytes. */
OD_INLINE void copy_box(uint32_t to, const CUtensorMap *map, uint32_t k, uint32_t row, uint32_t barrier) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], "
        "[%5];" ::"r"(to),
        "l"(map), "r"(k), "r"(row), "r"(0), "r"(barrier)
        : "memory");
}

OD_INLINE float4 shared_load4(uint32_t at) {
    float4 v;
    asm volatile("ld.shared.v4.f32 {%0,%1,%2,%3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(at));
    return v;
}
OD_INLINE void shared_store4(uint32_t at, float4 v) {
    asm volatile("st.shared.v4.f32 [%0], {%1,%2,%3,%4};" ::"r"(at), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w) : "memory");
}
OD_INLINE uint32_t shared_load_word(uint32_t at) {
    uint32_t v;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(at));
    return v;
}
/* Four 8 x 4 pieces of float32: lane l gets element (l / 4, l % 4) of each; lanes 8i … 8i+7 give piece i's rows. */
OD_INLINE void load_pieces(uint32_t (&v)[4], uint32_t at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
                 : "r"(at)
                 : "memory");
}

/* Barriers in shared memory. */
OD_INLINE void barrier_init(uint32_t at, uint32_t arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(at), "r"(arrivals) : "memory");
}
OD_INLINE void barrier_arrive(uint32_t at) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(at) : "memory");
}
OD_INLINE void barrier_arrive_expecting(uint32_t at, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(at), "r"(bytes) : "memory");
}
/* Barriers that were just made are known to the copy engine, too. */
OD_INLINE void barriers_ready() {
    asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}
/* Arrives when all of the thread's copies until now have been made. */
OD_INLINE void barrier_arrive_copied(uint32_t at) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(at) : "memory");
}
OD_INLINE void barrier_wait(uint32_t at, uint32_t parity) {
    asm volatile("{\n.reg .pred p;\n"
                 "again:\nmbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n@!p bra again;\n}" ::"r"(at),
                 "r"(parity)
                 : "memory");
}
/* What this thread wrote to shared memory is seen by the tensor cores that a later barrier lets go on. */
OD_INLINE void publish_to_tensor_cores() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* Clusters: all threads of all their blocks meet; and another block's shared memory. */
OD_INLINE void cluster_arrive() {
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
OD_INLINE void cluster_wait() {
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
OD_INLINE uint32_t cluster_rank() {
    uint32_t rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
OD_INLINE float4 cluster_load4(uint32_t at, uint32_t rank) {
    float4 v;
    asm volatile("{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %4, %5;\n"
                 "ld.shared::cluster.v4.f32 {%0,%1,%2,%3}, [there];\n}"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "r"(at), "r"(rank)
                 : "memory");
    return v;
}

/* Registers of a warpgroup: taken from, or left to, the others. */
template <int n> OD_INLINE void registers_more() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(n));
}
template <int n> OD_INLINE void registers_less() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(n));
}

/* The tensor cores read TF32: a float's upper 19 bits. To nearest, halves away from zero; beyond the largest becomes
 * infinite, and infinity stays. A NaN may become 0, but then v - tf32_round(v) is still NaN. */
OD_INLINE float tf32_round(float v) {
    return __uint_as_float((__float_as_uint(v) + 0x1000u) & 0xffffe000u);
}

OD_INLINE void mma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
OD_INLINE void mma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
OD_INLINE void mma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
}
/* A tile of rows of 128 bytes, swizzled: unit u (16 bytes) of row r stands at unit u ^ (r % 8); 8 rows are 1024 bytes.
 */
OD_INLINE uint64_t mma_tile(uint32_t at) {
    return (uint64_t)((at & 0x3ffff) >> 4) | (uint64_t)1 << 16 | (uint64_t)(1024 >> 4) << 32 | (uint64_t)1 << 62;
}

/* d[64, n] (+)= a[64, 8] · b[n, 8]ᵀ by a warpgroup: a in registers, b a tile; keep 0: d is overwritten. */
template <int n> static __device__ void mma(float (&d)[n / 2], const uint32_t (&a)[4], uint64_t b, int keep);

#define D8(i)                                                                                                          \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]),        \
        "+f"(d[i + 7])
#define N0  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
#define N16 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define N32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
#define N48 ",%48,%49,%50,%51,%52,%53,%54,%55"
#define N56 ",%56,%57,%58,%59,%60,%61,%62,%63"
#define MMA(n, names, a0, a1, a2, a3, tile, flag, ...)                                                                 \
    template <>                                                                                                        \
    __device__ __forceinline__ void mma<n>(float(&d)[n / 2], const uint32_t(&a)[4], uint64_t b, int keep) {            \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #flag ", 0;\nwgmma.mma_async.sync.aligned.m64n" #n           \
                     "k8.f32.tf32.tf32 {" names "}, {%" #a0 ",%" #a1 ",%" #a2 ",%" #a3 "}, %" #tile ", p, 1, 1;\n}"    \
                     : __VA_ARGS__                                                                                     \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(keep));                                 \
    }
MMA(64, N0 N16, 32, 33, 34, 35, 36, 37, D8(0), D8(8), D8(16), D8(24))
MMA(96, N0 N16 N32, 48, 49, 50, 51, 52, 53, D8(0), D8(8), D8(16), D8(24), D8(32), D8(40))
MMA(112, N0 N16 N32 N48, 56, 57, 58, 59, 60, 61, D8(0), D8(8), D8(16), D8(24), D8(32), D8(40), D8(48))
MMA(128, N0 N16 N32 N48 N56, 64, 65, 66, 67, 68, 69, D8(0), D8(8), D8(16), D8(24), D8(32), D8(40), D8(48), D8(56))
#undef D8
#undef N0
#undef N16
#undef N32
#undef N48
#undef N56
#undef MMA

#endif
