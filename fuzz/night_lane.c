/* Lanes: which process a worker runs for a slice, and in which environment. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "fuzz/night.h"
#include "oracles/finding.h"

enum { LOG_BYTES = 8 << 20 };

static const char *const targets[OD_LANES] = {
    [OD_LANE_FORWARD] = "forward", [OD_LANE_SESSION] = "session", [OD_LANE_MODES] = "modes"};

bool od_night_lane_ready(const od_night *n, unsigned lane) {
    if (lane == OD_LANE_RANDOM) return n->oracle_diff[0] != '\0';
    return lane == OD_LANE_CANARY ? n->faults[0] != '\0' : n->target[lane][0] != '\0';
}

void od_night_env_put(od_night_env *env, const char *name, const char *value) {
    if (env->n >= sizeof env->text / sizeof *env->text) return;
    snprintf(env->text[env->n], sizeof env->text[env->n], "%s%s%s", name, value ? "=" : "", value ? value : "");
    env->list[env->n] = env->text[env->n];
    env->list[++env->n] = NULL;
}

void od_night_env_device(od_night_env *env, const od_night *n, const od_night_slot *s) {
    env->list[env->n] = NULL;
    od_night_env_put(env, "OPENBLAS_NUM_THREADS", "1");
    if (s && s->device[0]) od_night_env_put(env, "CUDA_VISIBLE_DEVICES", s->device);
    if (n->mps[0]) od_night_env_put(env, "CUDA_MPS_PIPE_DIRECTORY", n->mps);
    if (n->o.per_device > 1) od_night_env_put(env, "OD_SHARED_DEVICE", "1");
}

/* 63 bits that depend on the night's seed, the worker and the slice alone: a night that goes on repeats nothing. */
static uint64_t slice_seed(const od_night *n, const od_night_slot *s) {
    uint64_t key[3] = {n->o.seed, s->number, s->slice};
    return XXH64(key, sizeof key, 0) >> 1;
}

static enum od_status start_random(od_night *n, od_night_slot *s, double seconds, const char *log, od_error *e) {
    static od_night_env env;
    char seed[24], time[24];
    bool canary = s->lane == OD_LANE_CANARY;
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)slice_seed(n, s));
    snprintf(time, sizeof time, "%.3f", seconds);
    const char *argv[OD_NIGHT_ARGS] = {canary ? n->faults : n->oracle_diff,
                                       "fuzz",
                                       "--quiet",
                                       "--profile",
                                       "mixed",
                                       "--relate",
                                       "--seed",
                                       seed,
                                       "--seconds",
                                       time,
                                       "--record",
                                       s->record_path,
                                       "--out",
                                       canary ? s->canary_home : s->home,
                                       "--ref",
                                       n->o.ref,
                                       "--fast",
                                       n->o.fast};
    if (n->o.known[0] && !canary) {
        argv[18] = "--known";
        argv[19] = n->o.known;
    }
    env.n = 0;
    od_night_env_device(&env, n, s);
    if (canary) od_night_env_put(&env, "OD_FAULT", n->o.canary);
    return od_night_process_start(&s->process, argv, env.list, log, e);
}

/* Folders of the corpus that a target begins with, behind its own: seeds, the last merge's, other workers'. */
static unsigned seed_folders(char (*folder)[OD_NIGHT_PATH], unsigned room, const od_night *n, const od_night_slot *s) {
    const char *target = targets[s->lane];
    char path[OD_NIGHT_PATH];
    unsigned count = 0;
    if (od_night_path(path, sizeof path, NULL, "%s/%s", n->o.corpus, target) != OD_OK || access(path, R_OK) != 0)
        od_night_path(path, sizeof path, NULL, "%s/forward", n->o.corpus);
    if (n->o.corpus[0] && access(path, R_OK) == 0 && count < room) strcpy(folder[count++], path);
    if (od_night_path(path, sizeof path, NULL, "%s/corpus/%s", n->o.out, target) == OD_OK && access(path, R_OK) == 0 &&
        count < room)
        strcpy(folder[count++], path);
    for (unsigned i = 0; i < n->n_slot && count < room; i++) {
        if (i == s->number) continue;
        if (od_night_path(path, sizeof path, NULL, "%s/corpus/%s", n->slot[i].home, target) == OD_OK &&
            access(path, R_OK) == 0)
            strcpy(folder[count++], path);
    }
    return count;
}

