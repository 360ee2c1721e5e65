/* Proves: whatever case libFuzzer makes of the corpus, the fast path answers it as the reference does, bit for bit
 * alike twice, in bounded memory, and really on the fast path.
 *
 * Glue only: case (model/case.h) → judge (oracles/judge.h). A finding is printed, written as a case under
 * OD_OUT/findings (OD_OUT: out by default) and ends in abort(), so that libFuzzer keeps its input. Environment: OD_REF,
 * OD_FAST (engines), OD_OUT, OD_CORPUS (the folder that relative paths in inputs are relative to; corpus/forward). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/target.h"
#include "gpu/gpu.h"
#include "oracles/finding.h"
#include "oracles/judge.h"
#include "ref/ref.h"

static struct {
    bool ready, stopping;
    char base[OD_CASE_PATH]; /* a name in OD_CORPUS, so that relative paths resolve from there */
    od_judge judge;
    od_tally tally;
    uint64_t unusable, captures, replays, cache_hits;
} fuzz;

static const od_engine_api *engine_named(const char *name) {
    const od_engine_api *known[] = {od_ref_engine(), od_ref64_engine(), od_gpu_engine(), od_twin_engine()};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        od_error e;
        if (strcmp(known[i]->name, name) != 0) continue;
        if (known[i]->probe(&e) == OD_OK) return known[i];
        fprintf(stderr, "fuzz_forward: %s\n", e.text);
        exit(3);
    }
    fprintf(stderr, "fuzz_forward: '%s' is no engine: ref, ref64, gpu or twin\n", name);
    exit(2);
}

/* Also the place that stops a run which looked at nothing from looking like a clean one. */
static void print_statistics(void) {
    const od_tally *t = &fuzz.tally;
    fprintf(stderr,
            "fuzz_forward %s:%s: %llu cases, %llu tensors compared, worst MAE %.3g, %llu captures, %llu replays, "
            "%llu cache hits, %llu skipped, %llu inconclusive, %llu unusable, %llu findings\n",
            fuzz.judge.setup.ref->name, fuzz.judge.setup.fast->name, (unsigned long long)t->cases,
            (unsigned long long)t->compared, t->worst_mae, (unsigned long long)fuzz.captures,
            (unsigned long long)fuzz.replays, (unsigned long long)fuzz.cache_hits,
            (unsigned long long)t->outcome[OD_SKIPPED], (unsigned long long)t->outcome[OD_INCONCLUSIVE],
            (unsigned long long)fuzz.unusable, (unsigned long long)t->outcome[OD_FINDING]);
    if (fuzz.stopping || t->compared > 0 || t->cases + fuzz.unusable == 0) return;
    fprintf(stderr, "fuzz_forward: nothing was compared\n");
    _exit(4);
}

/* On the first input, not in LLVMFuzzerInitialize: that also runs in the parent of -fork, and CUDA survives no fork. */
static void get_ready(void) {
    const char *ref = getenv("OD_REF"), *fast = getenv("OD_FAST"), *corpus = getenv("OD_CORPUS");
    od_error e;
    if (!fast) fast = od_gpu_engine()->probe(&e) == OD_OK ? "gpu" : "twin";
    od_judge_init(&fuzz.judge, engine_named(ref ? ref : "ref"), engine_named(fast));
    fuzz.judge.setup.oracles = od_oracles_fuzz();
    od_tally_init(&fuzz.tally);
    snprintf(fuzz.base, sizeof fuzz.base, "%s/input.json", corpus ? corpus : OD_SOURCE_DIR "/corpus/forward");
    fuzz.ready = true;
    atexit(print_statistics);
}

static void stop_at_finding(const od_verdict *v, od_case *c) {
    const char *out = getenv("OD_OUT");
    char path[OD_CASE_PATH] = "", where[OD_CASE_TEXT];
    od_error e = {0};
    snprintf(where, sizeof where, "fuzz_forward; %.200s", v->evidence ? v->evidence->fast_stats.device : "");
    fprintf(stderr, "FINDING %s\n  %s\n  value %.6g, bound %.3g, case %016llx\n", v->signature, v->reason, v->value,
            v->bound, (unsigned long long)v->hash);
    if (od_finding_write(path, sizeof path, out ? out : "out", c, v, where, &e) == OD_OK)
        fprintf(stderr, "  oracle-diff run %s --ref %s --fast %s\n", path, fuzz.judge.setup.ref->name,
                fuzz.judge.setup.fast->name);
    else
        fprintf(stderr, "  %s\n", e.text);
    if (c->csv.path[0]) fprintf(stderr, "  (libFuzzer's artifact names its series relative to %s)\n", fuzz.base);
    fuzz.stopping = true;
    print_statistics();
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static od_case c;
    static od_verdict v;
    if (size == 0) return 0; /* libFuzzer's own first try; a finding there would leave an empty artifact */
    if (!fuzz.ready) get_ready();
    od_fuzz_case(&c, data, size, fuzz.base);
    od_judge_case(&v, &fuzz.judge, &c);
    if (v.bad_input) { /* it names a file that is not there: not the fast path's fault */
        if (fuzz.unusable++ < 8) fprintf(stderr, "fuzz_forward: unusable input: %s\n", v.reason);
        return -1;
    }
    od_tally_add(&fuzz.tally, &v, "");
    if (v.evidence) {
        fuzz.captures += v.evidence->fast_end.captures;
        fuzz.replays += v.evidence->fast_end.replays;
        fuzz.cache_hits += v.evidence->fast_end.cache_hits;
    }
    if (v.outcome == OD_FINDING) stop_at_finding(&v, &c);
    if (v.outcome == OD_ERROR) {
        fprintf(stderr, "fuzz_forward: ERROR: %s\n", v.reason);
        fuzz.stopping = true;
        exit(3);
    }
    return 0;
}
