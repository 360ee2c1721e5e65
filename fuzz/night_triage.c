/* Triage of raw findings, one process at a time: judged again from nothing (`oracle-diff run --isolate`), then, where
 * that shows nothing, in the target that met it; what is new is shrunk. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/night.h"
#include "model/file.h"
#include "oracles/finding.h"
#include "oracles/signature.h"

/* Beside workers, triage has a quarter of the time: findings of a broken engine come faster than they can be judged. */
static const double most_share = 0.25, look_every = 0.25;

static void fail(od_night *n, const od_error *e) {
    if (n->failed.status == OD_OK) n->failed = *e;
    n->triage.state = OD_TRIAGE_IDLE;
}

static void start(od_night *n, const char *const *argv, int state, double limit) {
    static od_night_env env;
    od_night_triage *t = &n->triage;
    char log[OD_NIGHT_PATH];
    od_error e;
    env.n = 0;
    od_night_env_device(&env, n, t->slot);
    if (t->canary) od_night_env_put(&env, "OD_FAULT", n->o.canary);
    if (state == OD_TRIAGE_TARGET) {
        od_night_env_put(&env, "OD_REF", n->o.ref);
        od_night_env_put(&env, "OD_FAST", n->o.fast);
        od_night_env_put(&env, "OD_OUT", t->json_path);
        od_night_env_put(&env, "OD_KNOWN", n->o.known);
    }
    enum od_status s = od_night_path(log, sizeof log, &e, "%s/triage/log.txt", n->o.out);
    if (s == OD_OK) s = od_night_process_start(&t->process, argv, env.list, log, &e);
    if (s != OD_OK) {
        fail(n, &e);
        return;
    }
    t->state = state;
    t->limit = limit;
    t->overrun = false;
}

/* ---- judged again ------------------------------------------------------------------------------------------------ */

/* The oracles that fuzzing asks, and the one that the finding is of. */
static unsigned add_oracles(const char **argv, unsigned at, const od_night_triage *t) {
    unsigned mask = od_oracles_fuzz(), number;
    char name[OD_CASE_TEXT];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(t->said, "/"), t->said);
    if (od_oracle_find(&number, name, NULL) == OD_OK) mask |= 1u << number;
    if (!t->said[0]) /* a crash: perhaps in a relation's play */
        mask |= od_oracle_bit(&od_oracle_consistency);
    for (unsigned i = 1; i < OD_ORACLES; i++) { /* the first is always asked */
        if (!(mask >> i & 1) || od_oracle_at(i) == &od_oracle_envelope) continue;
        argv[at++] = "--only";
        argv[at++] = od_oracle_at(i)->name;
    }
    return at;
}

static void start_run(od_night *n) {
    od_night_triage *t = &n->triage;
    char timeout[32];
    snprintf(timeout, sizeof timeout, "%g", n->o.hang);
    unlink(t->json_path);
    const char *argv[OD_NIGHT_ARGS] = {t->canary ? n->faults : n->oracle_diff,
                                       "run",
                                       t->case_path,
                                       "--isolate",
                                       "--timeout",
                                       timeout,
                                       "--ref",
                                       n->o.ref,
                                       "--fast",
                                       n->o.fast,
                                       "--quiet",
                                       "--json",
                                       t->json_path};
    unsigned at = add_oracles(argv, 13, t);
    if (n->o.known[0] && !t->canary) {
        argv[at++] = "--known";
        argv[at++] = n->o.known;
    }
    if (od_signature_needs_weights(t->said)) argv[at++] = "--weights";
    /* a hang takes a call's whole time in each place where it is looked for */
    start(n, argv, OD_TRIAGE_RUN, 8 * n->o.hang + n->o.start);
}

/* The line of the one case in a result file. */
static json_t *read_result(const char *path) {
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    json_t *found = NULL;
    while (f && !found && getline(&text, &room, f) > 0) {
        json_t *line = json_loads(text, 0, NULL);
        if (strcmp(od_night_text(line, "type"), "case") == 0) found = json_incref(line);
        json_decref(line);
    }
    if (f) fclose(f);
    free(text);
    return found;
}

/* The raw finding's own signature where it came again, beside a graver one or not; else the one that came. */
static const char *signature_of(const json_t *result, const char *said) {
    size_t i;
    json_t *ruling;
    json_array_foreach(json_object_get(result, "oracles"), i, ruling) {
        if (strcmp(od_night_text(ruling, "signature"), said) == 0 && said[0]) return said;
    }
    return od_night_text(result, "signature");
}

