/* Does every weight tensor have a say? Each is changed in turn, and both engines play again: where the reference's
 * answers move and the fast path's do not, the fast path does not read it. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "oracles/evidence.h"
#include "oracles/tolerance.h"

uint64_t od_model_class(const od_script *script) {
    const od_config *m = &script->model->config;
    char text[1024], value[64];
    int n = snprintf(text, sizeof text, "%zu %zu %zu %zu %zu %zu %d %d %d %a %d %zu %d", m->patch, m->d_model,
                     m->n_layer, m->n_head, m->d_mlp, m->space_every, m->space_first, m->scaler, m->stabilize,
                     m->scale_exponent, m->mixture, m->n_component, m->xpos);
    for (size_t i = 0; od_options_name(i) && n > 0 && (size_t)n < sizeof text; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %s",
                      od_options_value(&script->c->options, i, value, sizeof value));
    return XXH64(text, strlen(text), 0);
}

/* A tensor's own size beside it, with signs that follow no rule of the model: a shift alike for all would leave a
 * softmax as it is. */
static void change(float *w, size_t n) {
    float most = 0;
    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(w[i]));
    if (most == 0) most = 1;
    for (size_t i = 0; i < n; i++) {
        const uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;
        w[i] += z >> 63 ? most / 2 : -most / 2;
    }
}

/* Answers against those before the change. */
typedef struct watch {
    const od_trace *before;
    size_t call;
    double share; /* the greatest, of the contract */
} watch;

static enum od_status look(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    watch *w = arg;
    assert(w->call < w->before->n_call); /* the same schedule makes the same calls */
    const od_trace_call *call = &w->before->call[w->call++];
    for (size_t i = 0; i < out->n_tensor && i < call->n; i++) {
        od_comparison cmp;
        const od_tensor was = od_trace_view(w->before, call->first + i);
        const enum od_tensor_class cls = w->before->tensor[call->first + i].cls;
        const double unit = cls < OD_TENSORS && od_tensor_in_data_space(cls) ? call->unit : 1;
        if (od_compare(&cmp, &was, &out->tensor[i], unit, false, NULL) != OD_OK) continue;
        w->share = fmax(w->share, od_contract_share(cmp.mae, cmp.max_abs));
    }
    return OD_OK;
}

static enum od_status probe(od_probe *out, const od_evidence *ev, const od_weight_spec *spec, od_error *e) {
    const od_script *script = ev->script;
    const od_options exact = od_exact_options(script);
    watch ref = {.before = &ev->ref};
    od_difference fast = {.trace = &ev->fast};
    enum od_status s = od_player_once(ev->setup->ref, script, &exact, look, &ref, e);
    if (s != OD_OK) return s;
    out->n++;
    if (od_within(ref.share, 1)) {
        out->n_idle++;
        return OD_OK;
    }
    s = od_player_once(ev->setup->fast, script, &script->c->options, od_trace_match, &fast, e);
    if (s != OD_OK || fast.differs) return s;
    if (out->n_dead++ > 0) return OD_OK;
    snprintf(out->dead, sizeof out->dead, "%s", spec->name);
    out->share = ref.share;
    return OD_OK;
}

void od_evidence_probe(od_evidence *ev) {
    od_model *model = ev->script->model;
    od_probe *out = &ev->probe;
    out->ran = true;
    for (size_t i = 0; i < model->n_weight && out->status == OD_OK; i++) {
        const od_weight_spec *spec = &model->weights[i];
        float *w = model->data + spec->offset, *kept = malloc(spec->count * sizeof *kept);
        if (!kept) {
            out->status = od_fail(&out->error, OD_NO_MEMORY, "no memory for a copy of %s", spec->name);
            return;
        }
        memcpy(kept, w, spec->count * sizeof *kept);
        change(w, spec->count);
        out->status = probe(out, ev, spec, &out->error);
        if (out->status != OD_OK) od_error_prefix(&out->error, "with %s changed", spec->name);
        memcpy(w, kept, spec->count * sizeof *kept);
        free(kept);
    }
}
