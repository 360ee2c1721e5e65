#include "oracles/digest.h"

#include <string.h>
#include <xxhash.h>

/* What a tensor is, as numbers: the digest so far, its name, type, shape and bits. */
static uint64_t append(uint64_t digest, const od_trace_tensor *tensor) {
    uint64_t words[5 + OD_RANK_MAX] = {digest, XXH64(tensor->view.name, strlen(tensor->view.name), 0),
                                       (uint64_t)tensor->view.dtype, tensor->view.rank, tensor->hash};
    for (size_t i = 0; i < tensor->view.rank; i++) words[5 + i] = tensor->view.shape[i];
    return XXH64(words, sizeof words, 0);
}

void od_digests_fill(od_digests *out, const od_trace *trace) {
    *out = (od_digests){0};
    for (size_t c = 0; c < trace->n_call; c++) {
        const od_trace_call *call = &trace->call[c];
        for (size_t i = call->first; i < call->first + call->n; i++) {
            const od_trace_tensor *tensor = &trace->tensor[i];
            if (tensor->cls == OD_TENSORS) continue;
            od_digest *d = &out->of[tensor->cls][call->at.step];
            d->n++;
            d->hash = append(d->hash, tensor);
        }
    }
}
