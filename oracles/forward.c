/* The golden vectors' procedure. Not here: reading and writing files, comparing. */
#include "oracles/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One half of the procedure: an engine with or without a cache, and where its answers go. */
struct half {
    const od_engine_api *api;
    const od_model *model;
    const od_forward_input *input;
    const char *label; /* "uncached" */
    od_session *session;
    size_t n_step; /* decode steps */
    od_forward_result *result;
};

/* A new tensor in the result with room for its data, which is returned in *data. */
static enum od_status result_add(od_forward_result *result, void **data, const char *name, enum od_dtype dtype,
                                 size_t rank, const size_t *shape, od_error *e) {
    od_tensor t;
    size_t count, bytes;
    od_tensor_set(&t, name, dtype, rank, shape, NULL);
    enum od_status status = od_tensor_count(&count, &t, e);
    if (status != OD_OK) return status;
    bytes = count * od_dtype_size(dtype);
    od_tensor *grown = realloc(result->tensor, (result->n_tensor + 1) * sizeof *grown);
    if (grown) result->tensor = grown;
    *data = grown ? malloc(bytes ? bytes : 1) : NULL;
    if (!*data) return od_fail(e, OD_NO_MEMORY, "%s: cannot allocate %zu bytes", name, bytes);
    t.data = *data;
    result->tensor[result->n_tensor++] = t;
    return OD_OK;
}

/* Copies `t` under "prefix.name": whole where tail is 0, else the last `tail` entries of axis 2. */
static enum od_status result_copy(od_forward_result *result, const char *prefix, const od_tensor *t, size_t tail,
                                  od_error *e) {
    char name[OD_NAME_MAX];
    size_t shape[OD_RANK_MAX], word = od_dtype_size(t->dtype);
    void *data;
    if (t->rank < 3) return od_fail(e, OD_BAD_INPUT, "%s has %zu axes, at least 3 are expected", t->name, t->rank);
    memcpy(shape, t->shape, sizeof shape);
    if (tail) {
        if (tail > shape[2])
            return od_fail(e, OD_BAD_INPUT, "%s has %zu steps, at least %zu are expected", t->name, shape[2], tail);
        shape[2] = tail;
    }
    snprintf(name, sizeof name, "%s.%.64s", prefix, t->name);
    enum od_status status = result_add(result, &data, name, t->dtype, t->rank, shape, e);
    if (status != OD_OK) return status;
    for (size_t i = 3; i < t->rank; i++) word *= shape[i];
    size_t whole = t->shape[2] * word, taken = shape[2] * word;
    for (size_t r = 0; r < shape[0] * shape[1]; r++)
        memcpy((char *)data + r * taken, (const char *)t->data + (r + 1) * whole - taken, taken);
    return OD_OK;
}

static bool is_parameter(const char *name) {
    return !strcmp(name, "df") || !strcmp(name, "loc") || !strcmp(name, "scale") || !strcmp(name, "probs");
}

static const od_tensor *find_output(const od_outputs *out, const char *name) {
    for (size_t i = 0; i < out->n_tensor; i++)
        if (!strcmp(out->tensor[i].name, name)) return &out->tensor[i];
    return NULL;
}

/* The last call's answers: all but the mean as "prefill.…" where `prefill`, and the last patch's parameters as
 * "<label>.<step>.…". */
static enum od_status collect(struct half *h, size_t step, bool prefill, od_error *e) {
    od_outputs out = {0};
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.%zu", h->label, step);
    enum od_status status = h->api->outputs(h->session, &out, e);
    for (size_t i = 0; i < out.n_tensor && status == OD_OK && prefill; i++)
        if (strcmp(out.tensor[i].name, "mean") != 0) status = result_copy(h->result, "prefill", &out.tensor[i], 0, e);
    for (size_t i = 0; i < out.n_tensor && status == OD_OK; i++)
        if (is_parameter(out.tensor[i].name))
            status = result_copy(h->result, prefix, &out.tensor[i], h->model->config.patch, e);
    return status;
}

static od_window window_at(const od_forward_input *in, size_t first, size_t n_step) {
    return (od_window){.n_step = n_step,
                       .stride = in->n_step,
                       .value = in->value + first,
                       .mask = in->mask + first,
                       .id = in->id + first};
}

static enum od_status run_prefill(struct half *h, od_error *e) {
    const od_window context = window_at(h->input, 0, h->input->n_context);
    return h->api->prefill(h->session, &context, e);
}

/* The context, then the given continuation patch by patch. */
static enum od_status run_teacher(struct half *h, bool with_prefill, od_error *e) {
    const size_t P = h->model->config.patch;
    enum od_status status = run_prefill(h, e);
    if (status == OD_OK) status = collect(h, 0, with_prefill, e);
    for (size_t s = 1; s <= h->n_step && status == OD_OK; s++) {
        const od_window next = window_at(h->input, h->input->n_context + (s - 1) * P, P);
        status = h->api->decode(h->session, &next, e);
        if (status == OD_OK) status = collect(h, s, false, e);
        if (status != OD_OK) od_error_prefix(e, "teacher-forced patch %zu", s);
    }
    return status;
}