/* "engine/crash/-/SHAPE/PAIR", as the oracle would say it. */
static void sign(char *out, size_t size, const od_night *n, const char *oracle, const char *kind) {
    const od_night_triage *t = &n->triage;
    char shape[48];
    od_shape_class_of(shape, sizeof shape, &t->c, t->c.config.patch);
    snprintf(out, size, "%s/%s/-/%s/%s", oracle, kind, shape, n->pair);
}

static void start_target(od_night *n) {
    od_night_triage *t = &n->triage;
    char timeout[32], out[OD_NIGHT_PATH];
    snprintf(timeout, sizeof timeout, "-timeout=%.0f", n->o.hang < 1 ? 1 : n->o.hang);
    snprintf(out, sizeof out, "%.1000s/triage/target", n->o.out);
    snprintf(t->json_path, sizeof t->json_path, "%s", out);
    const char *argv[] = {n->target[t->lane],   timeout,      "-artifact_prefix=/dev/null",
                          "-error_exitcode=79", t->case_path, NULL};
    start(n, argv, OD_TRIAGE_TARGET, 2 * n->o.hang + n->o.start);
}

static void end_canary(od_night *n, const json_t *result) {
    od_night_triage *t = &n->triage;
    const char *signature = od_night_text(result, "signature");
    bool found =
        strcmp(od_night_text(result, "verdict"), "FINDING") == 0 && od_night_canary_expects(n->o.canary, signature);
    od_night_canary_tell(n, t->slot, found, signature[0] ? signature : "its finding did not come again");
    t->slot->canary_raw = false;
}

static void end_run(od_night *n) {
    od_night_triage *t = &n->triage;
    json_t *result = t->overrun ? NULL : read_result(t->json_path);
    const char *verdict = od_night_text(result, "verdict");
    char own[OD_CASE_TEXT];
    t->state = OD_TRIAGE_IDLE;
    if (t->canary) {
        end_canary(n, result);
    } else if (!result) { /* judging it brought the judge down: that is a finding as well */
        sign(own, sizeof own, n, "judge", t->overrun ? "hang" : "crash");
        od_night_keep(n, "new", own, NULL);
    } else if (strcmp(verdict, "FINDING") == 0) {
        bool flaky = json_is_true(json_object_get(json_object_get(result, "recheck"), "flaky"));
        od_night_keep(n, flaky ? "flaky" : "new", signature_of(result, t->said), result);
    } else if (strcmp(verdict, "KNOWN") == 0) {
        od_night_keep(n, "known", od_night_text(result, "signature"), result);
    } else if (strcmp(verdict, "ERROR") == 0) {
        sign(own, sizeof own, n, "error", "error");
        od_night_keep(n, "error", own, result);
    } else if (t->lane < OD_LANES && n->target[t->lane][0]) {
        start_target(n); /* what its own process alone shows: a sanitizer's, or a crash outside of the engines */
    } else {
        if (t->said[0])
            snprintf(own, sizeof own, "%s", t->said);
        else
            sign(own, sizeof own, n, strcmp(t->kind, "error") == 0 ? "error" : "engine", t->kind);
        od_night_keep(n, "unreproduced", own, result);
    }
    json_decref(result);
}

static void end_target(od_night *n) {
    od_night_triage *t = &n->triage;
    char signature[OD_CASE_TEXT], subject[48];
    int status = t->process.status;
    bool again = t->overrun || WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 4);
    snprintf(subject, sizeof subject, "%s-in-%s", t->kind, od_night_lane_name(t->lane));
    t->state = OD_TRIAGE_IDLE;
    sign(signature, sizeof signature, n, again ? "target" : "engine", again ? subject : t->kind);
    od_night_keep(n, again ? "new" : "unreproduced", signature, NULL);
}

/* ---- what waits -------------------------------------------------------------------------------------------------- */

static bool begin_raw(od_night *n, od_night_slot *s, bool canary) {
    od_night_triage *t = &n->triage;
    od_error e;
    if (!od_night_raw_next(t->raw, sizeof t->raw, n, s, canary)) return false;
    t->slot = s;
    t->canary = canary;
    if (od_night_raw_case(&t->c, t->kind, sizeof t->kind, &t->lane, n, t->raw, &e) != OD_OK) {
        od_night_say(n, "raw finding %s: %s", t->raw, e.text);
        if (canary) {
            s->canary_raw = false;
            od_night_canary_tell(n, s, false, e.text);
        } else {
            od_night_keep_unreadable(n, t->raw, e.text);
        }
        return true;
    }
    snprintf(t->said, sizeof t->said, "%s", t->c.found_signature);
    if (!canary && t->said[0] && json_object_get(n->totals.by_sign, t->said)) {
        od_night_keep_duplicate(n, t->raw, t->said);
        return true;
    }
    enum od_status status = od_night_path(t->case_path, sizeof t->case_path, &e, "%s/triage/case.json", n->o.out);
    if (status == OD_OK) status = od_night_path(t->json_path, sizeof t->json_path, &e, "%s/triage/run.jsonl", n->o.out);
    if (status == OD_OK) status = od_case_write(&t->c, t->case_path, &e);
    if (status != OD_OK)
        fail(n, &e);
    else
        start_run(n);
    return true;
}

