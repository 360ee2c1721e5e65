#include "fuzz/target_case.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "gpu/gpu.h"
#include "model/heap.h"
#include "oracles/finding.h"
#include "oracles/recorder.h"
#include "ref/ref.h"

enum { WRITTEN = 3 }; /* cases of one signature */

static struct {
    bool ready, stopping, keep_going;
    unsigned relations; /* that set_up chose */
    const char *out, *record_path;
    od_judge judge;
    od_tally tally;
    od_known known;
    od_record *record;
    uint64_t unusable, captures, replays, cache_hits;
} fuzz;

/* exit() inside an input would look like a crash to libFuzzer, which has a status of its own for that. */
static _Noreturn void leave(int status) {
    fflush(NULL);
    _exit(status);
}

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static const od_engine_api *engine_named(const char *name) {
    const od_engine_api *known[] = {od_ref_engine(), od_ref64_engine(), od_gpu_engine(), od_twin_engine()};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        od_error e;
        if (strcmp(known[i]->name, name) != 0) continue;
        if (known[i]->probe(&e) == OD_OK) return known[i];
        fprintf(stderr, "%s: %s\n", od_this_target.name, e.text);
        leave(OD_TARGET_ERROR);
    }
    fprintf(stderr, "%s: '%s' is no engine: ref, ref64, gpu or twin\n", od_this_target.name, name);
    leave(OD_TARGET_BAD_USE);
}

static void print_statistics(void) {
    const od_tally *t = &fuzz.tally;
    fprintf(stderr,
            "%s %s:%s: %llu cases, %llu tensors compared, worst MAE %.3g, %llu captures, %llu replays, "
            "%llu cache hits, %llu skipped, %llu inconclusive, %llu unusable, %llu known, %llu findings\n",
            od_this_target.name, fuzz.judge.setup.ref->name, fuzz.judge.setup.fast->name, (unsigned long long)t->cases,
            (unsigned long long)t->compared, t->worst_mae, (unsigned long long)fuzz.captures,
            (unsigned long long)fuzz.replays, (unsigned long long)fuzz.cache_hits,
            (unsigned long long)t->outcome[OD_SKIPPED], (unsigned long long)t->outcome[OD_INCONCLUSIVE],
            (unsigned long long)fuzz.unusable, (unsigned long long)t->outcome[OD_KNOWN],
            (unsigned long long)t->outcome[OD_FINDING]);
}

/* Also the place that stops a run which looked at nothing from looking like a clean one. */
static void at_end(void) {
    const od_tally *t = &fuzz.tally;
    if (fuzz.stopping) return;
    print_statistics();
    if (t->outcome[OD_FINDING] > 0) leave(OD_TARGET_FOUND);
    if (t->compared > 0 || t->cases + fuzz.unusable == 0) return;
    fprintf(stderr, "%s: nothing was compared\n", od_this_target.name);
    leave(OD_TARGET_NOTHING);
}

static void or_leave(enum od_status s, const od_error *e) {
    if (s == OD_OK) return;
    fprintf(stderr, "%s: %s\n", od_this_target.name, e->text);
    leave(s == OD_BAD_INPUT ? OD_TARGET_BAD_USE : OD_TARGET_ERROR);
}

/* On the first input, not in LLVMFuzzerInitialize: that also runs in the parent of -fork, and CUDA survives no fork. */
static void get_ready(void) {
    const char *ref = environment("OD_REF"), *fast = environment("OD_FAST"), *known = environment("OD_KNOWN"),
               *keep_going = environment("OD_KEEP_GOING"), *feedback = environment("OD_FEEDBACK");
    od_error e = {0};
    od_heap_keep();
    if (!od_feedback_choose(feedback)) {
        fprintf(stderr, "%s: OD_FEEDBACK=%s: on, off or families of features, with commas, would be right\n",
                od_this_target.name, feedback);
        leave(OD_TARGET_BAD_USE);
    }
    if (!fast) fast = od_gpu_engine()->probe(&e) == OD_OK ? "gpu" : "twin";
    od_judge_init(&fuzz.judge, engine_named(ref ? ref : "ref"), engine_named(fast));
    od_this_target.set_up(&fuzz.judge);
    fuzz.relations = fuzz.judge.setup.relations;
    if (known) or_leave(od_known_read(&fuzz.known, known, NULL, &e), &e);
    fuzz.judge.known = &fuzz.known;
    od_tally_init(&fuzz.tally);
    fuzz.out = environment("OD_OUT") ? environment("OD_OUT") : "out";
    fuzz.keep_going = keep_going && strcmp(keep_going, "0") != 0;
    fuzz.record_path = environment("OD_RECORD");
    if (fuzz.record_path) or_leave(od_recorder_open(&fuzz.record, fuzz.record_path, &e), &e);
    fuzz.ready = true;
    atexit(at_end);
}

void od_target_relate(od_judge *j, const char *const *names, size_t n) {
    j->setup.oracles |= od_oracle_bit(&od_oracle_consistency);
    j->setup.relations = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned number = 0;
        od_error e = {0};
        or_leave(od_relation_find(&number, names[i], &e), &e);
        j->setup.relations |= 1u << number;
    }
}

