/* Prefill and decode: checks, padding, the call block, and the choice between plain launches and a captured graph. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "faults/fault.h"
#include "gpu/engine.h"

/* Buckets eight times as large as the one before: four of prefills and three of decode steps hold every call of up to
 * 32,768 tokens and 512 rows, within the default limit of eight captures. A block without work costs next to nothing.
 */
static size_t bucket_of(size_t n_token) {
    size_t capacity = 8;
    while (capacity < n_token) capacity *= 8;
    return capacity;
}

static od_shape shape_of(const od_session *s, size_t n_patch, size_t new_count) {
    const od_engine *en = s->engine;
    od_shape shape;
    memset(&shape, 0, sizeof shape); /* it is compared with memcmp */
    if (en->options.fused) {
        shape.capacity = bucket_of(s->rows * n_patch);
        shape.step = s->n_step > 0 && !en->recomputes;
    } else {
        shape.batch = s->batch;
        shape.variates = s->variates;
        shape.n_patch = n_patch;
        shape.new_count = new_count;
    }
    return shape;
}

static od_captured *find_graph(od_engine *en, const od_shape *shape) {
    for (size_t i = 0; i < en->n_graph; i++) {
        od_shape of = en->graphs[i].shape;
        const bool longer = of.n_patch < shape->n_patch && of.new_count < shape->new_count;
        if (OD_FAULT_WHEN(SHAPE, longer)) of.n_patch = shape->n_patch, of.new_count = shape->new_count;
        if (OD_FAULT_WHEN(KEY_STEP, of.step != shape->step && of.capacity == shape->capacity)) of.step = shape->step;
        if (OD_FAULT_WHEN(KEY_COUNT, of.new_count != shape->new_count && of.n_patch == shape->n_patch))
            of.new_count = shape->new_count;
        if (memcmp(&of, shape, sizeof *shape) == 0) return &en->graphs[i];
    }
    return NULL;
}

static enum od_status forward(od_engine *en, const od_shape *shape, const od_sizes *sizes, od_error *e) {
    return en->options.fused ? od_forward_fused(en, shape, sizes, e) : od_forward(en, shape, sizes->position, e);
}

/* The fused path's prefills leave some captures to decode steps, whose graphs are worth most and of which few buckets
 * serve every session: three of the default eight. */
static bool may_capture(const od_engine *en, const od_shape *shape) {
    const size_t limit = en->options.captures, kept = en->options.fused && !shape->step ? limit * 3 / 8 : 0;
    return en->n_capture < limit && (shape->step || en->n_prefill_capture + kept < limit);
}

/* A failed recording still has to be ended, or the device would stay in capture. */
static enum od_status capture(od_engine *en, const od_shape *shape, const od_sizes *sizes, od_error *e) {
    od_graph *graph = NULL;
    enum od_status status = en->ops->capture_begin(en->dev, e);
    if (status) return status;
#ifdef OD_FAULTS
    en->recording = true;
    en->ninth = en->captures == 8;
#endif
    status = forward(en, shape, sizes, e);
#ifdef OD_FAULTS
    en->recording = en->ninth = false;
#endif
    enum od_status ended = en->ops->capture_end(en->dev, &graph, status ? NULL : e);
    if (status || ended) {
        if (graph) en->ops->graph_free(en->dev, graph);
        return status ? status : ended;
    }
    en->graphs[en->n_graph++] = (od_captured){.shape = *shape, .graph = graph};
    en->n_capture++;
    en->n_prefill_capture += !shape->step;
    en->captures++;
#ifdef OD_FAULTS
    if (OD_FAULT_ON(OWN_SCRATCH))
        for (int i = 0; i < OD_SCRATCH_COUNT; i++) od_engine_hoard(en, od_scratch_bytes(en, i, en->n_token));
#endif
    return OD_OK;
}

static enum od_status run(od_engine *en, const od_shape *shape, const od_sizes *sizes, od_error *e) {
    enum od_status status;
    if (en->options.graph) {
        od_captured *g = OD_FAULT_ON(RECAPTURE) ? NULL : find_graph(en, shape);
        if (!g && may_capture(en, shape)) {
            if (OD_FAULT_WHEN(WARM_UP, sizes->position > 0)) forward(en, shape, sizes, e);
            status = capture(en, shape, sizes, e);
            if (status) return status;
            g = &en->graphs[en->n_graph - 1];
        }
        if (g) {
            if (OD_FAULT_WHEN(SILENT, en->replays > 0)) return forward(en, shape, sizes, e);
            en->replays++;
            return en->ops->replay(en->dev, g->graph, e);
        }
        en->fallbacks++;
    }
    return forward(en, shape, sizes, e);
}