static void begin_shrink(od_night *n, const char *name) {
    od_night_triage *t = &n->triage;
    static char path[OD_NIGHT_PATH], runs[24];
    snprintf(t->finding, sizeof t->finding, "%s", name);
    snprintf(path, sizeof path, "%.700s/findings/%.255s", n->o.out, name);
    snprintf(runs, sizeof runs, "%llu", (unsigned long long)n->o.shrink_runs);
    t->canary = false;
    t->slot = NULL;
    const char *argv[] = {n->oracle_diff, "shrink",  path,      "--runs", runs,     "--ref", n->o.ref,
                          "--fast",       n->o.fast, "--quiet", "--out",  n->o.out, NULL};
    double limit = 0.1 * n->o.seconds;
    start(n, argv, OD_TRIAGE_SHRINK, limit < 10 ? 10 : limit);
}

static void end_shrink(od_night *n) {
    od_night_triage *t = &n->triage;
    char path[OD_NIGHT_PATH];
    t->state = OD_TRIAGE_IDLE;
    bool there = od_night_path(path, sizeof path, NULL, "%s/shrunk/%s", n->o.out, t->finding) == OD_OK &&
                 access(path, R_OK) == 0;
    od_night_event(n, "shrunk",
                   json_pack("{s:s, s:b, s:b}", "finding", t->finding, "smaller", there, "complete", !t->overrun),
                   true);
    od_night_say(n, "finding %s: %s%s", t->finding, there ? "shrunk" : "could not be shrunk",
                 t->overrun ? ", as far as the time allowed" : "");
}

/* Is its canary's process still there? */
static bool is_looking(const od_night_slot *s) {
    return s->state == OD_SLOT_BUSY && s->lane == OD_LANE_CANARY;
}

static void begin(od_night *n) {
    char name[OD_NIGHT_PATH];
    for (unsigned i = 0; i < n->n_slot; i++)
        if (n->slot[i].canary_raw && !is_looking(&n->slot[i]) && begin_raw(n, &n->slot[i], true)) return;
    if (od_night_keep_next_to_shrink(name, sizeof name, n)) { /* few: one a kind */
        begin_shrink(n, name);
        return;
    }
    for (unsigned i = 0; i < n->n_slot; i++)
        for (unsigned k = 0; k < 64 && n->triage.state == OD_TRIAGE_IDLE && n->failed.status == OD_OK; k++)
            if (!begin_raw(n, &n->slot[i], false)) break;
}

void od_night_triage_turn(od_night *n, bool share) {
    od_night_triage *t = &n->triage;
    double now = od_seconds();
    if (t->state != OD_TRIAGE_IDLE) {
        if (!od_night_process_ended(&t->process)) {
            t->overrun = t->overrun || now - t->process.begun > t->limit;
            if (t->overrun) od_night_process_kill(&t->process);
            return;
        }
        t->used += now - t->process.begun;
        if (t->state == OD_TRIAGE_RUN)
            end_run(n);
        else if (t->state == OD_TRIAGE_TARGET)
            end_target(n);
        else
            end_shrink(n);
        t->looked = 0;
    }
    if (t->state != OD_TRIAGE_IDLE || *n->stop || n->failed.status != OD_OK || now - t->looked < look_every) return;
    t->looked = now;
    bool canary = false;
    for (unsigned i = 0; i < n->n_slot; i++) canary = canary || n->slot[i].canary_raw;
    if (!share || canary || t->used <= most_share * (now - n->began) + 2) begin(n);
}

void od_night_triage_stop(od_night *n) {
    od_night_triage *t = &n->triage;
    if (t->state == OD_TRIAGE_IDLE) return;
    od_night_process_kill(&t->process);
    while (!od_night_process_ended(&t->process)) usleep(1000);
    t->state = OD_TRIAGE_IDLE;
}

uint64_t od_night_triage_left(od_night *n) {
    char raw[OD_NIGHT_PATH];
    uint64_t left = n->triage.state != OD_TRIAGE_IDLE;
    for (unsigned i = 0; i < n->n_slot; i++)
        left += n->slot[i].canary_raw + od_night_raw_next(raw, sizeof raw, n, &n->slot[i], false);
    return left + od_night_keep_next_to_shrink(raw, sizeof raw, n);
}
