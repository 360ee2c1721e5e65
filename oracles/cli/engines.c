/* The engines that this program knows, and the pair that a run takes. */
#include <string.h>

#include "gpu/gpu.h"
#include "oracles/cli/cli.h"
#include "oracles/worker.h"
#include "ref/ref.h"

const od_engine_api *od_cli_engine(size_t i) {
    switch (i) {
    case 0: return od_ref_engine();
    case 1: return od_ref64_engine();
    case 2: return od_gpu_engine();
    case 3: return od_twin_engine();
    default: return NULL;
    }
}

enum od_status od_cli_find_engine(const od_engine_api **out, const char *name, od_error *e) {
    const od_engine_api *api;
    for (size_t i = 0; (api = od_cli_engine(i)); i++) {
        if (strcmp(api->name, name) != 0) continue;
        *out = api;
        return OD_OK;
    }
    return od_fail(e, OD_BAD_INPUT, "no engine is called '%s' (there are ref, ref64, gpu, twin)", name);
}

static enum od_status ready(const od_engine_api *api, od_error *e) {
    return api->probe ? api->probe(e) : OD_OK; /* its message names the engine */
}

enum od_status od_cli_pair(const od_engine_api **ref, const od_engine_api **fast, char *why, size_t size,
                           const od_args *args, od_error *e) {
    enum od_status s = od_cli_find_engine(ref, args->ref ? args->ref : "ref", e);
    if (s == OD_OK && args->fast) s = od_cli_find_engine(fast, args->fast, e);
    if (s != OD_OK) return s;
    if (args->fast) {
        snprintf(why, size, "as asked for");
    } else {
        od_error missing = {0};
        *fast = od_gpu_engine();
        if ((*fast)->probe(&missing) == OD_OK) {
            snprintf(why, size, "a CUDA device was found");
        } else {
            *fast = od_twin_engine();
            snprintf(why, size, "%.300s", missing.text);
        }
    }
    s = ready(*ref, e);
    if (s == OD_OK) s = ready(*fast, e);
    if (s == OD_OK && args->isolate) s = od_cli_worker(ref, (*ref)->name, false, args->timeout, e);
    if (s == OD_OK && args->isolate) s = od_cli_worker(fast, (*fast)->name, false, args->timeout, e);
    return s;
}

enum od_status od_cli_worker(const od_engine_api **out, const char *name, bool fresh, double timeout, od_error *e) {
    const char *const argv[] = {"/proc/self/exe", "worker", "--engine", name, NULL};
    const od_worker_terms terms = {.name = name, .argv = argv, .timeout = timeout, .fresh = fresh};
    const enum od_status s = od_worker_engine(out, &terms, e);
    return s == OD_OK ? s : od_error_prefix(e, "engine %.100s in a worker", name);
}

enum od_status od_cli_device(char *device, size_t device_size, char *math, size_t math_size, const od_engine_api *api,
                             od_error *e) {
    od_config config;
    od_model *model = NULL;
    od_engine *engine = NULL;
    od_options options = od_options_default();
    enum od_status s = od_config_preset(&config, "seed-tiny", e);
    if (s == OD_OK) s = od_model_create(&model, &config, e);
    if (s == OD_OK) s = api->create(&engine, model, &options, e);
    if (s == OD_OK) {
        od_stats stats = {0};
        api->stats(engine, &stats);
        snprintf(device, device_size, "%s", stats.device ? stats.device : "");
        snprintf(math, math_size, "%s", stats.math_mode ? stats.math_mode : "");
        api->destroy(engine);
    }
    od_model_destroy(model);
    return s;
}
