/* run: the cases named. Also what replay does once it knows its files. */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracles/cli/batch.h"

static atomic_int stopped; /* lock-free: set by a signal, read by threads */

static void stop(int signal_number) {
    stopped = 1;
}

/* Can the case's CSV be read, and is it the one that the case was made for? */
static enum od_status check_series(const od_case *c, od_error *e) {
    od_series series = {0};
    if (!c->csv.path[0]) return OD_OK;
    enum od_status s = od_case_series(&series, c, 0, e);
    od_series_free(&series);
    return s == OD_OK ? OD_OK : od_error_prefix(e, "%s", c->path);
}

/* Every file is read before anything runs: a bad one among many must not leave half a run behind. Models, which may be
 * large, are left to their cases. */
static enum od_status read_all(od_case *cases, const od_batch *b, const char *const *paths, size_t n, od_error *e) {
    for (size_t i = 0; i < n; i++) {
        enum od_status s = od_case_read(&cases[i], paths[i], e);
        if (s == OD_OK) s = od_batch_prepare(b, &cases[i], e);
        if (s == OD_OK) s = check_series(&cases[i], e);
        if (s != OD_OK) return s;
    }
    return OD_OK;
}

int od_run_files(const od_args *args, const char *const *paths, size_t n) {
    od_error e = {0};
    od_batch *b = NULL;
    int code;
    od_case *cases = calloc(n, sizeof *cases);
    enum od_status s =
        cases ? od_batch_create(&b, args, false, &e) : od_fail(&e, OD_NO_MEMORY, "no memory for %zu cases", n);
    if (s == OD_OK) s = read_all(cases, b, paths, n, &e);
    if (s == OD_OK) s = od_batch_begin(b, &e);
    if (s != OD_OK) {
        code = od_complain(&e);
        goto out;
    }
    struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    bool progress = !args->quiet && isatty(STDERR_FILENO);
    if (args->lanes > 1) s = od_lanes_run(b, cases, paths, n, &stopped, progress, &e);
    for (size_t i = 0; args->lanes == 1 && i < n && !stopped; i++) {
        if (progress) fprintf(stderr, "\r\033[K%zu of %zu: %s", i + 1, n, paths[i]);
        s = od_batch_case(b, &cases[i], paths[i], &e);
        if (s != OD_OK) break;
    }
    if (progress) fputs("\r\033[K", stderr);
    code = od_batch_end(b, stopped && od_batch_tally(b)->cases < n);
    if (s != OD_OK) {
        int failed = od_complain(&e);
        if (code != OD_EXIT_FINDING) code = failed;
    }
out:
    od_batch_destroy(b);
    free(cases);
    return code;
}

static int run(const od_args *args) {
    if (args->n_rest > 0) return od_run_files(args, args->rest, args->n_rest);
    od_error e;
    od_fail(&e, OD_BAD_INPUT, "run: which case? Give the path of at least one case file");
    return od_complain(&e);
}

const od_command od_cmd_run = {
    .name = "run", .usage = "CASE…", .about = "Run cases and judge them", .common = true, .run = run};
