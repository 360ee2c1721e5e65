/* Memory that no call may depend on, overwritten on purpose: what is stale shows as NaN and not as a near miss. */
#include <string.h>

#include "gpu/engine.h"

size_t od_engine_scratch_fills(const od_engine *en, od_fill *fills, int byte) {
    size_t n = 0;
    for (int i = 0; i < OD_SCRATCH_COUNT; i++) {
        const size_t bytes = en->scratch[i] ? od_scratch_bytes(en, i, en->n_token) : 0;
        if (bytes) fills[n++] = (od_fill){.to = en->scratch[i], .bytes = bytes, .byte = byte};
    }
    return n;
}

/* Before the scratch is overwritten the guard bands are looked at: on a GPU that is too slow to do after each call. */
enum od_status od_engine_poison(od_engine *en, od_error *e) {
    od_fill fills[OD_SCRATCH_COUNT + 1];
    enum od_status status = en->ops->check(en->dev, e);
    if (status) return status;
    size_t n = od_engine_scratch_fills(en, fills, OD_POISON_BYTE);
    if (en->options.fused)
        fills[n++] = (od_fill){.to = (char *)en->call + OD_CALL_HEAD, .bytes = OD_CALL_WINDOW, .byte = OD_POISON_BYTE};
    status = en->ops->fill(en->dev, fills, n, e);
    return status ? status : en->ops->sync(en->dev, e);
}

/* What a session keeps for its later calls; all else in it are answers. */
static bool is_declared(enum od_kept which) {
    switch (which) {
    case OD_KEPT_DF:
    case OD_KEPT_LOC:
    case OD_KEPT_SCALE:
    case OD_KEPT_PROBS:
    case OD_KEPT_HIDDEN: return false;
    default: return true;
    }
}

static enum od_status scramble_session(od_session *s, od_error *e) {
    od_engine *en = s->engine;
    od_fill fills[OD_KEPT_COUNT];
    size_t n = 0;
    for (int i = 0; i < OD_KEPT_COUNT; i++) {
        const size_t bytes = od_kept_bytes(s, i);
        if (!bytes || !s->kept[i] || (s->n_step && is_declared(i))) continue;
        fills[n++] = (od_fill){.to = s->kept[i], .bytes = bytes, .byte = OD_POISON_BYTE};
    }
    const enum od_status status = en->ops->fill(en->dev, fills, n, e);
    if (status) return status;
    memset(s->staged, OD_POISON_BYTE, od_staged_bytes(s));
    od_session_outputs_scramble(s);
    s->answered = false;
    return OD_OK;
}

enum od_status od_engine_scramble(od_engine *en, od_error *e) {
    od_fill fills[OD_SCRATCH_COUNT + 1];
    size_t n = od_engine_scratch_fills(en, fills, OD_POISON_BYTE);
    fills[n++] = (od_fill){.to = en->call, .bytes = od_call_bytes(en), .byte = OD_POISON_BYTE};
    enum od_status status = en->ops->fill(en->dev, fills, n, e);
    for (od_session *s = en->sessions; s && !status; s = s->next) status = scramble_session(s, e);
    return status ? status : en->ops->sync(en->dev, e);
}
