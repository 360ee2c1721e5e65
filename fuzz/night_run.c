/* A night from its first second to its last: canaries, slices, triage, corpus, verdict; and its going on after a stop.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/night.h"
#include "model/file.h"
#include "oracles/finding.h"

/* Of the budget so much is left to the end (triage, corpus): a tenth, a minute at most; what is not done then may take
 * that again and half a minute, so that a night ends in time. */
static const double end_share = 0.1, end_most = 60, end_extra = 30, metrics_every = 3, tick_least = 2;

static volatile int stopped;

static void stop(int signal_number) {
    stopped = signal_number;
}

double od_night_spent(const od_night *n) {
    return n->before + (n->began > 0 ? od_seconds() - n->began : 0);
}

void od_night_say(od_night *n, const char *format, ...) {
    char text[1200], time[32];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    od_night_time(time);
    printf("%s\n", text);
    fflush(stdout);
    if (n->log && (fprintf(n->log, "%s %s\n", time, text) < 0 || fflush(n->log) != 0) && n->failed.status == OD_OK)
        od_fail(&n->failed, OD_IO, "%.300s/log.txt: cannot be written: %s", n->o.out, strerror(errno));
}

void od_night_event(od_night *n, const char *event, json_t *line, bool durable) {
    char time[32];
    od_error e;
    od_night_time(time);
    json_t *whole = json_pack("{s:s, s:s, s:f}", "event", event, "at", time, "spent", od_night_spent(n));
    enum od_status s = OD_OK;
    if (!whole || !line || json_object_update_missing(whole, line) != 0)
        s = od_fail(&e, OD_NO_MEMORY, "no memory for a line of the journal");
    if (s == OD_OK) s = od_night_journal_append(&n->journal, whole, durable, &e);
    if (s == OD_OK) s = od_night_fold(&n->totals, whole, "", &e);
    if (s != OD_OK && n->failed.status == OD_OK) n->failed = e;
    json_decref(whole);
    json_decref(line);
}

/* ---- begin ------------------------------------------------------------------------------------------------------- */

static enum od_status take_folder(od_night *n, od_error *e) {
    char path[OD_NIGHT_PATH], *full;
    enum od_status s = od_make_folder(n->o.out, e);
    if (s != OD_OK) return s;
    full = realpath(n->o.out, NULL); /* workers may have another working directory, some day */
    if (full && strlen(full) < 600) strcpy(n->o.out, full);
    free(full);
    s = od_night_path(path, sizeof path, e, "%s/lock", n->o.out);
    if (s != OD_OK) return s;
    n->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (n->lock < 0) return od_fail(e, OD_IO, "%.300s: cannot be written: %s", path, strerror(errno));
    if (flock(n->lock, LOCK_EX | LOCK_NB) != 0)
        return od_fail(e, OD_BAD_INPUT, "%.300s: another supervisor works in this folder", n->o.out);
    s = od_night_path(path, sizeof path, e, "%s/triage", n->o.out);
    if (s == OD_OK) s = od_make_folder(path, e);
    if (s == OD_OK) s = od_night_path(path, sizeof path, e, "%s/log.txt", n->o.out);
    if (s != OD_OK) return s;
    n->log = fopen(path, "ae");
    if (!n->log) return od_fail(e, OD_IO, "%.300s: cannot be written: %s", path, strerror(errno));
    return od_night_path(path, sizeof path, e, "%s/night.jsonl", n->o.out);
}

static json_t *environment(const od_night *n, int argc, char **argv) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    for (int i = 0; f && i < argc; i++) fprintf(f, "%s%s", i ? " " : "", argv[i]);
    if (f) fclose(f);
    json_t *j = json_pack("{s:s, s:s, s:I}", "host", n->host, "command", text ? text : "", "pid", (json_int_t)getpid());
    free(text);
    return j;
}

/* A night that goes on must be the one that began: same seed, programs, workers. */
static enum od_status check_plan(od_night *n, const json_t *plan, od_error *e) {
    const char *key;
    json_t *value;
    if (!n->totals.plan) return OD_OK;
    json_object_foreach((json_t *)(uintptr_t)plan, key, value) {
        if (!json_equal(value, json_object_get(n->totals.plan, key)))
            return od_fail(
                e, OD_BAD_INPUT,
                "%.300s: this night was begun with another %s; the same command goes on, another needs a new folder",
                n->o.out, key);
    }
    return OD_OK;
}

