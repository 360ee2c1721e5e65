/* Several processes on one GPU share it by NVIDIA's Multi-Process Service: a daemon of this night alone, in a folder
 * whose path is short enough for a socket's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/night.h"

static enum od_status note(const od_night *n, od_error *e) {
    char path[OD_NIGHT_PATH];
    enum od_status s = od_night_path(path, sizeof path, e, "%s/mps", n->o.out);
    return s == OD_OK ? od_night_write(path, n->mps, strlen(n->mps), e) : s;
}

static void quit(const char *folder, const char *log) {
    static od_night_env env;
    const char *const argv[] = {"sh", "-c", "echo quit | nvidia-cuda-mps-control", NULL};
    od_night_process p;
    env.n = 0;
    env.list[0] = NULL;
    od_night_env_put(&env, "CUDA_MPS_PIPE_DIRECTORY", folder);
    if (od_night_process_start(&p, argv, env.list, log, NULL) != OD_OK) return;
    while (!od_night_process_ended(&p)) {
        if (od_seconds() - p.begun > 10) od_night_process_kill(&p);
        usleep(10000);
    }
}

/* One that a killed supervisor left. */
static void quit_old(const od_night *n, const char *log) {
    char path[OD_NIGHT_PATH], folder[OD_NIGHT_PATH] = "";
    if (od_night_path(path, sizeof path, NULL, "%s/mps", n->o.out) != OD_OK) return;
    FILE *f = fopen(path, "re");
    if (!f) return;
    if (fgets(folder, sizeof folder, f) && strstr(folder, "/od-mps-")) {
        quit(folder, log);
        od_night_remove(folder, NULL);
    }
    fclose(f);
    unlink(path);
}

enum od_status od_night_mps_start(od_night *n, od_error *e) {
    static od_night_env env;
    char log[OD_NIGHT_PATH];
    const char *temporary = getenv("TMPDIR");
    enum od_status s = od_night_path(log, sizeof log, e, "%s/mps.log", n->o.out);
    if (s != OD_OK) return s;
    quit_old(n, log);
    if (n->o.per_device < 2 || strcmp(n->o.devices, "none") == 0) return OD_OK;
    snprintf(n->mps, sizeof n->mps, "%.60s/od-mps-XXXXXX", temporary && temporary[0] ? temporary : "/tmp");
    if (!mkdtemp(n->mps)) {
        int failed = errno;
        n->mps[0] = '\0';
        return od_fail(e, OD_IO, "no folder for the MPS daemon: %s", strerror(failed));
    }
    s = note(n, e);
    if (s != OD_OK) return s;
    const char *const argv[] = {"nvidia-cuda-mps-control", "-f", NULL};
    env.n = 0;
    env.list[0] = NULL;
    od_night_env_put(&env, "CUDA_MPS_PIPE_DIRECTORY", n->mps);
    od_night_env_put(&env, "CUDA_MPS_LOG_DIRECTORY", n->mps);
    od_night_env_put(&env, "CUDA_VISIBLE_DEVICES",
                     NULL); /* it numbers what it sees; clients mean the machine's numbers */
    s = od_night_process_start(&n->mps_process, argv, env.list, log, e);
    if (s != OD_OK) return s;
    usleep(1000000); /* it says nothing when it is ready; clients start a server through its pipe */
    if (od_night_process_ended(&n->mps_process)) {
        n->mps[0] = '\0';
        return od_fail(e, OD_NO_DEVICE, "--per-device %u: nvidia-cuda-mps-control does not run; see %.300s",
                       n->o.per_device, log);
    }
    return OD_OK;
}

void od_night_mps_stop(od_night *n) {
    char path[OD_NIGHT_PATH];
    if (!n->mps[0]) return;
    if (od_night_path(path, sizeof path, NULL, "%s/mps.log", n->o.out) == OD_OK) quit(n->mps, path);
    for (int i = 0; i < 500 && n->mps_process.pid > 0 && !od_night_process_ended(&n->mps_process); i++) usleep(10000);
    od_night_process_kill(&n->mps_process);
    od_night_remove(n->mps, NULL);
    n->mps[0] = '\0';
    if (od_night_path(path, sizeof path, NULL, "%s/mps", n->o.out) == OD_OK) unlink(path);
}
