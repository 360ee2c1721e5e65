#include "gpu/device/lt.h"

#include <assert.h>
#include <cublasLt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults/fault.h"
#include "gpu/device/tune.h"

/* rows that the fixed algorithm is asked for: a prefill's */
enum { ROWS = 512, CANDIDATES = 16, WARM = 2, RUNS = 8 };

/* One weight's shape, with its fixed algorithm, and the one to use for each order of magnitude of rows. */
enum { BUCKETS = 12 };
typedef struct plan {
    struct plan *next;
    size_t n, k;
    cublasLtMatmulAlgo_t fixed, best[BUCKETS];
    bool timed[BUCKETS];
} plan;

struct od_lt {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t operation;
    cublasLtMatmulPreference_t preference;
    od_heap *heap;
    plan *plans;
    bool tf32;
};

#define LT(call, what)                                                                                                 \
    do {                                                                                                               \
        const cublasStatus_t code_ = (call);                                                                           \
        if (code_ != CUBLAS_STATUS_SUCCESS)                                                                            \
            return od_fail(e, OD_DEVICE_FAULT, "gpu: cuBLASLt %s: status %d", what, (int)code_);                       \
    } while (0)
#define CUDA(call, what)                                                                                               \
    do {                                                                                                               \
        const cudaError_t code_ = (call);                                                                              \
        if (code_ != cudaSuccess)                                                                                      \
            return od_fail(e, code_ == cudaErrorMemoryAllocation ? OD_NO_MEMORY : OD_DEVICE_FAULT, "gpu: %s: %s",      \
                           what, cudaGetErrorString(code_));                                                           \
    } while (0)