/* A night must not begin without its seeds, or stop later for a list that nobody can read. */
static enum od_status check_inputs(const od_night *n, od_error *e) {
    struct stat st;
    if (stat(n->o.corpus, &st) != 0 || !S_ISDIR(st.st_mode))
        return od_fail(e, OD_BAD_INPUT, "--corpus %.300s: is no folder of seeds", n->o.corpus);
    if (n->o.known[0] && (stat(n->o.known, &st) != 0 || !S_ISREG(st.st_mode) || access(n->o.known, R_OK) != 0))
        return od_fail(e, OD_BAD_INPUT, "--known %.300s: is no file that can be read", n->o.known);
    return OD_OK;
}

static enum od_status begin(od_night *n, int argc, char **argv, od_error *e) {
    char path[OD_NIGHT_PATH];
    enum od_status s = check_inputs(n, e);
    if (s == OD_OK) s = take_folder(n, e);
    if (s == OD_OK) s = od_night_totals_init(&n->totals, e);
    if (s == OD_OK) s = od_night_path(path, sizeof path, e, "%s/night.jsonl", n->o.out);
    if (s == OD_OK) s = od_night_journal_open(&n->journal, &n->totals, path, e);
    if (s == OD_OK && n->totals.end)
        s = od_fail(e, OD_BAD_INPUT, "%.300s: this night has ended (exit %lld); another needs a new folder", n->o.out,
                    (long long)json_integer_value(json_object_get(n->totals.end, "exit")));
    if (s == OD_OK) s = od_night_programs(n, e);
    if (s == OD_OK && strcmp(n->o.canary, "off") != 0 && !n->faults[0])
        s = od_fail(e, OD_NO_DEVICE, "no program faults-oracle-diff for the canary: build it, or say --canary off");
    if (s == OD_OK) s = od_night_probe(n, e);
    if (s == OD_OK) s = od_night_workers(n, e);
    if (s != OD_OK) return s;
    json_t *plan = od_night_plan(n);
    s = plan ? check_plan(n, plan, e) : od_fail(e, OD_NO_MEMORY, "no memory for a plan");
    n->before = n->totals.spent;
    bool again = n->totals.plan != NULL;
    if (s == OD_OK) s = od_night_mps_start(n, e);
    n->began = od_seconds();
    if (s == OD_OK)
        od_night_event(n, "start", json_pack("{s:O, s:o}", "plan", plan, "environment", environment(n, argc, argv)),
                       true);
    json_decref(plan);
    if (s == OD_OK && n->failed.status != OD_OK) *e = n->failed;
    if (s != OD_OK || n->failed.status != OD_OK) return e->status;
    od_night_say(n, "night of %g s, seed %llu, %s on %s: %u workers%s", n->o.seconds, (unsigned long long)n->o.seed,
                 n->pair, n->fast_device, n->n_slot, again ? "; goes on" : "");
    return OD_OK;
}

/* Slices that fit: ten seconds or a twelfth of the night, but so that every lane gets its turn. */
static void choose_slices(od_night *n) {
    double share = n->o.seconds * end_share;
    n->fuzz_end = n->o.seconds - (share < end_most ? share : end_most);
    if (n->o.slice > 0) return;
    double slice = n->o.seconds / 12 > 10 ? n->o.seconds / 12 : 10, lanes = __builtin_popcount(n->o.lanes);
    unsigned workers = n->o.workers ? n->o.workers : 1;
    if (slice > 0.8 * n->fuzz_end * workers / lanes) slice = 0.8 * n->fuzz_end * workers / lanes;
    n->o.slice = slice < 1 ? 1 : slice;
}

/* ---- while it runs ----------------------------------------------------------------------------------------------- */

static void refresh(od_night *n, bool now) {
    double at = od_seconds(), tick = n->o.seconds / 200 > tick_least ? n->o.seconds / 200 : tick_least;
    od_error e;
    if (now || at - n->metrics_at >= metrics_every) {
        n->metrics_at = at;
        if (!n->totals.end) od_night_keep_lumps(n);
        if (od_night_metrics(n, &e) != OD_OK && n->failed.status == OD_OK) n->failed = e;
    }
    if (!n->totals.end && at - n->tick_at >= tick) {
        n->tick_at = at;
        od_night_event(n, "tick", json_object(), false);
    }
    if (n->mps_process.pid > 0 && od_night_process_ended(&n->mps_process) && n->failed.status == OD_OK)
        od_fail(&n->failed, OD_NO_DEVICE, "the MPS daemon of this night has died; see %.300s/mps.log", n->o.out);
}

