/* Every contractual comparison of a case, for the envelope: its keys and shifts are those of single tensors. */
#include <stdlib.h>
#include <string.h>

#include "oracles/evidence.h"

void od_evidence_measure(od_evidence *ev, const od_comparison *cmp, enum od_tensor_class cls, const od_call_at *at,
                         const char *name) {
    if (ev->n_measure == ev->cap_measure) {
        const size_t cap = ev->cap_measure ? 2 * ev->cap_measure : 64;
        od_measure *grown = realloc(ev->measure, cap * sizeof *grown);
        if (!grown) {
            ev->measures_lost = true;
            return;
        }
        ev->measure = grown;
        ev->cap_measure = cap;
    }
    od_measure *m = &ev->measure[ev->n_measure++];
    *m = (od_measure){.cls = cls,
                      .step = at->step,
                      .n = cmp->n,
                      .mae = cmp->mae,
                      .max_abs = cmp->max_abs,
                      .shift = cmp->shift,
                      .at = *at,
                      .worst = cmp->worst,
                      .ref_worst = cmp->ref_worst,
                      .fast_worst = cmp->fast_worst};
    strncpy(m->name, name, sizeof m->name - 1);
}

od_envelope_domain od_evidence_domain(const od_evidence *ev) {
    const od_script *script = ev->script;
    const od_config *config = &script->model->config;
    od_envelope_domain d = {.layers = config->n_layer, .width = config->d_model, .gain = script->c->gain};
    for (unsigned i = 0; i < script->n_session; i++) {
        const size_t patches = script->limit[i] / config->patch;
        if (patches > d.patches) d.patches = patches;
    }
    for (size_t i = 0; i < ev->ref.n_call; i++)
        if (ev->ref.call[i].at.n_own > d.own) d.own = ev->ref.call[i].at.n_own;
    return d;
}