/* The first call of a shape, when no more of it is on the device than what stands in the call block's buffer: products
 * are timed on scratch memory, where nothing is kept from call to call. */
static enum od_status rehearse(od_engine *en, const od_shape *shape, const od_sizes *sizes, od_error *e) {
    enum { FINITE = 0x3C }; /* as a float 0.0115 */
    if (!en->options.autotune) return OD_OK;
    for (size_t i = 0; i < en->n_rehearsed; i++)
        if (memcmp(&en->rehearsed[i], shape, sizeof *shape) == 0) return OD_OK;
    if (en->n_rehearsed == OD_REHEARSALS) return OD_OK;
    od_fill fills[OD_SCRATCH_COUNT];
    enum od_status status = en->ops->fill(en->dev, fills, od_engine_scratch_fills(en, fills, FINITE), e);
    en->ops->rehearse(en->dev, true);
    if (!status) status = forward(en, shape, sizes, e);
    en->ops->rehearse(en->dev, false);
    if (!status) en->rehearsed[en->n_rehearsed++] = *shape;
    return status;
}

/* Fills the call block. n_patch patches end at step `end`; window: where on the device the call's window is. */
static od_call make_call(const od_session *s, size_t n_patch, size_t end, size_t new_count, size_t shown, bool own,
                         char *window) {
    const od_engine *en = s->engine;
    const od_config *c = &en->model->config;
    const size_t first = end - n_patch * c->patch, position = first / c->patch;
    void *const *k = s->kept;
    od_call call = {.value = k[OD_KEPT_VALUE],
                    .mask = k[OD_KEPT_MASK],
                    .id = k[OD_KEPT_ID],
                    .loc = k[OD_KEPT_SCALER_LOC],
                    .scale = k[OD_KEPT_SCALER_SCALE],
                    .state = k[OD_KEPT_STATE],
                    .key = k[OD_KEPT_KEY],
                    .cached = k[OD_KEPT_CACHED],
                    .mean = k[OD_KEPT_MEAN],
                    .out_df = k[OD_KEPT_DF],
                    .out_loc = k[OD_KEPT_LOC],
                    .out_scale = k[OD_KEPT_SCALE],
                    .out_probs = k[OD_KEPT_PROBS],
                    .hidden = k[OD_KEPT_HIDDEN],
                    .layer_stride = s->rows * s->key_patch * c->d_model,
                    .step_stride = (uint32_t)s->step_limit,
                    .patch_stride = (uint32_t)s->patch_limit,
                    .key_stride = (uint32_t)(en->recomputes ? s->patch_limit : s->key_patch),
                    .first_step = (uint32_t)first,
                    .new_step = (uint32_t)(end - new_count),
                    .prefix = (uint32_t)s->prefix,
                    .position = (uint32_t)position,
                    .center = (uint32_t)od_rope_center(c->xpos, position + n_patch - 1),
                    .own = own,
                    .cosine = en->cosine,
                    .sine = en->sine,
                    .xpos = en->xpos,
                    .rope_rows = (uint32_t)en->n_position,
                    .n_row = (uint32_t)s->rows,
                    .variates = (uint32_t)s->variates,
                    .n_patch = (uint32_t)n_patch,
                    .n_token = (uint32_t)(s->rows * n_patch),
                    .new_count = (uint32_t)new_count,
                    .head_patch = (uint32_t)(en->options.fused ? shown : n_patch)};
    memcpy(call.scratch, en->scratch, sizeof call.scratch);
    call.scratch[OD_SCRATCH_IN_VALUE] = window;
    call.scratch[OD_SCRATCH_IN_ID] = window + od_staged_id(s->rows * new_count);
    call.scratch[OD_SCRATCH_IN_MASK] = window + od_staged_mask(s->rows * new_count, c->patch);
    if (en->recomputes) {
        call.key = en->scratch[OD_SCRATCH_LAYER_K];
        call.cached = en->scratch[OD_SCRATCH_LAYER_V];
        call.layer_stride = 0;
    }
    return call;
}

