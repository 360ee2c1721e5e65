/* Checks of raw steps. Not here: lengths against a session's limit. */
#include "ref/window.h"

#include <assert.h>
#include <math.h>

size_t od_ref_window_padding(size_t n_step, size_t patch) {
    return (patch - n_step % patch) % patch;
}

enum od_status od_ref_window_check(const od_window *window, size_t batch, size_t variates, size_t patch,
                                   const char *call, od_error *e) {
    size_t n = window->n_step;
    if (n == 0) return od_fail(e, OD_BAD_INPUT, "%s: the window has no step, at least 1 is needed", call);
    if (window->stride < n)
        return od_fail(e, OD_BAD_INPUT, "%s: rows of %zu steps lie %zu apart, at least %zu is needed", call, n,
                       window->stride, n);
    assert(window->value && window->mask && window->id);
    size_t padding = od_ref_window_padding(n, patch);
    for (size_t row = 0; row < batch * variates; row++) {
        const float *value = window->value + row * window->stride;
        const uint8_t *mask = window->mask + row * window->stride;
        const int32_t *id = window->id + row * window->stride;
        for (size_t t = 0; t < n; t++) {
            if (mask[t] && !isfinite(value[t]))
                return od_fail(e, OD_BAD_INPUT,
                               "%s: batch %zu, variate %zu, step %zu: value %g where the mask is 1, must be finite",
                               call, row / variates, row % variates, t, (double)value[t]);
            if (t > 0 && (t + padding) % patch != 0 && id[t] != id[t - 1])
                return od_fail(e, OD_BAD_INPUT,
                               "%s: batch %zu, variate %zu, step %zu: id %d after %d inside a patch of %zu steps, "
                               "all ids of a patch must be equal",
                               call, row / variates, row % variates, t, (int)id[t], (int)id[t - 1], patch);
        }
    }
    return OD_OK;
}
