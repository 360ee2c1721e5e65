/* The engines that this program knows, and the pair that a run takes. */
#include <string.h>

#include "gpu/gpu.h"
#include "oracles/cli/cli.h"
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
        if (out) *out = api;
        return OD_OK;
    }
    return od_fail(e, OD_BAD_INPUT,
                   "no engine is called '%s' (there are ref, ref64, gpu, twin, ./FILE.so, exec:COMMAND)", name);
}

static enum od_status ready(const od_engine_api *api, od_error *e) {
    return api->probe ? api->probe(e) : OD_OK; /* its message names the engine */
}

/* The engine of that name, ready; with `isolate`, and from outside always, in a worker. */
static enum od_status find_ready(const od_engine_api **out, const char *name, const od_args *args, od_error *e) {
    const bool foreign = od_cli_is_foreign(name);
    enum od_status s = foreign ? OD_OK : od_cli_find_engine(out, name, e);
    if (s == OD_OK && !foreign) s = ready(*out, e);
    if (s == OD_OK && (foreign || args->isolate)) s = od_cli_worker(out, name, false, args->timeout, e);
    return s == OD_OK && foreign ? ready(*out, e) : s;
}

enum od_status od_cli_pair(const od_engine_api **ref, const od_engine_api **fast, char *why, size_t size,
                           const od_args *args, od_error *e) {
    const char *name = args->fast;
    enum od_status s = find_ready(ref, args->ref ? args->ref : "ref", args, e);
    if (s != OD_OK) return s;
    if (name) {
        snprintf(why, size, "as asked for");
    } else {
        od_error missing = {0};
        name = ready(od_gpu_engine(), &missing) == OD_OK ? "gpu" : "twin";
        snprintf(why, size, "%.300s", missing.status == OD_OK ? "a CUDA device was found" : missing.text);
    }
    return find_ready(fast, name, args, e);
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
