/* libFuzzer's extra counters: one a feature of the case (oracles/features.h), 1 where it has it. The fuzzer zeroes the
 * section before each input and reads it afterwards as it reads its own counters of edges: a new one is a reason to
 * keep the input. How often a feature occurs is not said: where that matters there are features of it, in classes. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/target_case.h"
#include "oracles/features.h"

_Static_assert(OD_FEATURES % 64 == 0, "libFuzzer reads the section in words");

/* Volatile and used: nothing here reads it. Its name is libFuzzer's. */
__attribute__((section("__libfuzzer_extra_counters"), used,
               aligned(64))) volatile uint8_t od_extra_counters[OD_FEATURES];

static bool counts[OD_FEATURE_FAMILIES];

/* OD_FEEDBACK: off, on, or the families that count, with commas. */
static void choose(void) {
    const char *wanted = getenv("OD_FEEDBACK");
    for (unsigned f = 0; f < OD_FEATURE_FAMILIES; f++) {
        const char *name = od_feature_family_name((enum od_feature_family)f);
        const char *at = wanted ? strstr(wanted, name) : NULL;
        counts[f] = !wanted || strcmp(wanted, "on") == 0 || (at && (at == wanted || at[-1] == ','));
    }
}

void od_feedback_note(const od_case *c, const od_verdict *v) {
    static uint16_t id[OD_FEATURES_OF_CASE];
    static bool chosen;
    if (!chosen) choose();
    chosen = true;
    const size_t n = od_features_of(id, OD_FEATURES_OF_CASE, c, v);
    for (size_t i = 0; i < n; i++)
        if (counts[od_feature_family_of(id[i])]) od_extra_counters[id[i]] = 1;
}
