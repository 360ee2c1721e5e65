/* A process that dies with the supervisor. posix_spawn cannot ask for that, so this forks; the supervisor has one
 * thread and no CUDA, so that it may. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/night.h"

static void become(const char *const *argv, const char *const *env, int log, pid_t parent) {
    sigset_t none;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127); /* it died before that */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    for (; *env; env++) putenv((char *)(uintptr_t)*env);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(2, "nightly: %s: cannot be started: %s\n", argv[0], strerror(errno));
    _exit(127);
}

enum od_status od_night_process_start(od_night_process *p, const char *const *argv, const char *const *env,
                                      const char *log, od_error *e) {
    *p = (od_night_process){0};
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return od_fail(e, OD_IO, "%.300s: cannot be written: %s", log, strerror(errno));
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) become(argv, env, fd, parent);
    int failed = pid < 0 ? errno : 0;
    close(fd);
    if (failed) return od_fail(e, OD_IO, "no process for %.200s: %s", argv[0], strerror(failed));
    setpgid(pid, pid); /* whoever is first */
    p->pid = pid;
    p->begun = od_seconds();
    return OD_OK;
}

bool od_night_process_ended(od_night_process *p) {
    siginfo_t info = {0};
    if (p->pid <= 0) return false;
    if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != p->pid) return false;
    kill(-p->pid, SIGKILL); /* what it left behind, while the number is still its own */
    while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR) {
    }
    p->pid = 0;
    return true;
}

void od_night_process_tell(od_night_process *p) {
    if (p->pid > 0 && !p->told) kill(-p->pid, SIGTERM);
    p->told = true;
}

void od_night_process_kill(od_night_process *p) {
    if (p->pid <= 0 || p->killed > 0) return;
    kill(-p->pid, SIGKILL);
    p->killed = od_seconds();
}

uint64_t od_night_process_rss(const od_night_process *p) {
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    FILE *f = p->pid > 0 ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %llu kB", &kib) == 1) break;
    if (f) fclose(f);
    return (uint64_t)kib * 1024;
}