static uint64_t count_files(const char *folder) {
    char **name;
    size_t n;
    od_night_list(&name, &n, folder);
    od_night_list_free(name, n);
    return n;
}

static enum od_status start_target(od_night *n, od_night_slot *s, double seconds, const char *log, od_error *e) {
    enum { FOLDERS = 16 };
    static char folder[FOLDERS][OD_NIGHT_PATH], own[OD_NIGHT_PATH], base[OD_NIGHT_PATH], option[8][OD_NIGHT_PATH + 32];
    static od_night_env env;
    enum od_status status = od_night_path(own, sizeof own, e, "%s/corpus/%s", s->home, targets[s->lane]);
    if (status == OD_OK) status = od_make_folder(own, e);
    if (status != OD_OK) return status;
    snprintf(option[0], sizeof option[0], "-max_total_time=%.0f", seconds < 1 ? 1 : seconds);
    snprintf(option[1], sizeof option[1], "-artifact_prefix=%s/artifacts/%s-", s->home, targets[s->lane]);
    snprintf(option[2], sizeof option[2], "-timeout=%.0f", n->o.hang < 1 ? 1 : n->o.hang);
    snprintf(option[3], sizeof option[3], "-rss_limit_mb=%llu", (unsigned long long)n->o.rss_mb);
    snprintf(option[4], sizeof option[4], "-seed=%u", (unsigned)(slice_seed(n, s) % 0x7fffffff) + 1); /* 0: by time */
    const char *argv[OD_NIGHT_ARGS] = {n->target[s->lane], option[0], option[1], option[2], option[3], option[4],
                                       /* a crash that libFuzzer caught; 77 says findings */
                                       "-error_exitcode=79", own};
    unsigned count = seed_folders(folder, FOLDERS, n, s);
    s->seeds = count_files(own);
    for (unsigned i = 0; i < count; i++) {
        argv[8 + i] = folder[i];
        s->seeds += count_files(folder[i]);
    }
    snprintf(base, sizeof base, "%.1000s/forward", n->o.corpus);
    env.n = 0;
    od_night_env_device(&env, n, s);
    od_night_env_put(&env, "OD_REF", n->o.ref);
    od_night_env_put(&env, "OD_FAST", n->o.fast);
    od_night_env_put(&env, "OD_OUT", s->home);
    od_night_env_put(&env, "OD_RECORD", s->record_path);
    od_night_env_put(&env, "OD_KEEP_GOING", "1");
    od_night_env_put(&env, "OD_KNOWN", n->o.known);
    if (n->o.corpus[0]) od_night_env_put(&env, "OD_CORPUS", base);
    return od_night_process_start(&s->process, argv, env.list, log, e);
}

/* A long night's logs: the last megabytes, and those before. */
static void rotate(const char *log) {
    char old[OD_NIGHT_PATH];
    struct stat st;
    if (stat(log, &st) == 0 && st.st_size > LOG_BYTES && od_night_path(old, sizeof old, NULL, "%s.old", log) == OD_OK)
        rename(log, old);
}

enum od_status od_night_lane_start(od_night *n, od_night_slot *s, double seconds, od_error *e) {
    char log[OD_NIGHT_PATH];
    const char *home = s->lane == OD_LANE_CANARY ? s->canary_home : s->home;
    enum od_status status = od_night_path(log, sizeof log, e, "%s/log.txt", home);
    if (status == OD_OK)
        status = od_night_path(s->record_path, sizeof s->record_path, e, "%s/record-%llu", home,
                               (unsigned long long)s->slice);
    if (status != OD_OK) return status;
    rotate(log);
    return targets[s->lane] ? start_target(n, s, seconds, log, e) : start_random(n, s, seconds, log, e);
}
