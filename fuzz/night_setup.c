/* What a night needs before it begins: programs, engines, devices, workers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/night.h"
#include "model/file.h"
#include "oracles/finding.h"

static const char *const targets[OD_LANES] = {
    [OD_LANE_FORWARD] = "fuzz_forward", [OD_LANE_SESSION] = "fuzz_session", [OD_LANE_MODES] = "fuzz_modes"};

/* ---- programs ---------------------------------------------------------------------------------------------------- */

/* A program's absolute path; links stay, since some programs look at the name by which they are called. */
static bool is_program(char *out, const char *folder, const char *prefix, const char *name) {
    char *full = realpath(folder, NULL);
    struct stat st;
    bool found = full && od_night_path(out, OD_NIGHT_PATH, NULL, "%s/%s%s", full, prefix, name) == OD_OK &&
                 stat(out, &st) == 0 && S_ISREG(st.st_mode) && access(out, X_OK) == 0;
    free(full);
    if (!found) out[0] = '\0';
    return found;
}

/* The repository: this program is TOP/build/PRESET/bin/nightly, wherever it was called from. */
static void find_top(char *top, size_t size) {
    ssize_t length = readlink("/proc/self/exe", top, size - 1);
    top[length > 0 ? length : 0] = '\0';
    for (int i = 0; i < 4; i++) {
        char *slash = strrchr(top, '/');
        if (slash) *slash = '\0';
    }
}

static void find(char *out, const od_night *n, const char *name, const char *const *prefixes,
                 const char *const *folders) {
    char top[OD_NIGHT_PATH], folder[OD_NIGHT_PATH];
    out[0] = '\0';
    if (!n->o.bin[0]) {
        find_top(top, sizeof top);
        for (; *folders; folders++)
            if (od_night_path(folder, sizeof folder, NULL, "%s/%s", top, *folders) == OD_OK &&
                is_program(out, folder, "", name))
                return;
        return;
    }
    for (; *prefixes; prefixes++)
        if (is_program(out, n->o.bin, *prefixes, name)) return;
}

enum od_status od_night_programs(od_night *n, od_error *e) {
    static const char *const release[] = {"", "release-", NULL}, *const faulty[] = {"faults-", NULL},
                             *const fast[] = {"fuzzrel-", "", "fuzz-", NULL},
                             *const checked[] = {"fuzz-", "", "fuzzrel-", NULL},
                             *const release_at[] = {"build/release/bin", NULL},
                             *const faulty_at[] = {"build/faults/bin", NULL},
                             *const fast_at[] = {"build/fuzz-release/bin", "build/fuzz/bin", NULL},
                             *const checked_at[] = {"build/fuzz/bin", "build/fuzz-release/bin", NULL};
    find(n->oracle_diff, n, "oracle-diff", release, release_at);
    find(n->faults, n, "oracle-diff", faulty, faulty_at);
    for (unsigned i = 0; i < OD_LANES; i++)
        if (targets[i])
            find(n->target[i], n, targets[i], n->o.sanitized ? checked : fast, n->o.sanitized ? checked_at : fast_at);
    if (n->oracle_diff[0]) return OD_OK;
    return od_fail(e, OD_NO_DEVICE, "no program oracle-diff (or release-oracle-diff) in %s",
                   n->o.bin[0] ? n->o.bin : "build/release/bin");
}

/* ---- engines ----------------------------------------------------------------------------------------------------- */

/* A container may have /dev/nvidia3 alone: CUDA numbers what is there from 0. */
static unsigned count_devices(void) {
    enum { MOST = 64 };
    unsigned n = 0;
    char path[32];
    for (unsigned i = 0; i < MOST; i++) {
        snprintf(path, sizeof path, "/dev/nvidia%u", i);
        n += access(path, F_OK) == 0;
    }
    return n;
}

