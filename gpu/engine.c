/* The engine's life, its sessions' lives, and the two faces of it: gpu and twin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults/fault.h"
#include "gpu/engine.h"
#include "model/case.h"

static void session_close(od_session *s) {
    if (!s) return;
    od_heap *heap = &s->engine->heap;
    od_session_release(s, NULL);
    od_session_outputs_release(s);
    *s->link = s->next;
    if (s->next) s->next->link = s->link;
    od_heap_free(heap, s->staged);
    od_heap_free(heap, s);
}

static void engine_destroy(od_engine *en) {
    if (!en) return;
    while (en->sessions) session_close(en->sessions);
    if (en->dev) od_engine_release(en, NULL);
    en->ops->close(en->dev);
    od_heap_free(&en->heap, en->graphs);
    od_heap_free(&en->heap, en->place);
    free(en);
}

/* The way back without a rebuild: OD_DISABLE_FAST=1 in the environment of whoever runs the engine. */
static bool is_rolled_back(void) {
    const char *text = getenv("OD_DISABLE_FAST");
    return text && text[0] && strcmp(text, "0") != 0;
}

/* The fused kernels keep tiles of keys in shared memory, which is what bounds a head's width. */
enum { WIDEST_HEAD = 1024 };

static bool is_too_wide(const od_config *c, const od_options *options) {
    return options->fused && c->d_model / c->n_head > WIDEST_HEAD;
}

static enum od_status engine_create(od_engine **out, const od_device_ops *ops, const od_model *model,
                                    const od_options *options, od_error *e) {
    if (is_too_wide(&model->config, options) && !is_rolled_back())
        return od_fail(e, OD_BAD_INPUT, "heads of %zu are too wide for the fused kernels: at most %d, or fused=off",
                       model->config.d_model / model->config.n_head, WIDEST_HEAD);
    od_engine *en = calloc(1, sizeof *en);
    if (!en) return od_fail(e, OD_NO_MEMORY, "cannot allocate an engine");
    en->ops = ops;
    en->model = model;
    en->rolled_back = is_rolled_back();
    en->options = en->rolled_back ? od_options_plain(options) : *options;
    en->recomputes = options->cache == OD_CACHE_OFF || od_config_time_layers(&model->config) == 0;
    en->graphs = od_heap_alloc(&en->heap, options->captures, sizeof *en->graphs, "graphs", e);
    enum od_status status = en->graphs ? ops->open(&en->dev, &en->options, &en->heap, e) : OD_NO_MEMORY;
    if (!status) status = od_engine_upload(en, e);
    if (status) {
        engine_destroy(en);
        return status;
    }
    *out = en;
    return OD_OK;
}

/* What other sessions share comes last: a session for which memory does not suffice leaves nothing behind. */
static enum od_status session_fill(od_session *s, od_error *e) {
    od_engine *en = s->engine;
    enum od_status status = od_session_reserve(s, e);
    if (!status) status = od_session_outputs_reserve(s, e);
    if (status) return status;
    s->staged = od_heap_alloc(&en->heap, od_staged_bytes(s), 1, "staging", e);
    if (!s->staged) return OD_NO_MEMORY;
    return od_engine_reserve(en, s->rows * s->patch_limit, s->patch_limit, e);
}

/* Of a session on the fused path: the largest bucket whose products' tiles a grid can count. */
enum { MOST_TOKENS = 1 << 21 };

static enum od_status session_open(od_session **out, od_engine *en, size_t batch, size_t variates, size_t limit,
                                   od_error *e) {
    const size_t patch = en->model->config.patch;
    size_t rows = 0, steps = 0;
    if (batch < 1 || variates < 1)
        return od_fail(e, OD_BAD_INPUT, "a session of %zu x %zu series: each must be at least 1", batch, variates);
    if (limit < patch)
        return od_fail(e, OD_BAD_INPUT, "a session of at most %zu steps holds no patch: at least %zu are needed", limit,
                       patch);
    if (!od_size_mul(&rows, batch, variates) || !od_size_mul(&steps, rows, limit) || steps > (size_t)1 << 30)
        return od_fail(e, OD_BAD_INPUT, "a session of %zu x %zu series and %zu steps is too large: at most 2^30 values",
                       batch, variates, limit);
    if (en->options.fused && rows * (limit / patch) > MOST_TOKENS)
        return od_fail(
            e, OD_BAD_INPUT,
            "a session of %zu x %zu series and %zu steps has %zu patches: the fused kernels take at most %d, "
            "fused=off takes more",
            batch, variates, limit, rows * (limit / patch), MOST_TOKENS);
    od_session *s = od_heap_alloc(&en->heap, 1, sizeof *s, "session", e);
    if (!s) return OD_NO_MEMORY;
    *s = (od_session){.engine = en, .batch = batch, .variates = variates, .rows = rows, .patch_limit = limit / patch};
    s->step_limit = s->patch_limit * patch;
    s->key_patch = en->recomputes || en->options.cache == OD_CACHE_DYNAMIC ? 0 : s->patch_limit;
    s->next = en->sessions;
    s->link = &en->sessions;
    if (s->next) s->next->link = &s->next;
    en->sessions = s;
    enum od_status status = session_fill(s, e);
    if (status) {
        session_close(s);
        return status;
    }
    *out = s;
    return OD_OK;
}