#ifdef OD_FAULTS
/* Planted faults of the call block. */
static void spoil_call(od_call *call, const od_session *s) {
    const od_engine *en = s->engine;
    const od_config *c = &en->model->config;
    const od_session *other = en->sessions;
    if (OD_FAULT_WHEN(LAYER_STRIDE, s->batch > 1 && call->layer_stride && od_config_time_layers(c) > 1))
        call->layer_stride /= s->batch;
    if (OD_FAULT_WHEN(XPOS_ROWS, en->options.fused && s->patch_limit < en->n_position))
        call->rope_rows = (uint32_t)s->patch_limit;
    if (OD_FAULT_WHEN(MEAN_OF, call->own && other != s && other->n_step && other->rows == s->rows))
        call->mean = other->kept[OD_KEPT_MEAN];
    const size_t counted = s->prefix / c->patch + s->n_decoded;
    if (OD_FAULT_WHEN(DECODE_COUNT, call->position && counted != call->position))
        call->position = (uint32_t)(counted < s->key_patch ? counted : s->key_patch - 1);
}

/* A copy of the call's window, kept for a log that nobody writes. */
static void leak(const od_session *s, size_t bytes) {
    static void *volatile last;
    if (!OD_FAULT_WHEN(LEAK_HOST, bytes > 0) || !(last = malloc(bytes))) return;
    memcpy(last, s->staged + OD_CALL_HEAD, bytes);
}

static void copy_weights(od_engine *en) {
    if (!OD_FAULT_ON(COPY_WEIGHTS)) return;
    for (size_t layer = 0; layer < en->model->config.n_layer; layer++) {
        const od_weight_spec *spec = od_model_spec(en->model, OD_W_OUT, layer);
        en->ops->upload(en->dev, (float *)od_engine_weight(en, OD_W_OUT, layer), en->model->data + spec->offset,
                        spec->count * sizeof(float), NULL);
    }
}
#endif

/* One call: n_patch patches that end at step `end`, the last new_count steps of it staged (or its own mean). */
static enum od_status do_call(od_session *s, size_t n_patch, size_t end, size_t new_count, bool own, od_error *e) {
    od_engine *en = s->engine;
    const od_config *c = &en->model->config;
    const size_t position = end / c->patch - n_patch;
    enum od_status status = od_session_grow(s, position + n_patch, position, e);
    if (status) return status; /* nothing has changed: the call may be tried again */
    const size_t shown = en->options.last_head ? 1 : new_count / c->patch;
    const size_t count = s->rows * new_count, bytes = own ? 0 : od_staged_mask(count, c->patch) + count;
    /* the plain path's kernels have the window's address in their arguments, which a graph keeps */
    const bool together = en->options.fused && bytes && bytes <= OD_CALL_WINDOW;
    char *const window = together ? (char *)en->call + OD_CALL_HEAD : en->scratch[OD_SCRATCH_IN_VALUE];
    od_call call = make_call(s, n_patch, end, new_count, shown, own, window);
#ifdef OD_FAULTS
    spoil_call(&call, s);
#endif
    const od_shape shape = shape_of(s, n_patch, new_count);
    const od_sizes sizes = {.tokens = call.n_token, .heads = s->rows * call.head_patch, .position = position};
    s->broken = true;
    memcpy(s->staged, &call, sizeof call);
    status = en->ops->upload(en->dev, en->call, s->staged, together ? OD_CALL_HEAD + bytes : sizeof call, e);
    if (!status) status = rehearse(en, &shape, &sizes, e);
    if (!status && bytes && !together) status = en->ops->upload(en->dev, window, s->staged + OD_CALL_HEAD, bytes, e);
    if (!status) status = run(en, &shape, &sizes, e);
    if (!status) status = en->ops->sync(en->dev, e);
    if (status) {
        en->ops->sync(en->dev, NULL); /* what was started must not meet the next call's work in the shared scratch */
        return status;
    }
#ifdef OD_FAULTS
    s->n_decoded += s->n_step > 0;
    if (OD_FAULT_WHEN(LEAK_STEP, s->n_step > 0)) od_engine_hoard(en, 256);
    leak(s, bytes);
    copy_weights(en);
#endif
    s->broken = false;
    s->answered = true;
    s->n_step = end;
    s->call_patch = n_patch;
    s->head_patch = call.head_patch;
    s->shown_patch = shown;
    return OD_OK;
}

