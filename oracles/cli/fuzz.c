/* fuzz: case after case from a seed, until the time or the number is spent. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracles/cli/cli.h"
#include "oracles/recorder.h"

static const double default_seconds = 60;

static volatile sig_atomic_t stopped;

static void stop(int signal_number) {
    stopped = 1;
}

static void show_progress(const od_args *a, const od_tally *t, double spent, double seconds) {
    fprintf(stderr, "\r\033[K%llu cases, %.0f/s, worst MAE %.2e, %llu findings", (unsigned long long)t->cases,
            spent > 0 ? (double)t->cases / spent : 0, t->worst_mae < 0 ? 0 : t->worst_mae,
            (unsigned long long)t->outcome[OD_FINDING]);
    if (a->has_cases) fprintf(stderr, ", %llu left", (unsigned long long)(a->cases - t->cases));
    if (isfinite(seconds)) fprintf(stderr, ", %.0f s left", fmax(0, seconds - spent));
}

/* A GPU that faulted answers nothing more in this process; whatever would follow are findings that are none. The twin's
 * fault is an overwritten guard band, and workers are processes of their own. */
static bool is_lost(od_batch *b, const od_args *a) {
    const od_ruling *engine = &od_batch_verdict(b)->ruling[0];
    if (a->isolate || strcmp(od_batch_judge(b)->setup.fast->name, "gpu") != 0) return false;
    const bool failed = engine->outcome == OD_FINDING || engine->outcome == OD_KNOWN;
    return failed && strcmp(engine->subject, "fault") == 0;
}

static enum od_status loop(od_batch *b, const od_args *a, enum od_profile profile, double seconds, od_record *record,
                           od_error *e) {
    bool progress = !a->quiet && isatty(STDERR_FILENO);
    double start = od_seconds(), shown = start;
    enum od_status s = OD_OK;
    const unsigned relations = od_batch_judge(b)->setup.relations;
    static od_case c;
    for (uint64_t i = 0; s == OD_OK && !stopped; i++) {
        if (a->first && od_batch_tally(b)->outcome[OD_FINDING] > 0) break;
        double now = od_seconds();
        if ((a->has_cases && i >= a->cases) || now - start >= seconds) break;
        char path[128];
        snprintf(path, sizeof path, "seed %llu index %llu profile %s", (unsigned long long)a->seed,
                 (unsigned long long)(a->index + i), a->profile ? a->profile : "default");
        od_case_generate(&c, a->seed, a->index + i, profile);
        od_batch_drawn(b, od_seconds() - now);
        /* The next relation in each case: one is a play more, where all of them are a dozen. */
        if (a->relate) od_batch_judge(b)->setup.relations = od_relations_turn(relations, a->index + i);
        s = od_batch_prepare(b, &c, e);
        od_recorder_start(record, path, strlen(path));
        if (s == OD_OK) s = od_batch_case(b, &c, path, e);
        if (s == OD_OK) od_recorder_add(record, od_batch_verdict(b));
        od_recorder_finish(record);
        if (s == OD_OK && is_lost(b, a)) {
            s = od_fail(e, OD_DEVICE_FAULT, "the device is lost for this process after %s", path);
            break;
        }
        if (progress && now - shown > 0.25) {
            show_progress(a, od_batch_tally(b), now - start, seconds);
            shown = now;
        }
    }
    if (progress) fputs("\r\033[K", stderr);
    return s;
}

static int run(const od_args *args) {
    od_error e = {0};
    enum od_profile profile = OD_PROFILE_DEFAULT;
    od_batch *b = NULL;
    od_record *record = NULL;
    enum od_status s = OD_OK;
    if (args->n_rest > 0) s = od_fail(&e, OD_BAD_INPUT, "fuzz: '%.200s' is one word too many", args->rest[0]);
    if (s == OD_OK && args->has_cases && args->cases == 0) s = od_fail(&e, OD_BAD_INPUT, "--cases 0: nothing to do");
    if (s == OD_OK && args->profile) s = od_profile_parse(&profile, args->profile, &e);
    if (s == OD_OK) s = od_batch_create(&b, args, true, &e);
    if (s == OD_OK && args->record) s = od_recorder_open(&record, args->record, &e);
    if (s == OD_OK) s = od_batch_begin(b, &e);
    if (s != OD_OK) {
        od_recorder_close(record);
        od_batch_destroy(b);
        return od_complain(&e);
    }
    struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    double seconds = args->has_seconds ? args->seconds : args->has_cases ? (double)INFINITY : default_seconds;
    s = loop(b, args, profile, seconds, record, &e);
    int code = od_batch_end(b, stopped);
    if (s != OD_OK) {
        int failed = od_complain(&e);
        if (code != OD_EXIT_FINDING) code = failed;
    }
    od_recorder_close(record);
    od_batch_destroy(b);
    return code;
}

static const struct argp_option options[] = {
    {"seconds", OD_KEY_SECONDS, "N", 0, "Stop after so long (default 60, or no limit with --cases)", 0},
    {"cases", OD_KEY_CASES, "N", 0, "Stop after so many cases", 0},
    {"seed", OD_KEY_SEED, "S", 0,
     "Seed of the cases (default 0); case i of this version depends on seed, i and profile alone", 0},
    {"index", OD_KEY_INDEX, "I", 0, "Number of the first case (default 0)", 0},
    {"profile", OD_KEY_PROFILE, "NAME", 0, OD_PROFILES_ABOUT, 0},
    {"first", OD_KEY_FIRST, 0, 0, "Stop behind the first finding (a KNOWN one is none)", 0},
    {"relate", OD_KEY_RELATE, 0, 0, "Ask one relation of `consistency` in each case, the next one each time", 0},
    {"record", OD_KEY_RECORD, "FILE", 0, "Say in FILE what runs now and what was done (oracles/recorder.h)", 0},
    {0}};

const od_command od_cmd_fuzz = {.name = "fuzz",
                                .usage = "",
                                .about = "Generate cases and judge them; findings go to --out (default out)",
                                .options = options,
                                .common = true,
                                .run = run};
