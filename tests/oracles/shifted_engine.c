#include "tests/oracles/shifted_engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/gpu.h"

shifted_knobs shifted;

/* One copy of the tensor at a time: answers are borrowed until the session's next call, and the judge keeps its own. */
static float *copy;
static od_tensor tensors[64];

static enum od_status outputs(od_session *session, od_outputs *out, od_error *e) {
    enum od_status s = od_twin_engine()->outputs(session, out, e);
    for (size_t i = 0; s == OD_OK && shifted.tensor && i < out->n_tensor; i++) {
        const od_tensor *t = &out->tensor[i];
        if (strcmp(t->name, shifted.tensor) != 0 || out->n_tensor > 64) continue;
        const size_t n = od_tensor_size(t);
        float *grown = realloc(copy, (n + 1) * sizeof *copy);
        if (!grown) return od_fail(e, OD_NO_MEMORY, "no memory for a shifted tensor");
        copy = grown;
        for (size_t k = 0; k < n; k++) copy[k] = (float)(od_tensor_at(t, k) + shifted.by);
        if (shifted.nan && n) copy[0] = NAN;
        memcpy(tensors, out->tensor, out->n_tensor * sizeof *tensors);
        tensors[i].data = copy;
        out->tensor = tensors;
        break;
    }
    return s;
}

const od_engine_api *shifted_engine(void) {
    static od_engine_api api;
    api = *od_twin_engine();
    api.outputs = outputs;
    return &api;
}