/* On the twin the cache is poisoned too, so that a key left over from before the reset is a NaN and not a near miss. */
static enum od_status session_reset(od_session *s, od_error *e) {
    od_engine *en = s->engine;
    s->n_step = 0;
    s->answered = s->broken = false;
#ifdef OD_FAULTS
    s->n_reset++;
    if (!OD_FAULT_WHEN(DECODE_COUNT, s->n_decoded > 0)) s->n_decoded = 0;
#endif
    if (OD_FAULT_ON(LEAK_RESET) && !(s->staged = od_heap_alloc(&en->heap, od_staged_bytes(s), 1, "staging", e)))
        return OD_NO_MEMORY;
    if (!en->ops->emulated || en->recomputes) return OD_OK;
    const size_t bytes =
        od_config_time_layers(&en->model->config) * s->rows * s->key_patch * en->model->config.d_model * sizeof(float);
    if (!bytes) return OD_OK;
    const od_fill fills[] = {{s->kept[OD_KEPT_KEY], bytes, OD_POISON_BYTE},
                             {s->kept[OD_KEPT_CACHED], bytes, OD_POISON_BYTE}};
    return en->ops->fill(en->dev, fills, 2, e);
}

static void engine_stats(od_engine *en, od_stats *out) {
    od_device_stats dev;
    uint32_t replaced = 0;
    en->ops->stats(en->dev, &dev);
    if (en->ops->download(en->dev, &replaced, en->replaced, sizeof replaced, NULL)) replaced = 0;
    *out = (od_stats){.host_live = en->heap.live,
                      .host_peak = en->heap.peak,
                      .device_live = dev.live,
                      .device_peak = dev.peak,
                      .device_used = dev.used,
                      .launches = dev.launches,
                      .captures = en->captures,
                      .replays = en->replays,
                      .cache_hits = en->cache_hits,
                      .fallbacks = en->fallbacks,
                      .replaced = replaced,
                      .waits = dev.waits,
                      .copied = dev.copied,
                      .math_mode = dev.math_mode,
                      .device = dev.name,
                      .emulated = en->ops->emulated,
                      .rolled_back = en->rolled_back};
}

static enum od_status engine_recapture(od_engine *en, od_error *e) {
    od_engine_drop_graphs(en);
    en->n_capture = en->n_prefill_capture = 0;
    return OD_OK;
}

static void engine_fail_alloc(od_engine *en, uint64_t call) {
    en->heap.fail_at = call ? en->heap.calls + call : 0;
}

static bool can(const od_device_ops *ops, const struct od_case *c, char *why, size_t size) {
    const char *reason = NULL;
    if (is_too_wide(&c->config, &c->options)) reason = "fused=on: heads are at most 1024 wide";
    if (c->options.tf32 && ops->emulated) reason = "tf32=on: the twin has no tensor cores";
    if (reason) snprintf(why, size, "%s", reason);
    return reason == NULL;
}

static enum od_status gpu_probe(od_error *e) {
    return od_device_cuda()->probe(e);
}

static bool gpu_can(const struct od_case *c, char *why, size_t size) {
    return can(od_device_cuda(), c, why, size);
}

static enum od_status gpu_create(od_engine **out, const od_model *model, const od_options *options, od_error *e) {
    enum od_status status = od_device_cuda()->probe(e);
    return status ? status : engine_create(out, od_device_cuda(), model, options, e);
}

static enum od_status twin_probe(od_error *e) {
    return od_device_host()->probe(e);
}

static bool twin_can(const struct od_case *c, char *why, size_t size) {
    return can(od_device_host(), c, why, size);
}

static enum od_status twin_create(od_engine **out, const od_model *model, const od_options *options, od_error *e) {
    return engine_create(out, od_device_host(), model, options, e);
}

#define COMMON                                                                                                         \
    .destroy = engine_destroy, .session_open = session_open, .session_close = session_close,                           \
    .prefill = od_session_prefill, .decode = od_session_decode, .reset = session_reset, .outputs = od_session_outputs, \
    .stats = engine_stats, .recapture = engine_recapture, .poison = od_engine_poison,                                  \
    .scramble_undeclared = od_engine_scramble, .fail_alloc = engine_fail_alloc

const od_engine_api *od_gpu_engine(void) {
    static const od_engine_api api = {.abi = OD_ENGINE_ABI,
                                      .name = "gpu",
                                      .about = "fast path on CUDA and cuBLAS",
                                      .probe = gpu_probe,
                                      .can = gpu_can,
                                      .create = gpu_create,
                                      COMMON};
    return &api;
}

const od_engine_api *od_twin_engine(void) {
    static const od_engine_api api = {.abi = OD_ENGINE_ABI,
                                      .name = "twin",
                                      .about = "the fast path's host code and kernels on the CPU",
                                      .probe = twin_probe,
                                      .can = twin_can,
                                      .create = twin_create,
                                      COMMON};
    return &api;
}
