/* Engines from outside (docs/worker.md): a shared object, which a worker loads, or a command that is a worker itself.
 */
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "oracles/cli/cli.h"
#include "oracles/worker.h"

static const char exec_word[] = "exec:";

static bool is_shared_object(const char *name) {
    const size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".so") == 0;
}

const char *od_cli_command(const char *name) {
    return strncmp(name, exec_word, sizeof exec_word - 1) == 0 ? name + sizeof exec_word - 1 : NULL;
}

bool od_cli_is_foreign(const char *name) {
    return is_shared_object(name) || od_cli_command(name);
}

enum od_status od_cli_load_engine(const od_engine_api **out, const char *path, od_error *e) {
    char place[OD_CASE_PATH];
    if (access(path, R_OK) != 0) return od_fail(e, OD_BAD_INPUT, "%.300s: there is no such file to be read", path);
    snprintf(place, sizeof place, "%s%s", strchr(path, '/') ? "" : "./", path); /* dlopen looks elsewhere otherwise */
    void *object = dlopen(place, RTLD_NOW | RTLD_LOCAL);                        /* for as long as the worker lives */
    if (!object) return od_fail(e, OD_BAD_INPUT, "cannot be loaded: %.400s", dlerror());
    const od_engine_api *(*entry)(void);
    void *symbol = dlsym(object, OD_ENGINE_ENTRY);
    memcpy(&entry, &symbol, sizeof entry); /* ISO C has no cast from an object's address to a function's */
    if (!symbol)
        return od_fail(e, OD_BAD_INPUT, "%.300s exports no " OD_ENGINE_ENTRY " (model/engine.h says what it must be)",
                       path);
    const od_engine_api *api = entry();
    if (!api) return od_fail(e, OD_BAD_INPUT, "%.300s: od_engine_entry gives NULL", path);
    if (api->abi != OD_ENGINE_ABI)
        return od_fail(e, OD_BAD_INPUT, "%.300s is built for engine ABI %u; this program has %d", path, api->abi,
                       OD_ENGINE_ABI);
    if (!api->name || !api->create || !api->destroy || !api->session_open || !api->session_close || !api->prefill ||
        !api->decode || !api->reset || !api->outputs || !api->stats)
        return od_fail(e, OD_BAD_INPUT, "%.300s: its engine lacks a name, or a function that is not optional", path);
    *out = api;
    return OD_OK;
}

enum od_status od_cli_worker(const od_engine_api **out, const char *name, bool fresh, double timeout, od_error *e) {
    const char *const argv[] = {"/proc/self/exe", "worker", "--engine", name, NULL};
    const char *command = od_cli_command(name);
    const bool foreign = od_cli_is_foreign(name);
    const od_worker_terms terms = {
        .name = foreign ? NULL : name, .word = name, .argv = argv, .timeout = timeout, .fresh = fresh};
    if (command && !command[strspn(command, " \t\n")]) return od_fail(e, OD_BAD_INPUT, "exec: names no command");
    enum od_status s = od_worker_engine(out, &terms, e);
    if (s == OD_OK && foreign && od_cli_find_engine(NULL, (*out)->name, NULL) == OD_OK)
        s = od_fail(e, OD_BAD_INPUT, "it calls itself '%s', which is an engine of this program", (*out)->name);
    return s == OD_OK ? s : od_error_prefix(e, "engine %.100s in a worker", name);
}