/* "0,1,…" into n->o.devices, where nobody named any: those that this process may see. */
static void default_devices(od_night *n) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    unsigned count = count_devices();
    if (n->o.devices[0]) return;
    if (strcmp(n->o.fast, "gpu") != 0 && n->o.fast[0]) {
        strcpy(n->o.devices, "none");
    } else if (visible && count > 0) {
        snprintf(n->o.devices, sizeof n->o.devices, "%s", visible[0] ? visible : "none");
    } else if (count == 0) {
        strcpy(n->o.devices, "none");
    } else {
        for (unsigned i = 0, at = 0; i < count; i++)
            at += (unsigned)snprintf(n->o.devices + at, sizeof n->o.devices - at, "%s%u", i ? "," : "", i);
    }
}

static enum od_status read_probe(od_night *n, const char *path, od_error *e) {
    char *text = NULL;
    size_t size = 0;
    json_error_t wrong;
    if (od_file_read(&text, &size, path, 1 << 22, e) != OD_OK) return e->status;
    json_t *line = json_loadb(text, strcspn(text, "\n"), 0, &wrong), *engines = json_object_get(line, "engines");
    snprintf(n->pair, sizeof n->pair, "%.63s", od_night_text(line, "pair"));
    snprintf(n->ref_device, sizeof n->ref_device, "%.159s", od_night_text(json_object_get(engines, "ref"), "device"));
    snprintf(n->fast_device, sizeof n->fast_device, "%.159s",
             od_night_text(json_object_get(engines, "fast"), "device"));
    json_decref(line);
    free(text);
    return n->pair[0] ? OD_OK : od_fail(e, OD_BAD_INPUT, "%.300s: is no result of a run", path);
}

/* The last line of a log, for a message. */
static void last_line(char *out, size_t size, const char *path) {
    char *text = NULL;
    size_t length = 0;
    snprintf(out, size, "it says nothing");
    if (od_file_read(&text, &length, path, 1 << 20, NULL) != OD_OK) return;
    while (length > 0 && text[length - 1] == '\n') text[--length] = '\0';
    char *line = strrchr(text, '\n');
    if (length > 0) snprintf(out, size, "%.200s", line ? line + 1 : text);
    free(text);
}