static enum od_status set_up(od_lt *lt, od_error *e) {
    const cublasComputeType_t compute =
        lt->tf32 || OD_FAULT_ON(GPU_TF32) ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F_PEDANTIC;
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const size_t workspace = 0;
    const uint32_t no_reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
    LT(cublasLtCreate(&lt->handle), "create");
    LT(cublasLtMatmulDescCreate(&lt->operation, compute, CUDA_R_32F), "describe");
    LT(cublasLtMatmulDescSetAttribute(lt->operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
       "describe");
    LT(cublasLtMatmulPreferenceCreate(&lt->preference), "preference");
    LT(cublasLtMatmulPreferenceSetAttribute(lt->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                            sizeof workspace),
       "preference");
    LT(cublasLtMatmulPreferenceSetAttribute(lt->preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &no_reduction,
                                            sizeof no_reduction),
       "preference");
    return OD_OK;
}

enum od_status od_lt_open(od_lt **out, bool tf32, od_heap *heap, od_error *e) {
    od_lt *lt = od_heap_alloc(heap, 1, sizeof *lt, "cuBLASLt", e);
    if (!lt) return OD_NO_MEMORY;
    lt->heap = heap;
    lt->tf32 = tf32;
    enum od_status status = set_up(lt, e);
    if (status) {
        od_lt_close(lt);
        return status;
    }
    *out = lt;
    return OD_OK;
}

void od_lt_close(od_lt *lt) {
    if (!lt) return;
    for (plan *next; lt->plans; lt->plans = next) {
        next = lt->plans->next;
        od_heap_free(lt->heap, lt->plans);
    }
    if (lt->preference) cublasLtMatmulPreferenceDestroy(lt->preference);
    if (lt->operation) cublasLtMatmulDescDestroy(lt->operation);
    if (lt->handle) cublasLtDestroy(lt->handle);
    od_heap_free(lt->heap, lt);
}

const char *od_lt_math(const od_lt *lt) {
    cublasComputeType_t compute = CUBLAS_COMPUTE_64F;
    size_t size = 0;
    if (cublasLtMatmulDescGetAttribute(lt->operation, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, &compute, sizeof compute,
                                       &size) != CUBLAS_STATUS_SUCCESS)
        return "unknown";
    return compute == CUBLAS_COMPUTE_32F_PEDANTIC    ? "float32"
           : compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? "tf32"
                                                     : "unknown";
}

/* Row-major y = x·wᵀ is column-major yᵀ[n,m] = (wᵀ)ᵀ[n,k] · xᵀ[k,m]. */
typedef struct layouts {
    cublasLtMatrixLayoutOpaque_t w, x, y;
} layouts;

static enum od_status lay_out(layouts *l, size_t m, size_t n, size_t k, od_error *e) {
    LT(cublasLtMatrixLayoutInit(&l->w, CUDA_R_32F, k, n, (int64_t)k), "layout");
    LT(cublasLtMatrixLayoutInit(&l->x, CUDA_R_32F, k, m, (int64_t)k), "layout");
    LT(cublasLtMatrixLayoutInit(&l->y, CUDA_R_32F, n, m, (int64_t)n), "layout");
    return OD_OK;
}

static enum od_status run(od_lt *lt, cudaStream_t stream, float *y, const float *x, const float *w, layouts *l,
                          const cublasLtMatmulAlgo_t *algo, od_error *e) {
    const float one = 1, zero = 0;
    LT(cublasLtMatmul(lt->handle, lt->operation, &one, w, &l->w, x, &l->x, &zero, y, &l->y, y, &l->y, algo, NULL, 0,
                      stream),
       "product");
    return OD_OK;
}

static bool splits(const cublasLtMatmulAlgo_t *algo) {
    int32_t parts = 0;
    size_t size = 0;
    return cublasLtMatmulAlgoConfigGetAttribute(algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, &size) ==
               CUBLAS_STATUS_SUCCESS &&
           parts > 1;
}

/* The library's suggestions for m rows that do not split k, best first. */
static enum od_status suggest(od_lt *lt, cublasLtMatmulAlgo_t *out, int *n_out, size_t m, size_t n, size_t k,
                              od_error *e) {
    cublasLtMatmulHeuristicResult_t results[CANDIDATES];
    layouts l;
    int found = 0;
    enum od_status status = lay_out(&l, m, n, k, e);
    if (status) return status;
    *n_out = 0;
    LT(cublasLtMatmulAlgoGetHeuristic(lt->handle, lt->operation, &l.w, &l.x, &l.y, &l.y, lt->preference, CANDIDATES,
                                      results, &found),
       "heuristic");
    for (int i = 0; i < found; i++)
        if (results[i].state == CUBLAS_STATUS_SUCCESS && !splits(&results[i].algo)) out[(*n_out)++] = results[i].algo;
    if (*n_out == 0)
        return od_fail(e, OD_DEVICE_FAULT, "gpu: cuBLASLt has no algorithm without a split for %zu x %zu x %zu", m, n,
                       k);
    return OD_OK;
}

/* The fixed algorithms that the library has named in this process: it names the same again, but takes longer for that
 * than a small model for its products. */
enum { ASKED = 64 };
static struct {
    size_t n, k;
    bool tf32;
    cublasLtMatmulAlgo_t algo;
} asked[ASKED];
static size_t n_asked;
static pthread_mutex_t asked_lock = PTHREAD_MUTEX_INITIALIZER;

static bool recall(cublasLtMatmulAlgo_t *out, const od_lt *lt, size_t n, size_t k) {
    bool found = false;
    pthread_mutex_lock(&asked_lock);
    for (size_t i = 0; i < n_asked && !found; i++) {
        found = asked[i].n == n && asked[i].k == k && asked[i].tf32 == lt->tf32;
        if (found) *out = asked[i].algo;
    }
    pthread_mutex_unlock(&asked_lock);
    return found;
}

static void remember(const cublasLtMatmulAlgo_t *algo, const od_lt *lt, size_t n, size_t k) {
    pthread_mutex_lock(&asked_lock);
    const size_t at = n_asked < ASKED ? n_asked++ : (n * 31 + k) % ASKED;
    asked[at].n = n;
    asked[at].k = k;
    asked[at].tf32 = lt->tf32;
    asked[at].algo = *algo;
    pthread_mutex_unlock(&asked_lock);
}

static enum od_status plan_for(od_lt *lt, plan **out, size_t n, size_t k, od_error *e) {
    cublasLtMatmulAlgo_t suggested[CANDIDATES];
    int n_suggested;
    for (plan *p = lt->plans; p; p = p->next)
        if (p->n == n && p->k == k) {
            *out = p;
            return OD_OK;
        }
    enum od_status status = OD_OK;
    if (!recall(&suggested[0], lt, n, k)) {
        status = suggest(lt, suggested, &n_suggested, ROWS, n, k, e);
        if (!status) remember(&suggested[0], lt, n, k);
    }
    if (status) return status;
    plan *p = od_heap_alloc(lt->heap, 1, sizeof *p, "cuBLASLt plan", e);
    if (!p) return OD_NO_MEMORY;
    *p = (plan){.next = lt->plans, .n = n, .k = k, .fixed = suggested[0]};
    lt->plans = p;
    *out = p;
    return OD_OK;
}

static unsigned bucket_of(size_t m) {
    unsigned b = 0;
    while (b + 1 < BUCKETS && (size_t)8 << (2 * b) < m) b++;
    return b;
}

/* Operands of a trial: values without pattern, so that another order of summation shows in the bits. */
typedef struct trial {
    float *x, *w, *y, *host_y, *expected;
    size_t m, n, k;
    cudaEvent_t begin, end;
} trial;

static enum od_status fill(float *out, size_t count, uint64_t seed, od_error *e) {
    float *values = malloc(count * sizeof *values);
    if (!values) return od_fail(e, OD_NO_MEMORY, "gpu: autotune: cannot allocate %zu bytes", count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        values[i] = (float)(int32_t)(seed >> 32) * 0x1p-31f;
    }
    const cudaError_t code = cudaMemcpy(out, values, count * sizeof *values, cudaMemcpyHostToDevice);
    free(values);
    CUDA(code, "autotune");
    return OD_OK;
}

static enum od_status trial_open(trial *t, size_t m, size_t n, size_t k, od_error *e) {
    *t = (trial){.m = m, .n = n, .k = k};
    CUDA(cudaMalloc((void **)&t->x, m * k * sizeof(float)), "autotune");
    CUDA(cudaMalloc((void **)&t->w, n * k * sizeof(float)), "autotune");
    CUDA(cudaMalloc((void **)&t->y, m * n * sizeof(float)), "autotune");
    CUDA(cudaEventCreate(&t->begin), "autotune");
    CUDA(cudaEventCreate(&t->end), "autotune");
    t->host_y = malloc(m * n * sizeof(float));
    t->expected = malloc(m * n * sizeof(float));
    if (!t->host_y || !t->expected) return od_fail(e, OD_NO_MEMORY, "gpu: autotune: no memory for a trial's results");
    enum od_status status = fill(t->x, m * k, 1, e);
    return status ? status : fill(t->w, n * k, 2, e);
}

static void trial_close(trial *t) {
    cudaFree(t->x);
    cudaFree(t->w);
    cudaFree(t->y);
    if (t->begin) cudaEventDestroy(t->begin);
    if (t->end) cudaEventDestroy(t->end);
    free(t->host_y);
    free(t->expected);
}

/* Time of one run in *ms, and its result. */
static enum od_status try_algorithm(od_lt *lt, cudaStream_t stream, trial *t, const cublasLtMatmulAlgo_t *algo,
                                    float *result, float *ms, od_error *e) {
    layouts l;
    enum od_status status = lay_out(&l, t->m, t->n, t->k, e);
    for (int i = 0; i < WARM && !status; i++) status = run(lt, stream, t->y, t->x, t->w, &l, algo, e);
    if (status) return status;
    CUDA(cudaEventRecord(t->begin, stream), "autotune");
    for (int i = 0; i < RUNS && !status; i++) status = run(lt, stream, t->y, t->x, t->w, &l, algo, e);
    if (status) return status;
    CUDA(cudaEventRecord(t->end, stream), "autotune");
    CUDA(cudaEventSynchronize(t->end), "autotune");
    CUDA(cudaEventElapsedTime(ms, t->begin, t->end), "autotune");
    CUDA(cudaMemcpy(result, t->y, t->m * t->n * sizeof(float), cudaMemcpyDeviceToHost), "autotune");
    return OD_OK;
}

/* The fastest of the suggestions whose result has the fixed algorithm's bits. */
static enum od_status time_algorithms(od_lt *lt, cudaStream_t stream, const plan *p, size_t m,
                                      cublasLtMatmulAlgo_t *best, od_error *e) {
    cublasLtMatmulAlgo_t suggested[CANDIDATES];
    int n_suggested = 0;
    trial t;
    float least = 0, ms = 0;
    *best = p->fixed;
    enum od_status status = suggest(lt, suggested, &n_suggested, m, p->n, p->k, e);
    if (status) return status;
    status = trial_open(&t, m, p->n, p->k, e);
    if (!status) status = try_algorithm(lt, stream, &t, &p->fixed, t.expected, &least, e);
    for (int i = 0; i < n_suggested && !status; i++) {
        /* one that cannot run here is no candidate */
        if (try_algorithm(lt, stream, &t, &suggested[i], t.host_y, &ms, NULL)) continue;
        if (ms < least && memcmp(t.host_y, t.expected, m * p->n * sizeof(float)) == 0) {
            least = ms;
            *best = suggested[i];
        }
    }
    trial_close(&t);
    return status;
}

static void write_hex(char *out, const cublasLtMatmulAlgo_t *algo) {
    const unsigned char *bytes = (const unsigned char *)algo;
    for (size_t i = 0; i < sizeof *algo; i++) sprintf(out + 2 * i, "%02x", bytes[i]);
}

static bool read_hex(cublasLtMatmulAlgo_t *algo, const char *text) {
    unsigned char *bytes = (unsigned char *)algo;
    for (size_t i = 0; i < sizeof *algo; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) return false;
        bytes[i] = (unsigned char)byte;
    }
    return text[2 * sizeof *algo] == 0;
}

