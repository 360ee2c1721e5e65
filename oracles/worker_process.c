#include "oracles/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "oracles/evidence.h"

extern char **environ;

/* What a process gets to end by itself once its stream is closed: by itself, or by its judge. */
static const double grace = 2, last_grace = 10;

/* A copy of the descriptor out of the way of 0 to 3, closed on exec. */
static int lift(int fd) {
    if (fd < 0) return -1;
    const int up = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    close(fd);
    return up;
}

static enum od_status open_ends(int ends[2], int *memory, od_error *e) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return od_fail(e, OD_IO, "no socket for a worker: %s", strerror(errno));
    ends[0] = lift(ends[0]);
    ends[1] = lift(ends[1]);
    *memory = lift(memfd_create("oracle-diff", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    /* Sealed against shrinking: a worker cannot take pages away that its judge is reading. */
    if (ends[0] < 0 || ends[1] < 0 || *memory < 0 || fcntl(*memory, F_ADD_SEALS, F_SEAL_SHRINK) != 0)
        return od_fail(e, OD_IO, "no shared memory for a worker: %s", strerror(errno));
    return OD_OK;
}

/* Its stream on 0 and 1, the shared memory on 3, nothing else but stderr; a group of its own, so that a shell and what
 * it started die together, and a Ctrl-C is the judge's to handle. No signal is blocked there, whatever the thread that
 * asks has blocked. */
static int spawn(pid_t *pid, int end, int memory, const char *const *argv) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawnattr_init(&attributes);
    if (error) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    error = posix_spawn_file_actions_adddup2(&actions, end, 0);
    if (!error) error = posix_spawn_file_actions_adddup2(&actions, end, 1);
    if (!error) error = posix_spawn_file_actions_adddup2(&actions, memory, OD_WIRE_MEMORY);
    if (!error) error = posix_spawn_file_actions_addclosefrom_np(&actions, OD_WIRE_MEMORY + 1);
    if (!error) error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    if (!error) error = posix_spawnattr_setpgroup(&attributes, 0);
    if (!error) error = posix_spawnattr_setsigmask(&attributes, &none);
    if (!error) error = posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

enum od_status od_worker_start(od_worker **out, const char *name, const char *const *argv, double timeout,
                               od_error *e) {
    int ends[2] = {-1, -1}, memory = -1;
    *out = NULL;
    od_worker *w = calloc(1, sizeof *w);
    if (!w) return od_fail(e, OD_NO_MEMORY, "no memory for a worker");
    enum od_status s = open_ends(ends, &memory, e);
    if (s == OD_OK) {
        const int error = spawn(&w->pid, ends[1], memory, argv);
        if (error) s = od_fail(e, OD_IO, "%.200s: cannot be started: %s", argv[0], strerror(error));
    }
    if (ends[1] >= 0) close(ends[1]);
    if (s != OD_OK) {
        if (ends[0] >= 0) close(ends[0]);
        if (memory >= 0) close(memory);
        free(w);
        return s;
    }
    w->wire = (od_wire){.in = ends[0], .out = ends[0], .memory = memory};
    w->timeout = timeout;
    snprintf(w->name, sizeof w->name, "%s", name ? name : "?");
    *out = w;
    return OD_OK;
}

/* Has the process ended within so many seconds? What it left behind in its group ends with it; before it is reaped, as
 * its number may be another's afterwards. */
static bool ended(int *status, pid_t pid, double seconds) {
    const double deadline = od_seconds() + seconds;
    *status = 0;
    for (;;) {
        siginfo_t info = {0};
        const int n = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG);
        if (n == 0 && info.si_pid == pid) {
            kill(-pid, SIGKILL);
            while (waitpid(pid, status, 0) < 0 && errno == EINTR) {
            }
            return true;
        }
        if (n < 0 && errno != EINTR) return true;
        if (od_seconds() >= deadline) return false;
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
}

static void kill_worker(od_worker *w) {
    int status;
    if (w->pid <= 0) return;
    kill(-w->pid, SIGKILL);
    kill(w->pid, SIGKILL);
    ended(&status, w->pid, 10);
    w->pid = 0;
}

/* Notes why the worker is gone; that is what every later call is told. */
static enum od_status gone(od_worker *w, od_error *e) {
    kill_worker(w);
    if (e) w->error = *e;
    return w->error.status;
}

static enum od_status died(od_worker *w, int status, const char *request, od_error *e) {
    w->pid = 0;
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status)), *words = sigdescr_np(WTERMSIG(status));
        od_fail(e, OD_CRASHED, "the worker of %s died of SIG%s (%s) in %s", w->name, name ? name : "?",
                words ? words : "?", request);
    } else {
        const int code = WEXITSTATUS(status);
        const char *name = code > 128 ? sigabbrev_np(code - 128) : NULL; /* so a shell tells of what it started */
        od_fail(e, OD_CRASHED, "the worker of %s exited with status %d%s%s%s in %s", w->name, code, name ? " (SIG" : "",
                name ? name : "", name ? ")" : "", request);
    }
    return gone(w, e);
}

