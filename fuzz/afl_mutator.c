/* AFL++'s custom mutator for the targets of cases: the steps that libFuzzer takes (model/case.h), so that what AFL++
 * makes are cases, too. A shared object for AFL_CUSTOM_MUTATOR_LIBRARY; fuzz/afl-build builds it with a plain compiler,
 * for afl-fuzz itself loads it. All randomness comes from AFL++'s seed and the input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "model/case.h"

typedef struct mutator {
    uint64_t seed, n; /* n: inputs made so far, so that one input has many mutants */
    od_case c, other;
    uint8_t out[OD_CASE_MAX_BYTES];
} mutator;

/* The interface's names and arguments are AFL++'s. */
void *afl_custom_init(void *afl, unsigned seed);
size_t afl_custom_fuzz(void *data, uint8_t *buf, size_t buf_size, uint8_t **out_buf, uint8_t *add_buf,
                       size_t add_buf_size, size_t max_size);
void afl_custom_deinit(void *data);

void *afl_custom_init(void *afl, unsigned seed) {
    mutator *m = calloc(1, sizeof *m);
    if (m) m->seed = seed;
    return m;
}

/* The bytes' own case, or the one that is generated from their hash: as the target itself reads them. */
static void read_case(od_case *c, const uint8_t *bytes, size_t size) {
    if (od_case_parse(c, (const char *)bytes, size, "", NULL) != OD_OK)
        od_case_generate(c, XXH64(bytes, size, 0), 0, OD_PROFILE_RATE);
}

/* One mutant of buf, or, each fourth time, its cross with add_buf. 0 where it does not fit: AFL++ then goes on. */
size_t afl_custom_fuzz(void *data, uint8_t *buf, size_t buf_size, uint8_t **out_buf, uint8_t *add_buf,
                       size_t add_buf_size, size_t max_size) {
    mutator *m = data;
    char *text;
    size_t size;
    uint64_t seed = XXH64(buf, buf_size, m->seed + m->n++);
    read_case(&m->c, buf, buf_size);
    if (add_buf && add_buf_size && seed % 4 == 0) {
        read_case(&m->other, add_buf, add_buf_size);
        od_case_cross(&m->c, &m->other, seed);
    } else {
        od_case_mutate(&m->c, seed);
    }
    *out_buf = m->out;
    if (od_case_format(&text, &size, &m->c, NULL, NULL) != OD_OK) return 0;
    if (size > max_size) size = 0;
    memcpy(m->out, text, size); /* a case's text has at most OD_CASE_MAX_BYTES */
    free(text);
    return size;
}

void afl_custom_deinit(void *data) {
    free(data);
}
