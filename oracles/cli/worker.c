/* worker: serves one engine to the run that started it (docs/worker.md). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oracles/cli/cli.h"
#include "oracles/wire.h"
#include "oracles/worker.h"

/* The stream's descriptors out of the way of whatever an engine prints: stdout becomes stderr. */
static enum od_status take_stream(int *in, int *out, od_error *e) {
    struct stat st;
    if (fstat(OD_WIRE_MEMORY, &st) != 0 || !S_ISREG(st.st_mode))
        return od_fail(e, OD_BAD_INPUT,
                       "worker: descriptor %d is no shared memory: it is run and replay that start workers",
                       OD_WIRE_MEMORY);
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
    if (s == OD_OK) s = od_cli_find_engine(&api, args->engine, &e);
    if (s == OD_OK) s = take_stream(&in, &out, &e);
    if (s != OD_OK) return od_complain(&e);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    s = od_worker_serve(api, in, out, OD_WIRE_MEMORY, &e);
    return s == OD_IO ? OD_EXIT_PASS : od_complain(&e); /* the stream ended: as it should */
}

static const struct argp_option options[] = {{"engine", OD_KEY_ENGINE, "ENGINE", 0, "ref, ref64, gpu, twin", 0}, {0}};

const od_command od_cmd_worker = {.name = "worker",
                                  .usage = "",
                                  .about = "Serve an engine to another process; run and replay start it",
                                  .options = options,
                                  .run = run};
