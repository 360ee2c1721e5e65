/* Inputs of the targets: case text, mutated as cases and never as bytes, so that every input is a valid case and every
 * artifact a file that `oracle-diff run` takes. Paths inside stay as they are: relative to the corpus folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fuzz/target_case.h"

/* Sanitizer defaults (read by weak reference, unused elsewhere). CUDA maps memory into ASan's shadow gap, and its
 * libraries keep some allocations until the process ends. */
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *__asan_default_options(void) {
    return "protect_shadow_gap=0";
}

const char *__lsan_default_suppressions(void) {
    return "leak:libcuda.so\nleak:libcublas.so\nleak:libcublasLt.so\n";
}

/* max_len: a case's own limit. len_control: mutations are of cases, short inputs are not simpler ones.
 * timeout: the largest seed takes seconds under ASan. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    static char max_len[32], *defaults[] = {max_len, "-len_control=0", "-timeout=60"};
    enum { N = sizeof defaults / sizeof *defaults };
    snprintf(max_len, sizeof max_len, "-max_len=%d", (int)OD_CASE_MAX_BYTES);
    char **all = malloc(((size_t)*argc + N + 1) * sizeof *all);
    if (!all) return 0;
    int n = 0;
    all[n++] = (*argv)[0];
    for (int i = 0; i < N; i++) all[n++] = defaults[i]; /* first: of two equal flags libFuzzer takes the last */
    for (int i = 1; i < *argc; i++) all[n++] = (*argv)[i];
    all[n] = NULL;
    *argc = n;
    *argv = all; /* libFuzzer's until the process ends */
    return 0;
}

void od_fuzz_case(od_case *c, const uint8_t *data, size_t size, const char *base) {
    if (od_case_parse(c, (const char *)data, size, base, NULL) == OD_OK) return;
    od_case_generate(c, XXH64(data, size, 0), 0, OD_PROFILE_RATE);
}

const char *od_fuzz_base(void) {
    static char base[OD_CASE_PATH];
    const char *corpus = getenv("OD_CORPUS");
    if (!base[0])
        snprintf(base, sizeof base, "%s/input.json", corpus && corpus[0] ? corpus : OD_SOURCE_DIR "/corpus/forward");
    return base;
}

enum { MAX_STEPS = 5 }; /* of one mutation; each further one half as often */

/* Canonical text of c into out; 0 where it does not fit. */
static size_t write_case(uint8_t *out, size_t max_size, const od_case *c) {
    char *text = NULL;
    size_t size = 0;
    if (od_case_format(&text, &size, c, NULL, NULL) != OD_OK) return 0;
    if (size <= max_size)
        memcpy(out, text, size);
    else
        size = 0;
    free(text);
    return size;
}

/* 64 bits from libFuzzer's 32 and the input, so that equal seeds do different things to different inputs. */
static uint64_t widen(unsigned seed, const uint8_t *data, size_t size) {
    return XXH64(data, size, seed);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    static od_case c;
    od_fuzz_case(&c, data, size, od_fuzz_base());
    /* Several steps at times: libFuzzer goes on from a mutant only where it was nothing new, and with the extra
     * counters most are, so that alone it would stay one step from what it knows. */
    unsigned steps = 1;
    for (uint64_t draw = widen(~seed, data, size); steps < MAX_STEPS && draw & 1; draw >>= 1) steps++;
    for (unsigned i = 0; i < steps; i++) od_case_mutate(&c, widen(seed + i, data, size));
    od_this_target.narrow(&c, widen(seed, data, size)); /* what is kept is what runs */
    size_t written = write_case(data, max_size, &c);
    return written ? written : size;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2, uint8_t *out,
                                 size_t max_out_size, unsigned seed) {
    static od_case c, other;
    od_fuzz_case(&c, data1, size1, od_fuzz_base());
    od_fuzz_case(&other, data2, size2, od_fuzz_base());
    od_case_cross(&c, &other, widen(seed, data2, size2));
    od_this_target.narrow(&c, widen(seed, data2, size2));
    return write_case(out, max_out_size, &c); /* 0: libFuzzer mutates instead */
}
