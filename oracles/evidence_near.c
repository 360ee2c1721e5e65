/* Every contractual tensor of both engines against float64. */
#include <math.h>
#include <string.h>

#include "oracles/evidence.h"

static const od_trace_tensor *find(const od_trace *t, const od_trace_call *call, const char *name, size_t *index) {
    for (size_t i = call->first; i < call->first + call->n; i++)
        if (strcmp(t->tensor[i].view.name, name) == 0) {
            *index = i;
            return &t->tensor[i];
        }
    return NULL;
}

/* Mean absolute error of the tensor of that name; NaN where there is none of its shape. */
static double distance(const od_trace *t, size_t call, const od_tensor *truth, double unit) {
    size_t i;
    od_comparison cmp;
    if (call >= t->n_call || !find(t, &t->call[call], truth->name, &i)) return NAN;
    const od_tensor tensor = od_trace_view(t, i);
    return od_compare(&cmp, truth, &tensor, unit, false, NULL) == OD_OK ? cmp.mae : NAN;
}

void od_evidence_near(od_evidence *ev) {
    for (size_t c = 0; c < ev->third.n_call; c++) {
        const od_trace_call *call = &ev->third.call[c];
        if (!od_is_contractual(ev->script->c, &call->at)) continue;
        for (size_t i = call->first; i < call->first + call->n; i++) {
            const enum od_tensor_class cls = ev->third.tensor[i].cls;
            if (cls == OD_TENSORS || c >= ev->ref.n_call) continue;
            const od_tensor truth = od_trace_view(&ev->third, i);
            const double unit = od_tensor_in_data_space(cls) ? ev->ref.call[c].unit : 1;
            od_nearness_add(&ev->arbitration.near[cls], distance(&ev->ref, c, &truth, unit),
                            distance(&ev->fast, c, &truth, unit), od_tensor_size(&truth), truth.name, &call->at);
        }
    }
}
