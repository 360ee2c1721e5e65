/* libFuzzer's extra counters: one a feature of the case (oracles/features.h), raised once each time that it occurs. The
 * fuzzer zeroes the section before each input and reads it afterwards as it reads its own counters of edges, in classes
 * of 1, 2, 3, 4-7, 8-15, 16-31, 32-127 and more: a new class is a reason to keep the input. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/target_case.h"
#include "oracles/features.h"

_Static_assert(OD_FEATURES % 64 == 0, "libFuzzer reads the section in words");

/* Volatile and used: nothing here reads it. Its name is libFuzzer's. */
__attribute__((section("__libfuzzer_extra_counters"), used,
               aligned(64))) volatile uint8_t od_extra_counters[OD_FEATURES];

void od_feedback_note(const od_case *c, const od_verdict *v) {
    static uint16_t id[OD_FEATURES_OF_CASE];
    static int off = -1;
    if (off < 0) {
        const char *wanted = getenv("OD_FEEDBACK");
        off = wanted && strcmp(wanted, "off") == 0;
    }
    if (off) return;
    const size_t n = od_features_of(id, OD_FEATURES_OF_CASE, c, v);
    for (size_t i = 0; i < n; i++)
        if (od_extra_counters[id[i]] < UINT8_MAX) od_extra_counters[id[i]]++;
}