/* The stream ended: the process has, or is about to. */
static enum od_status lost(od_worker *w, const char *request, od_error *e) {
    int status;
    if (ended(&status, w->pid, grace)) return died(w, status, request, e);
    od_fail(e, OD_CRASHED, "the worker of %s closed its stream in %s", w->name, request);
    return gone(w, e);
}

enum od_status od_worker_broken(od_worker *w, const char *request, od_error *e) {
    od_error own = {0};
    if (!e) e = &own;
    const od_error copy = *e;
    if (copy.status == OD_NO_MEMORY) return gone(w, e); /* of ours: no fault of the worker's */
    od_fail(e, OD_DEVICE_FAULT, "the worker of %s broke the protocol in %s: %.300s", w->name, request, copy.text);
    return gone(w, e);
}

enum od_status od_worker_ask(json_t **answer, od_worker *w, json_t *request, od_error *e) {
    char name[32] = "?";
    const char *text = json_string_value(json_object_get(request, "do"));
    od_error own;
    if (!e) e = &own;
    *answer = NULL;
    if (w->pid <= 0) {
        json_decref(request);
        w->untold = false;
        *e = w->error;
        return e->status;
    }
    if (text) snprintf(name, sizeof name, "%s", text);
    enum od_status s = od_wire_send(&w->wire, request, w->timeout, e);
    if (s == OD_NO_MEMORY || s == OD_BAD_INPUT) return s; /* of ours: nothing was sent, the worker lives */
    if (s == OD_OK) s = od_wire_receive(answer, &w->wire, w->timeout, e);
    if (s == OD_NO_MEMORY) return gone(w, e); /* of ours as well, but an answer was lost */
    if (s == OD_IO) return lost(w, name, e);
    if (s == OD_HUNG) {
        od_fail(e, OD_HUNG, "the worker of %s gave no answer to %s within %g s and was killed", w->name, name,
                w->timeout);
        return gone(w, e);
    }
    if (s != OD_OK) return od_worker_broken(w, name, e);
    bool broken;
    s = od_wire_read_status(&broken, *answer, e);
    if (s == OD_OK) return OD_OK;
    json_decref(*answer);
    *answer = NULL;
    if (broken) return od_worker_broken(w, name, e);
    /* a device that faulted is lost to its process, and every later call there would fail: the next case has a new one
     */
    return s == OD_DEVICE_FAULT ? gone(w, e) : s;
}

enum od_status od_worker_end(od_worker *w, od_error *e) {
    int status = 0;
    enum od_status s = OD_OK;
    if (!w) return OD_OK;
    shutdown(w->wire.out, SHUT_RDWR);
    if (w->pid > 0 && !ended(&status, w->pid, w->timeout < last_grace ? w->timeout : last_grace)) {
        s = od_fail(e, OD_HUNG, "the worker of %s did not end and was killed", w->name);
        kill_worker(w);
    } else if (w->pid > 0 && status != 0) {
        s = died(w, status, "its end", e ? e : &w->error);
    }
    od_wire_unmap(&w->wire);
    close(w->wire.in);
    close(w->wire.memory);
    free(w);
    return s;
}

enum od_status od_worker_tell(od_worker *w, json_t *request, od_error *e) {
    json_t *answer;
    const enum od_status s = od_worker_ask(&answer, w, request, e);
    json_decref(answer);
    return s;
}

static void note(od_error *pending, const od_error *e) {
    if (pending->status == OD_OK) *pending = *e;
}

void od_worker_tell_quietly(od_worker *w, json_t *request, od_error *pending) {
    od_error e = {0};
    if (w->pid <= 0) {
        json_decref(request);
        return;
    }
    if (od_worker_tell(w, request, &e) == OD_OK) return;
    w->untold = w->pid <= 0;
    if (!w->untold) note(pending, &e);
}

void od_worker_release(od_worker *w, od_error *pending) {
    od_error e = {0};
    if (!w || --w->users > 0) return;
    if (w->untold) note(pending, &w->error);
    if (od_worker_end(w, &e) != OD_OK) note(pending, &e);
}
