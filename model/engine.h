/* The engine interface: how oracles see a reference, a fast path, the twin or somebody's shared object.
 *
 * An engine computes the model of model.md. It receives raw steps, padding mask and ids, and does padding to patches,
 * scaling and feedback itself. One engine serves several sessions, which share its graphs and buffers: that is where
 * stale state hides. One thread at a time may be inside an engine and its sessions.
 *
 * Life: create → session_open (several) → prefill → decode* → reset → prefill → … → session_close → destroy.
 * After OD_DEVICE_FAULT only session_close and destroy may follow. After any other error the session must be reset;
 * the engine stays usable. */
#ifndef OD_MODEL_ENGINE_H
#define OD_MODEL_ENGINE_H

#include "model/model.h"
#include "model/options.h"

/* 2: od_stats.rolled_back and emulated, od_options.last_head; 3: scramble_undeclared, od_stats.device_used;
 * 4: od_stats.waits and copied */
enum { OD_ENGINE_ABI = 4 };

typedef struct od_engine od_engine;
typedef struct od_session od_session;
struct od_case;

/* Raw steps: rows of [batch·variates], row r begins at r·stride. */
typedef struct od_window {
    size_t n_step, stride; /* stride >= n_step */
    const float *value;
    const uint8_t *mask;
    const int32_t *id;
} od_window;

/* Counters since create; bytes as the engine itself counts them. Strings are static. */
typedef struct od_stats {
    size_t host_live, host_peak, device_live, device_peak;
    size_t device_used;    /* bytes in use on the device as its driver says, by anybody; 0: not known */
    uint64_t launches;     /* kernels and products started, or replayed as nodes of a graph */
    uint64_t captures;     /* graphs captured */
    uint64_t replays;      /* graphs launched */
    uint64_t cache_hits;   /* decode calls that used cached keys */
    uint64_t fallbacks;    /* calls that an option wanted on the fast path and that left it: with the option graph (and
                            * recapture) every call is a replay or one of these */
    uint64_t replaced;     /* forecast values that were NaN, infinite or too large and became 0 */
    uint64_t waits;        /* times that the host waited for the device */
    uint64_t copied;       /* bytes copied to the device */
    const char *math_mode; /* "float32", "float64", "tf32": as the library reports it, not as it was asked; or the
                            * method of products of one's own, as "3xtf32" */
    const char *device;    /* "cpu (OpenBLAS 0.3.21 …)", "NVIDIA H100 …", "twin" */
    bool rolled_back;      /* OD_DISABLE_FAST: the options graph, fused and autotune were ignored */
    bool emulated;         /* kernels written for another device run here: their timings say nothing of that one */
} od_stats;

/* The last call's answer. `tensor` is borrowed until the next call on the session. In the engine's working precision
 * (F32 or F64). After prefill N = padded context, after decode N = P (the newest patch):
 *   df, loc, scale        [B,V,N] or, with a mixture, [B,V,N,K];   probs [B,V,N,K] only with a mixture
 *   scaler_loc, scaler_scale [B,V,N], or [B,V,1] for StdMeanScaler
 *   mean                  [B,V,P]: data-space mean forecast of the patch after the last one (model.md, 8)
 *   hidden.<i>            [B,V,N/P,D] output of layer i, only with the option `hidden`
 * Inside the network these are in scaled (model) space; mean and scaler_* in data space. */
typedef struct od_outputs {
    size_t n_tensor;
    const od_tensor *tensor;
} od_outputs;

typedef struct od_engine_api {
    unsigned abi;      /* OD_ENGINE_ABI */
    const char *name;  /* "ref", "ref64", "gpu", "twin" */
    const char *about; /* one line for lists */

    /* Is its device there? OD_NO_DEVICE with a reason otherwise. */
    enum od_status (*probe)(od_error *e);

    /* Can it do what the case asks for? false with a reason in why[size]. */
    bool (*can)(const struct od_case *c, char *why, size_t size);

    /* The model is borrowed and must outlive the engine. Copies options. */
    enum od_status (*create)(od_engine **out, const od_model *model, const od_options *options, od_error *e);
    void (*destroy)(od_engine *engine); /* NULL is fine; closes what is open */

    /* A session for batch x variates series of at most limit raw steps (context, padding and decoded patches
     * together). All memory that its calls need is taken here. */
    enum od_status (*session_open)(od_session **out, od_engine *engine, size_t batch, size_t variates, size_t limit,
                                   od_error *e);
    void (*session_close)(od_session *session);

    /* The context: window->n_step >= 1 raw steps, once after open or reset. Unequal ids inside a patch, a window past
     * the limit or a non-finite value where the mask is 1 are OD_BAD_INPUT. */
    enum od_status (*prefill)(od_session *session, const od_window *window, od_error *e);

    /* One more patch: next->n_step = P raw steps (teacher-forced), or NULL: its own mean, kept in working precision,
     * mask 1, the last id. With cache off everything is recomputed, else cached keys are used. */
    enum od_status (*decode)(od_session *session, const od_window *next, od_error *e);

    /* Back to the state after open. Graphs and buffers of the engine stay. */
    enum od_status (*reset)(od_session *session, od_error *e);

    enum od_status (*outputs)(od_session *session, od_outputs *out, od_error *e);

    void (*stats)(od_engine *engine, od_stats *out);

    /* Optional (NULL: the engine has no such thing). */
    enum od_status (*recapture)(od_engine *engine, od_error *e); /* drop all graphs: the next call captures anew */
    enum od_status (*poison)(od_engine *engine, od_error *e);    /* fill scratch memory with NaN; an
                                                                  * overrun buffer is OD_DEVICE_FAULT */
    /* Between two calls: overwrites whatever the next one must not depend on. A call's inputs are its window, the
     * weights, and what its session keeps: its series, statistics, cached keys and own mean. Everything else goes:
     * scratch, arguments and staging of earlier calls, on the device and on the host; answers (outputs need a new
     * call); of sessions without a context all that they keep. Captured graphs stay. */
    enum od_status (*scramble_undeclared)(od_engine *engine, od_error *e);
    void (*fail_alloc)(od_engine *engine, uint64_t host_call); /* the n-th host allocation from now fails; 0: none */
} od_engine_api;

/* What a shared object exports to be an engine (`--fast ./x.so`, docs/worker.md): its api, valid for as long as it is
 * loaded. It is loaded in a process of its own, which it may bring down. The name has up to 20 letters, digits and _-.
 * and is none of those above. The object brings what it needs: it finds no function of this program. */
#define OD_ENGINE_ENTRY "od_engine_entry"
const od_engine_api *od_engine_entry(void);

#endif
