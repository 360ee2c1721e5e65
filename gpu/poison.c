/* Memory that no call may depend on, overwritten on purpose: what is stale shows as NaN and not as a near miss. */
#include <string.h>

#include "gpu/engine.h"

static enum od_status fill_scratch(od_engine *en, od_error *e) {
    enum od_status status = OD_OK;
    for (int i = 0; i < OD_SCRATCH_COUNT && !status; i++) {
        const size_t bytes = od_scratch_bytes(en, i, en->n_token);
        if (en->scratch[i] && bytes) status = en->ops->fill(en->dev, en->scratch[i], OD_POISON_BYTE, bytes, e);
    }
    return status;
}

/* Before the scratch is overwritten the guard bands are looked at: on a GPU that is too slow to do after each call. */
enum od_status od_engine_poison(od_engine *en, od_error *e) {
    enum od_status status = en->ops->check(en->dev, e);
    if (!status) status = fill_scratch(en, e);
    if (!status && en->options.fused)
        status = en->ops->fill(en->dev, (char *)en->call + OD_CALL_HEAD, OD_POISON_BYTE, OD_CALL_WINDOW, e);
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
    for (int i = 0; i < OD_KEPT_COUNT; i++) {
        const size_t bytes = od_kept_bytes(s, i);
        if (!bytes || !s->kept[i] || (s->n_step && is_declared(i))) continue;
        const enum od_status status = en->ops->fill(en->dev, s->kept[i], OD_POISON_BYTE, bytes, e);
        if (status) return status;
    }
    memset(s->staged, OD_POISON_BYTE, od_staged_bytes(s));
    od_session_outputs_scramble(s);
    s->answered = false;
    return OD_OK;
}

enum od_status od_engine_scramble(od_engine *en, od_error *e) {
    enum od_status status = fill_scratch(en, e);
    if (!status) status = en->ops->fill(en->dev, en->call, OD_POISON_BYTE, od_call_bytes(en), e);
    for (od_session *s = en->sessions; s && !status; s = s->next) status = scramble_session(s, e);
    return status ? status : en->ops->sync(en->dev, e);
}
