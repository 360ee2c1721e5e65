/* worker: serves one engine to the run that started it (docs/worker.md). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oracles/cli/cli.h"
#include "oracles/wire.h"
#include "oracles/worker.h"

extern char **environ;

static enum od_status check_memory(od_error *e) {
    struct stat st;
    if (fstat(OD_WIRE_MEMORY, &st) == 0 && S_ISREG(st.st_mode)) return OD_OK;
    return od_fail(e, OD_BAD_INPUT,
                   "worker: descriptor %d is no shared memory: it is run and replay that start workers",
                   OD_WIRE_MEMORY);
}

static void end_group(int unused) {
    (void)unused;
    kill(0, SIGKILL);
}

/* A command speaks for itself. It is watched by this process, which holds none of its descriptors, ends as it does, and
 * ends it with all that it started when the judge is gone: a signal at the parent's death reaches one process alone,
 * and a shell would leave its children. */
static int watch_command(const char *command, od_error *e) {
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    pid_t pid;
    int status;
    signal(SIGTERM, end_group);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    const int error = posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);
    if (error) {
        od_fail(e, OD_IO, "%s: cannot be started: %s", argv[0], strerror(error));
        return od_worker_refuse(STDIN_FILENO, STDOUT_FILENO, e) == OD_OK ? OD_EXIT_ENVIRONMENT : od_complain(e);
    }
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(OD_WIRE_MEMORY);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) _exit(OD_EXIT_ENVIRONMENT);
    if (WIFSIGNALED(status)) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0}); /* the command's own core is the one to look at */
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    _exit(WEXITSTATUS(status)); /* the standard output that main would flush was never this process's */
}

/* The stream's descriptors out of the way of whatever an engine prints: stdout becomes stderr. */
static enum od_status take_stream(int *in, int *out, od_error *e) {
    *in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    *out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (*in < 0 || *out < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return od_fail(e, OD_IO, "worker: no descriptors: %s", strerror(errno));
    close(null);
    return OD_OK;
}

static int run(const od_args *args) {
    od_error e = {0};
    const od_engine_api *api = NULL;
    int in = -1, out = -1;
    enum od_status s = OD_OK;
    if (!args->engine || args->n_rest > 0)
        s = od_fail(&e, OD_BAD_INPUT, "worker: takes --engine NAME and nothing else");
    const bool foreign = s == OD_OK && od_cli_is_foreign(args->engine);
    const char *command = foreign ? od_cli_command(args->engine) : NULL;
    if (s == OD_OK && !foreign) s = od_cli_find_engine(&api, args->engine, &e);
    if (s == OD_OK) s = check_memory(&e);
    if (s == OD_OK && command) return watch_command(command, &e);
    if (s == OD_OK) s = take_stream(&in, &out, &e); /* before foreign code may print */
    if (s != OD_OK) return od_complain(&e);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    if (foreign && od_cli_load_engine(&api, args->engine, &e) != OD_OK)
        return od_worker_refuse(in, out, &e) == OD_OK ? OD_EXIT_USAGE : OD_EXIT_ENVIRONMENT;
    s = od_worker_serve(api, in, out, OD_WIRE_MEMORY, &e);
    return s == OD_IO ? OD_EXIT_PASS : od_complain(&e); /* the stream ended: as it should */
}

static const struct argp_option options[] = {
    {"engine", OD_KEY_ENGINE, "ENGINE", 0, "ref, ref64, gpu, twin, ./FILE.so, exec:COMMAND", 0}, {0}};

const od_command od_cmd_worker = {.name = "worker",
                                  .usage = "",
                                  .about = "Serve an engine to another process; run and replay start it",
                                  .options = options,
                                  .run = run};