static bool all_done(const od_night *n) {
    for (unsigned i = 0; i < n->n_slot; i++)
        if (n->slot[i].state != OD_SLOT_DONE) return false;
    return true;
}

static void work(od_night *n) {
    while (!all_done(n)) {
        n->ending = n->ending || od_night_spent(n) >= n->fuzz_end || stopped || n->failed.status != OD_OK;
        for (unsigned i = 0; i < n->n_slot; i++) {
            od_night_slot *s = &n->slot[i];
            if (n->failed.status !=
                OD_OK) { /* nothing can be written: what runs is cut off, and counted when it goes on */
                od_night_process_kill(&s->process);
                if (s->process.pid <= 0 || od_night_process_ended(&s->process)) s->state = OD_SLOT_DONE;
                continue;
            }
            od_night_slot_turn(n, s);
        }
        od_night_triage_turn(n, true);
        refresh(n, false);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

static void finish_triage(od_night *n, double deadline) {
    while (!stopped && n->failed.status == OD_OK && od_night_triage_left(n) > 0) {
        if (od_seconds() > deadline) {
            od_night_triage_stop(n);
            return;
        }
        od_night_triage_turn(n, false);
        refresh(n, false);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    od_night_triage_stop(n);
}

/* Raw findings that nobody judged; findings that were not shrunk are only said. */
static uint64_t untriaged(od_night *n) {
    char raw[OD_NIGHT_PATH];
    uint64_t left = 0;
    for (unsigned i = 0; i < n->n_slot; i++)
        left += n->slot[i].canary_raw + od_night_raw_next(raw, sizeof raw, n, &n->slot[i], false);
    return left;
}

/* ---- end --------------------------------------------------------------------------------------------------------- */

static int tell(od_night *n, int code, const json_t *reasons, const char *state) {
    static const char *const words[] = {"green", "FINDINGS", "", "not what was asked for", "RED: blind"};
    od_night_count sum;
    char text[1000] = "";
    od_night_sum(&sum, &n->totals);
    for (size_t i = 0; i < json_array_size(reasons) && strlen(text) < 700; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.200s", i ? "; " : ": ",
                 json_string_value(json_array_get(reasons, i)));
    od_night_say(n, "%llu inputs, %llu cases, %llu tensors compared, %llu replays, %zu findings, %.0f s",
                 (unsigned long long)sum.inputs, (unsigned long long)sum.cases, (unsigned long long)sum.compared,
                 (unsigned long long)sum.replays, json_array_size(n->totals.findings), od_night_spent(n));
    od_night_say(n, "%s%s%s (exit %d)", state, words[code], text, code);
    return code;
}

static int unfinished(od_night *n) {
    json_t *reasons = NULL;
    int code = od_night_verdict(&reasons, &n->totals);
    od_error e;
    json_array_clear(reasons);
    od_night_keep_lumps(n);
    if (n->failed.status != OD_OK) {
        fprintf(stderr, "nightly: %s\n", n->failed.text);
        json_array_append_new(reasons, json_string(n->failed.text));
        code = code == OD_NIGHT_FINDING ? code : OD_NIGHT_ENVIRONMENT;
    } else {
        od_night_event(n, "stopped", json_pack("{s:i}", "signal", stopped), true);
        json_array_append_new(reasons, json_string("interrupted; the same command goes on"));
        code = code == OD_NIGHT_FINDING ? code : OD_NIGHT_BLIND;
    }
    od_night_metrics(n, &e);
    tell(n, code, reasons, "unfinished, ");
    json_decref(reasons);
    return code;
}

/* A lane whose last start failed, and that had no time for more of them, could not run either. */
static void tell_unstarted(od_night *n) {
    for (unsigned i = 0; i < n->n_slot; i++)
        for (unsigned lane = 0; lane < OD_LANE_CANARY; lane++)
            if (n->slot[i].strikes[lane] > 0 && !n->slot[i].broken[lane])
                od_night_event(n, "lane",
                               json_pack("{s:s, s:s, s:s}", "worker", n->slot[i].name, "lane", od_night_lane_name(lane),
                                         "why", "cannot start"),
                               true);
}

static int finish(od_night *n) {
    double share = n->o.seconds * end_share,
           deadline = od_seconds() + 2 * (share < end_most ? share : end_most) + end_extra;
    od_night_pool homes = {0};
    homes.path = calloc(n->n_slot, sizeof *homes.path);
    for (unsigned i = 0; homes.path && i < n->n_slot; i++) homes.path[homes.n++] = n->slot[i].home;
    finish_triage(n, deadline);
    bool targets = (n->o.lanes & ~(1u << OD_LANE_RANDOM)) != 0, merged = true;
    if (targets && !stopped && n->failed.status == OD_OK) merged = od_night_corpus(n, &homes, deadline + end_extra);
    free(homes.path);
    if (stopped || n->failed.status != OD_OK) return unfinished(n);
    json_t *reasons = NULL;
    tell_unstarted(n);
    od_night_keep_lumps(n);
    n->totals.untriaged = untriaged(n);
    int code = od_night_verdict(&reasons, &n->totals);
    if (!merged)
        od_night_say(n, "the corpus of some target was not renewed: workers' own inputs stay in workers/*/corpus");
    od_night_event(n, "end",
                   json_pack("{s:i, s:O, s:b, s:I}", "exit", code, "reasons", reasons, "merged", merged, "untriaged",
                             (json_int_t)n->totals.untriaged),
                   true);
    refresh(n, true);
    char path[OD_NIGHT_PATH], text[16];
    od_error e;
    if (n->failed.status == OD_OK && od_night_report(&n->totals, "Night", n->o.out, &e) != OD_OK) n->failed = e;
    snprintf(text, sizeof text, "%d\n", code);
    if (n->failed.status == OD_OK && (od_night_path(path, sizeof path, &e, "%s/exit", n->o.out) != OD_OK ||
                                      od_night_write(path, text, strlen(text), &e) != OD_OK))
        n->failed = e;
    if (n->failed.status != OD_OK) {
        json_decref(reasons);
        return unfinished(n);
    }
    tell(n, code, reasons, "");
    json_decref(reasons);
    return code;
}

static void give_back(od_night *n) {
    for (unsigned i = 0; i < n->n_slot; i++) {
        od_night_process_kill(&n->slot[i].process);
        od_recorder_close(n->slot[i].record);
    }
    od_night_triage_stop(n);
    od_night_mps_stop(n);
    free(n->slot);
    json_decref(n->lumps);
    od_night_totals_free(&n->totals);
    if (n->log) fclose(n->log);
}

int od_night_run(const od_night_options *o, int argc, char **argv) {
    static od_night night;
    od_night *n = &night;
    od_error e = {0};
    n->o = *o;
    n->lock = n->journal.fd = -1;
    n->stop = &stopped;
    gethostname(n->host, sizeof n->host - 1);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is an error of a write */
    choose_slices(n);
    enum od_status s = begin(n, argc, argv, &e);
    if (s != OD_OK) {
        fprintf(stderr, "nightly: %s\n", e.text);
        give_back(n);
        return s == OD_BAD_INPUT ? OD_NIGHT_USAGE : OD_NIGHT_ENVIRONMENT;
    }
    for (unsigned i = 0; i < n->n_slot; i++) {
        unsigned asked, found;
        od_night_slot_recover(n, &n->slot[i]);
        od_night_canary_found(&n->totals, n->slot[i].name, &asked, &found);
        n->slot[i].canaries = asked;
    }
    for (unsigned lane = 0; lane < OD_LANES; lane++)
        for (unsigned i = 0; i < n->n_slot && lane != OD_LANE_CANARY; i++)
            if ((n->o.lanes >> lane & 1) && !od_night_lane_ready(n, lane) && !n->slot[i].broken[lane]) {
                n->slot[i].broken[lane] = true;
                od_night_event(n, "lane",
                               json_pack("{s:s, s:s, s:s}", "worker", n->slot[i].name, "lane", od_night_lane_name(lane),
                                         "why", "no program"),
                               true);
                od_night_say(n, "worker %s: lane %s has no program", n->slot[i].name, od_night_lane_name(lane));
            }
    work(n);
    int code = finish(n);
    give_back(n);
    return code;
}
