/* forward: what the official code was asked for when the golden vectors were made, by any engine. Reads the inputs of
 * IN and nothing else of it, so that answers can only be computed. */
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"
#include "oracles/cli/cli.h"
#include "oracles/forward.h"

/* An input tensor of the type and the shape of `like` (NULL: any of rank 3). */
static enum od_status input(const od_tensor **out, const od_safetensors *in, const char *name, enum od_dtype dtype,
                            const od_tensor *like, const char *path, od_error *e) {
    const od_tensor *t = od_safetensors_find(in, name);
    char shape[128];
    if (!t) return od_fail(e, OD_BAD_INPUT, "%.200s: has no tensor %s", path, name);
    bool same = t->rank == 3 && (!like || memcmp(t->shape, like->shape, sizeof t->shape[0] * 3) == 0);
    if (t->dtype != dtype || !same)
        return od_fail(e, OD_BAD_INPUT, "%.200s: %s is %s %s; %s of shape [B, V, N] would be right", path, name,
                       od_dtype_name(t->dtype), od_shape_text(shape, sizeof shape, t->rank, t->shape),
                       od_dtype_name(dtype));
    *out = t;
    return OD_OK;
}

/* Data of a safetensors file may stand at any byte: an aligned copy. */
static void *aligned(const od_tensor *t, od_error *e) {
    size_t bytes = od_tensor_bytes(t);
    void *p = malloc(bytes ? bytes : 1);
    if (p && bytes) memcpy(p, t->data, bytes);
    if (!p) od_fail(e, OD_NO_MEMORY, "no %zu bytes for %s", bytes, t->name);
    return p;
}

static enum od_status compute(od_forward_result *result, const od_engine_api *api, const od_model *model,
                              const od_options *options, const od_args *a, od_error *e) {
    od_safetensors in = {0};
    const od_tensor *series = NULL, *mask = NULL, *id = NULL;
    void *value = NULL, *masks = NULL, *ids = NULL;
    enum od_status s = od_safetensors_open(&in, a->case_path, e);
    if (s == OD_OK) s = input(&series, &in, "in.series", OD_F32, NULL, a->case_path, e);
    if (s == OD_OK) s = input(&mask, &in, "in.padding_mask", OD_U8, series, a->case_path, e);
    if (s == OD_OK) s = input(&id, &in, "in.id_mask", OD_I32, series, a->case_path, e);
    if (s == OD_OK) {
        value = aligned(series, e);
        masks = aligned(mask, e);
        ids = aligned(id, e);
        if (!value || !masks || !ids) s = OD_NO_MEMORY;
    }
    if (s == OD_OK) {
        od_forward_input input_ = {.batch = series->shape[0],
                                   .variates = series->shape[1],
                                   .n_step = series->shape[2],
                                   .n_context = a->context,
                                   .value = value,
                                   .mask = masks,
                                   .id = ids};
        s = od_forward_run(result, api, model, options, &input_, e);
    }
    free(value);
    free(masks);
    free(ids);
    od_safetensors_close(&in);
    return s;
}

static enum od_status needed(const od_args *a, od_error *e) {
    const char *missing = !a->engine        ? "--engine E"
                          : !a->model       ? "--model DIR"
                          : !a->case_path   ? "--case IN.safetensors"
                          : !a->has_context ? "--context T"
                          : !a->out         ? "--out OUT.safetensors"
                                            : NULL;
    if (missing) return od_fail(e, OD_BAD_INPUT, "forward: %s is missing", missing);
    if (a->n_rest > 0) return od_fail(e, OD_BAD_INPUT, "forward: '%.200s' is one word too many", a->rest[0]);
    if (a->xpos && strcmp(a->xpos, "call") != 0 && strcmp(a->xpos, "origin") != 0)
        return od_fail(e, OD_BAD_INPUT, "--xpos %.60s: call or origin would be right", a->xpos);
    return OD_OK;
}

static int run(const od_args *a) {
    od_error e = {0};
    char warning[256] = "";
    const od_engine_api *api = NULL;
    od_model *model = NULL;
    od_forward_result result = {0};
    od_options options = od_options_default();
    enum od_xpos_center xpos = a->xpos && strcmp(a->xpos, "origin") == 0 ? OD_XPOS_ORIGIN : OD_XPOS_CALL;
    enum od_status s = needed(a, &e);
    for (size_t i = 0; s == OD_OK && i < a->n_set; i++) s = od_options_set(&options, a->set[i], &e);
    if (s == OD_OK && od_cli_is_foreign(a->engine))
        s = od_cli_worker(&api, a->engine, false, a->timeout, &e);
    else if (s == OD_OK)
        s = od_cli_find_engine(&api, a->engine, &e);
    if (s == OD_OK && api->probe) s = api->probe(&e);
    if (s == OD_OK) s = od_cli_writable(a->out, false, &e);
    if (s == OD_OK) s = od_model_load(&model, a->model, xpos, warning, sizeof warning, &e);
    if (s == OD_OK) s = compute(&result, api, model, &options, a, &e);
    if (s == OD_OK) s = od_safetensors_write(a->out, result.tensor, result.n_tensor, &e);
    if (s == OD_OK) {
        if (warning[0]) fprintf(stderr, "oracle-diff: warning: %s\n", warning);
        printf("%s: %zu tensors by %s (%s, %s)\n", a->out, result.n_tensor, api->name,
               result.stats.device ? result.stats.device : "?", result.stats.math_mode ? result.stats.math_mode : "?");
    }
    od_forward_free(&result);
    od_model_destroy(model);
    return s == OD_OK ? OD_EXIT_PASS : od_complain(&e);
}

static const struct argp_option options[] = {
    {"engine", OD_KEY_ENGINE, "E", 0, "ref, ref64, gpu or twin; also ./FILE.so or exec:COMMAND", 0},
    {"model", OD_KEY_MODEL, "DIR", 0, "Folder with config.json and model.safetensors", 0},
    {"case", OD_KEY_CASE, "FILE", 0, "in.series, in.padding_mask, in.id_mask of this file are read", 0},
    {"context", OD_KEY_CONTEXT, "T", 0, "Steps of context; (N - T)/P patches follow", 0},
    {"out", OD_KEY_OUT, "FILE", 0, "Where every tensor of tests/vectors/make_vectors.py goes", 0},
    {"xpos", OD_KEY_XPOS, "CENTER", 0, "call (default, the official code) or origin", 0},
    {"set", OD_KEY_SET, "NAME=VALUE", 0, "A switch; `list` shows them. Repeatable", 0},
    {0}};

const od_command od_cmd_forward = {
    .name = "forward", .usage = "", .about = "Compute the tensors of a golden vector", .options = options, .run = run};