enum od_status od_night_probe(od_night *n, od_error *e) {
    char json[OD_NIGHT_PATH], log[OD_NIGHT_PATH], out[OD_NIGHT_PATH], said[256];
    default_devices(n);
    if (!n->o.fast[0]) strcpy(n->o.fast, strcmp(n->o.devices, "none") == 0 ? "twin" : "gpu");
    enum od_status s = od_night_path(json, sizeof json, e, "%s/triage/probe.jsonl", n->o.out);
    if (s == OD_OK) s = od_night_path(log, sizeof log, e, "%s/triage/probe.log", n->o.out);
    if (s == OD_OK) s = od_night_path(out, sizeof out, e, "%s/triage", n->o.out);
    if (s != OD_OK) return s;
    const char *const argv[] = {n->oracle_diff, "fuzz",   "--cases", "1",      "--seed", "1",
                                "--profile",    "rate",   "--quiet", "--json", json,     "--ref",
                                n->o.ref,       "--fast", n->o.fast, "--out",  out,      NULL};
    static od_night_env env;
    env.n = 0;
    od_night_env_device(&env, n, NULL);
    od_night_process p;
    unlink(log);
    s = od_night_process_start(&p, argv, env.list, log, e);
    if (s != OD_OK) return s;
    while (!od_night_process_ended(&p)) {
        if (od_seconds() - p.begun > n->o.start || *n->stop) od_night_process_kill(&p);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    int code = WIFEXITED(p.status) ? WEXITSTATUS(p.status) : -1;
    if (code == 0 || code == 1) return read_probe(n, json, e); /* a finding is the night's business */
    if (*n->stop) return od_fail(e, OD_NO_DEVICE, "stopped before anything was run");
    last_line(said, sizeof said, log);
    if (p.killed > 0) snprintf(said, sizeof said, "it did not end within %g s", n->o.start);
    return od_fail(e, OD_NO_DEVICE, "one case on %s against %s does not run: %s", n->o.ref, n->o.fast, said);
}

/* ---- workers ----------------------------------------------------------------------------------------------------- */

static enum od_status make_folders(const od_night *n, od_night_slot *s, od_error *e) {
    enum od_status status = od_night_path(s->home, sizeof s->home, e, "%s/workers/%s", n->o.out, s->name);
    if (status == OD_OK)
        status = od_night_path(s->canary_home, sizeof s->canary_home, e, "%s/canary/%s", n->o.out, s->name);
    if (status == OD_OK) status = od_night_slot_folders(s->home, e);
    return status == OD_OK ? od_night_slot_folders(s->canary_home, e) : status;
}

enum od_status od_night_workers(od_night *n, od_error *e) {
    char list[OD_NIGHT_PATH], *rest = NULL;
    const char *device[OD_NIGHT_WORKERS];
    unsigned n_device = 0;
    snprintf(list, sizeof list, "%s", n->o.devices);
    for (char *word = strtok_r(list, ",", &rest); word && n_device < OD_NIGHT_WORKERS;
         word = strtok_r(NULL, ",", &rest))
        if (strcmp(word, "none") != 0) device[n_device++] = word;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned per = n->o.per_device ? n->o.per_device : 1;
    n->n_slot = n->o.workers ? n->o.workers : n_device ? n_device * per : cores > 0 ? (unsigned)cores : 1;
    if (n->n_slot > OD_NIGHT_WORKERS)
        return od_fail(e, OD_BAD_INPUT, "%u workers are too many: %d at most", n->n_slot, OD_NIGHT_WORKERS);
    n->slot = calloc(n->n_slot, sizeof *n->slot);
    if (!n->slot) return od_fail(e, OD_NO_MEMORY, "no memory for %u workers", n->n_slot);
    enum od_status s = OD_OK;
    for (unsigned i = 0; s == OD_OK && i < n->n_slot; i++) {
        n->slot[i].number = n->slot[i].turn = i;
        snprintf(n->slot[i].name, sizeof n->slot[i].name, "%u", i);
        snprintf(n->slot[i].device, sizeof n->slot[i].device, "%.63s", n_device ? device[i % n_device] : "");
        s = make_folders(n, &n->slot[i], e);
    }
    return s;
}

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

static void put_program(json_t *programs, const char *name, const char *path) {
    uint64_t size = 0, hash = 0;
    char text[20];
    if (!path[0] || od_file_digest(&size, &hash, path, NULL) != OD_OK) return;
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    json_object_set_new(programs, name, json_string(text));
}

json_t *od_night_plan(const od_night *n) {
    const od_night_options *o = &n->o;
    json_t *workers = json_array(), *lanes = json_array(), *programs = json_object(), *least = json_object();
    for (unsigned i = 0; i < n->n_slot; i++)
        json_array_append_new(workers, json_pack("{s:s, s:s}", "worker", n->slot[i].name, "device", n->slot[i].device));
    put_program(programs, "oracle-diff", n->oracle_diff);
    if (strcmp(o->canary, "off") != 0) put_program(programs, "canary", n->faults);
    for (unsigned i = 0; i < OD_LANES; i++) {
        if (!(o->lanes >> i & 1)) continue;
        json_array_append_new(lanes, json_string(od_night_lane_name(i)));
        if (targets[i]) put_program(programs, targets[i], n->target[i]);
    }
    for (unsigned i = 0; i < OD_LEASTS; i++) {
        uint64_t by_default = od_night_least_default(i, o->seconds, n->n_slot, o->fast, o->lanes);
        json_object_set_new(least, od_night_least_name(i),
                            json_integer(o->least[i] >= 0 ? (json_int_t)o->least[i] : (json_int_t)by_default));
    }
    return json_pack("{s:I, s:f, s:f, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "seed", (json_int_t)o->seed,
                     "seconds", o->seconds, "slice", o->slice, "pair", n->pair, "ref", n->ref_device, "fast",
                     n->fast_device, "canary", o->canary, "known", o->known, "lanes", lanes, "workers", workers,
                     "programs", programs, "at_least", least);
}