/* Step s of a forecast [B, V, steps·P]: the last call's mean. */
static enum od_status take_mean(struct half *h, void **forecast, size_t s, od_error *e) {
    const size_t P = h->model->config.patch, B = h->input->batch, V = h->input->variates;
    const size_t shape[] = {B, V, h->n_step * P};
    od_outputs out = {0};
    enum od_status status = h->api->outputs(h->session, &out, e);
    if (status != OD_OK) return status;
    const od_tensor *mean = find_output(&out, "mean");
    if (!mean || mean->rank != 3 || od_tensor_size(mean) != B * V * P)
        return od_fail(e, OD_BAD_INPUT, "%s: its outputs have no `mean` of [%zu, %zu, %zu]", h->api->name, B, V, P);
    if (!*forecast) {
        char name[64];
        snprintf(name, sizeof name, "forecast_%s", h->label);
        status = result_add(h->result, forecast, name, mean->dtype, 3, shape, e);
        if (status != OD_OK) return status;
    }
    const size_t bytes = P * od_dtype_size(mean->dtype);
    for (size_t r = 0; r < B * V && h->n_step; r++)
        memcpy((char *)*forecast + (r * h->n_step + s) * bytes, (const char *)mean->data + r * bytes, bytes);
    return OD_OK;
}

/* The context, then its own means. */
static enum od_status run_forecast(struct half *h, od_error *e) {
    void *forecast = NULL;
    enum od_status status = h->api->reset(h->session, e);
    if (status == OD_OK) status = run_prefill(h, e);
    if (status == OD_OK) status = take_mean(h, &forecast, 0, e);
    for (size_t s = 1; s < h->n_step && status == OD_OK; s++) {
        status = h->api->decode(h->session, NULL, e);
        if (status == OD_OK) status = take_mean(h, &forecast, s, e);
        if (status != OD_OK) od_error_prefix(e, "forecast patch %zu", s);
    }
    return status;
}

static enum od_status run_half(struct half *h, const od_options *options, od_error *e) {
    const size_t P = h->model->config.patch, T = h->input->n_context;
    const size_t limit = (T + P - 1) / P * P + h->n_step * P;
    od_engine *engine;
    enum od_status status = h->api->create(&engine, h->model, options, e);
    if (status != OD_OK) return status;
    status = h->api->session_open(&h->session, engine, h->input->batch, h->input->variates, limit, e);
    if (status == OD_OK) {
        status = run_teacher(h, options->hidden, e);
        if (status == OD_OK) status = run_forecast(h, e);
        if (status == OD_OK) h->api->stats(engine, &h->result->stats);
        h->api->session_close(h->session);
    }
    h->api->destroy(engine);
    if (status != OD_OK) od_error_prefix(e, "%s, %s", h->api->name, h->label);
    return status;
}

static enum od_status check_input(const od_forward_input *in, od_error *e) {
    if (in->n_step == 0) return od_fail(e, OD_BAD_INPUT, "the series has no step; 1 or more are needed");
    if (in->n_context == 0 || in->n_context > in->n_step)
        return od_fail(e, OD_BAD_INPUT, "a context of %zu steps out of %zu: 1 to %zu is needed", in->n_context,
                       in->n_step, in->n_step);
    for (size_t i = 0; i < in->batch * in->variates * in->n_step; i++)
        if (in->mask[i] > 1)
            return od_fail(e, OD_BAD_INPUT, "the padding mask holds %u at [%zu]; 0 or 1 would be right", in->mask[i],
                           i);
    return OD_OK;
}

enum od_status od_forward_run(od_forward_result *out, const od_engine_api *api, const od_model *model,
                              const od_options *options, const od_forward_input *input, od_error *e) {
    *out = (od_forward_result){0};
    enum od_status status = check_input(input, e);
    if (status != OD_OK) return status;
    struct half half = {.api = api,
                        .model = model,
                        .input = input,
                        .n_step = (input->n_step - input->n_context) / model->config.patch,
                        .result = out};
    od_options switches = *options;
    switches.hidden = true;
    switches.cache = OD_CACHE_OFF;
    half.label = "uncached";
    status = run_half(&half, &switches, e);
    if (status == OD_OK) {
        switches.hidden = false;
        switches.cache = options->cache == OD_CACHE_OFF ? OD_CACHE_FIXED : options->cache;
        half.label = "cached";
        status = run_half(&half, &switches, e);
    }
    if (status != OD_OK) od_forward_free(out);
    return status;
}

void od_forward_free(od_forward_result *result) {
    for (size_t i = 0; i < result->n_tensor; i++) free((void *)(uintptr_t)result->tensor[i].data);
    free(result->tensor);
    *result = (od_forward_result){0};
}

const od_tensor *od_forward_find(const od_forward_result *result, const char *name) {
    for (size_t i = 0; i < result->n_tensor; i++)
        if (!strcmp(result->tensor[i].name, name)) return &result->tensor[i];
    return NULL;
}