/* Stages a window, left-padded by `pad` steps (zeros, mask 0, the first step's id), and checks it. */
static enum od_status stage(od_session *s, const od_window *w, size_t pad, od_error *e) {
    const size_t patch = s->engine->model->config.patch, n = pad + w->n_step;
    if (w->stride < w->n_step)
        return od_fail(e, OD_BAD_INPUT, "rows of %zu steps lie %zu apart: at least %zu is needed", w->n_step, w->stride,
                       w->n_step);
    char *const window = s->staged + OD_CALL_HEAD;
    float *in_value = (float *)(void *)window;
    int32_t *in_id = (int32_t *)(void *)(window + od_staged_id(s->rows * n));
    uint8_t *in_mask = (uint8_t *)window + od_staged_mask(s->rows * n, patch);
    for (size_t r = 0; r < s->rows; r++) {
        const float *value = w->value + r * w->stride;
        const uint8_t *mask = w->mask + r * w->stride;
        const int32_t *id = w->id + r * w->stride;
        for (size_t i = 0; i < n; i++) {
            const bool right = OD_FAULT_WHEN(PAD_RIGHT, pad > 0), padded = right ? i >= w->n_step : i < pad;
            const size_t at = right ? i : i - pad;
            float x = padded ? 0 : value[at];
            const int32_t now = padded ? id[0] : id[at];
            if (!padded && mask[at] && !isfinite(x))
                return od_fail(e, OD_BAD_INPUT,
                               "series row %zu step %zu is not finite where the mask is 1: missing values are "
                               "mask 0, value 0",
                               r, at);
#ifdef OD_FAULTS
            if (OD_FAULT_WHEN(SAME_COUNT, r == 0 && !s->n_step && s->n_reset && n == s->last_count)) return OD_OK;
            if (OD_FAULT_WHEN(THIRD_RESET, i == pad && mask[0] && !s->n_step && s->n_reset >= 3))
                x = in_value[r * n + i];
#endif
            in_value[r * n + i] = x;
            in_mask[r * n + i] = padded ? 0 : mask[at] != 0;
            if (i % patch == 0) in_id[(r * n + i) / patch] = now;
            if (in_id[(r * n + i) / patch] != now)
                return od_fail(e, OD_BAD_INPUT,
                               "series row %zu: ids %d and %d in one patch (steps %zu to %zu): all ids "
                               "of a patch must be equal",
                               r, (int)in_id[(r * n + i) / patch], (int)now, i / patch * patch,
                               i / patch * patch + patch - 1);
        }
    }
    return OD_OK;
}

enum od_status od_session_prefill(od_session *s, const od_window *w, od_error *e) {
    const size_t patch = s->engine->model->config.patch;
    if (s->broken) return od_fail(e, OD_BAD_INPUT, "the session's last call failed: reset it first");
    if (s->n_step) return od_fail(e, OD_BAD_INPUT, "prefill after prefill: reset the session first");
    if (w->n_step < 1) return od_fail(e, OD_BAD_INPUT, "the context has no steps: at least 1 is needed");
    if (w->n_step > s->step_limit)
        return od_fail(e, OD_BAD_INPUT, "a context of %zu steps exceeds the session's limit of %zu", w->n_step,
                       s->step_limit);
    const size_t pad = (patch - w->n_step % patch) % patch, n = pad + w->n_step;
    enum od_status status = stage(s, w, pad, e);
    if (status) return status;
#ifdef OD_FAULTS
    s->last_count = n;
#endif
    if (!OD_FAULT_WHEN(PREFIX_STALE, s->prefix && s->prefix != n)) s->prefix = n;
    /* prefix decides the scaler's global statistics: the call anew */
    return do_call(s, n / patch, n, n, false, e);
}

enum od_status od_session_decode(od_session *s, const od_window *next, od_error *e) {
    od_engine *en = s->engine;
    const size_t patch = en->model->config.patch, end = s->n_step + patch;
    if (s->broken) return od_fail(e, OD_BAD_INPUT, "the session's last call failed: reset it first");
    if (!s->n_step) return od_fail(e, OD_BAD_INPUT, "decode before prefill");
    if (next && next->n_step != patch)
        return od_fail(e, OD_BAD_INPUT, "decode takes one patch of %zu steps, not %zu", patch, next->n_step);
    if (end > s->step_limit)
        return od_fail(e, OD_BAD_INPUT, "decoding to step %zu exceeds the session's limit of %zu", end, s->step_limit);
    enum od_status status = next ? stage(s, next, 0, e) : OD_OK;
    if (status) return status;
    if (en->recomputes) return do_call(s, end / patch, end, patch, !next, e);
    status = do_call(s, 1, end, patch, !next, e);
    if (!status) en->cache_hits++;
    return status;
}