/* A stored choice is used if the library still accepts it; what it says of speed is then taken on trust, as its bits
 * were compared when it was made with this version of the library. */
enum od_status od_lt_tune(od_lt *lt, cudaStream_t stream, size_t m, size_t n, size_t k, od_error *e) {
    char key[OD_TUNED_KEY], value[OD_TUNED_VALUE], device[OD_TUNED_DEVICE];
    cublasLtMatmulHeuristicResult_t checked;
    plan *p = NULL;
    layouts l;
    bool found = false;
    const unsigned b = bucket_of(m);
    enum od_status status = plan_for(lt, &p, n, k, e);
    if (status || p->timed[b]) return status;
    CUDA((cudaError_t)od_tune_device_name(device), "autotune");
    snprintf(key, sizeof key, "lt-%zu|%s|%s|n%zu|k%zu|m%u", cublasLtGetVersion(), device, lt->tf32 ? "tf32" : "float32",
             n, k, b);
    status = od_tuned_get(key, value, &found, e);
    if (!status) status = lay_out(&l, m, n, k, e);
    if (status) return status;
    p->timed[b] = true;
    p->best[b] = p->fixed;
    if (found && read_hex(&p->best[b], value) &&
        cublasLtMatmulAlgoCheck(lt->handle, lt->operation, &l.w, &l.x, &l.y, &l.y, &p->best[b], &checked) ==
            CUBLAS_STATUS_SUCCESS &&
        checked.workspaceSize == 0 && !splits(&p->best[b]))
        return OD_OK;
    status = time_algorithms(lt, stream, p, m, &p->best[b], e);
    if (status) return status;
    write_hex(value, &p->best[b]);
    return od_tuned_put(key, value, e);
}

enum od_status od_lt_gemm(od_lt *lt, cudaStream_t stream, float *y, const float *x, const float *w, size_t m, size_t n,
                          size_t k, od_error *e) {
    plan *p = NULL;
    layouts l;
    const unsigned b = bucket_of(m);
    enum od_status status = plan_for(lt, &p, n, k, e);
    if (!status) status = lay_out(&l, m, n, k, e);
    return status ? status : run(lt, stream, y, x, w, &l, p->timed[b] ? &p->best[b] : &p->fixed, e);
}