static void record_start(const od_case *c, const uint8_t *data, size_t size) {
    char *text = NULL;
    size_t length = 0;
    if (!fuzz.record) return;
    if (od_case_format(&text, &length, c, fuzz.record_path, NULL) == OD_OK)
        od_recorder_start(fuzz.record, text, length);
    else
        od_recorder_start(fuzz.record, data, size);
    free(text);
}

/* Cases of the signature that OD_OUT has, whoever wrote them. */
static unsigned count_written(const od_verdict *v) {
    char folder[1024], prefix[24];
    unsigned n = 0;
    snprintf(folder, sizeof folder, "%s/findings", fuzz.out);
    snprintf(prefix, sizeof prefix, "%016llx-", (unsigned long long)XXH64(v->signature, strlen(v->signature), 0));
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) n += strncmp(entry->d_name, prefix, 17) == 0;
    if (dir) closedir(dir);
    return n;
}

static void write_finding(const od_verdict *v, const od_case *c) {
    char path[OD_CASE_PATH] = "", where[OD_CASE_TEXT];
    od_error e = {0};
    if (fuzz.keep_going && count_written(v) >= WRITTEN) return;
    snprintf(where, sizeof where, "%s; %.200s", od_this_target.name,
             v->evidence && v->evidence->fast_stats.device ? v->evidence->fast_stats.device : "");
    fprintf(stderr, "FINDING %s\n  %s\n  value %.6g, bound %.3g, case %016llx\n", v->signature, v->reason, v->value,
            v->bound, (unsigned long long)v->hash);
    if (od_finding_write(path, sizeof path, fuzz.out, c, v, where, &e) == OD_OK)
        fprintf(stderr, "  oracle-diff run %s --ref %s --fast %s\n", path, fuzz.judge.setup.ref->name,
                fuzz.judge.setup.fast->name);
    else
        fprintf(stderr, "  %s\n", e.text);
    if (c->csv.path[0]) fprintf(stderr, "  (libFuzzer's artifact names its series relative to %s)\n", od_fuzz_base());
}

/* Not in findings: nobody knows whether the fast path is wrong. */
static _Noreturn void stop_at_error(const od_verdict *v, const od_case *c) {
    char path[OD_CASE_PATH];
    od_error e = {0};
    fprintf(stderr, "%s: ERROR: %s\n", od_this_target.name, v->reason);
    snprintf(path, sizeof path, "%.400s/errors", fuzz.out);
    enum od_status s = od_make_folder(path, &e);
    snprintf(path, sizeof path, "%.400s/errors/%016llx.json", fuzz.out, (unsigned long long)v->hash);
    if (s == OD_OK) s = od_case_write(c, path, &e);
    fprintf(stderr, "  %s\n", s == OD_OK ? path : e.text);
    print_statistics();
    leave(OD_TARGET_ERROR);
}

/* Did a device that does not recover fault? Whatever comes after it says nothing. The twin's is an overwritten guard
 * band, and the next engine is as good as new. */
static bool is_lost(const od_evidence *ev) {
    if (!ev || strcmp(fuzz.judge.setup.fast->name, "gpu") != 0) return false;
    bool lost = ev->fast_run.status == OD_DEVICE_FAULT || ev->plain_run.status == OD_DEVICE_FAULT ||
                ev->probe.status == OD_DEVICE_FAULT;
    for (int i = 0; i < OD_RERUNS; i++) lost = lost || ev->rerun[i].status == OD_DEVICE_FAULT;
    for (int i = 0; i < OD_RELATIONS; i++) lost = lost || ev->related[i].run.status == OD_DEVICE_FAULT;
    return lost;
}

static void count(const od_verdict *v) {
    od_tally_add(&fuzz.tally, v, "");
    if (!v->evidence) return;
    fuzz.captures += v->evidence->fast_end.captures;
    fuzz.replays += v->evidence->fast_end.replays;
    fuzz.cache_hits += v->evidence->fast_end.cache_hits;
}

/* 0, or -1 where libFuzzer is not to keep the input. */
static int end_input(const od_verdict *v, const od_case *c) {
    if (v->bad_input) { /* it names a file that is not there: not the fast path's fault */
        if (fuzz.unusable++ < 8) fprintf(stderr, "%s: unusable input: %s\n", od_this_target.name, v->reason);
        return -1;
    }
    count(v);
    if (v->outcome == OD_FINDING) write_finding(v, c);
    if (is_lost(v->evidence)) {
        fprintf(stderr, "%s: the device is lost for this process\n", od_this_target.name);
        print_statistics();
        leave(OD_TARGET_LOST);
    }
    if (v->outcome == OD_ERROR) stop_at_error(v, c);
    if (v->outcome != OD_FINDING) return 0;
    if (fuzz.keep_going) return -1;
    fuzz.stopping = true;
    print_statistics();
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static od_case c;
    static od_verdict v;
    if (size == 0) return 0; /* libFuzzer's own first try; a finding there would leave an empty artifact */
    if (!fuzz.ready) get_ready();
    od_fuzz_case(&c, data, size, od_fuzz_base());
    od_this_target.narrow(&c, XXH64(data, size, 0));
    if (od_this_target.in_turn) fuzz.judge.setup.relations = od_relations_turn(fuzz.relations, od_case_hash(&c));
    record_start(&c, data, size);
    od_judge_case(&v, &fuzz.judge, &c);
    od_feedback_note(&c, &v);
    od_recorder_add(fuzz.record, &v);
    od_recorder_finish(fuzz.record);
    return end_input(&v, &c);
}
