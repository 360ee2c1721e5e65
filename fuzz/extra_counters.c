/* libFuzzer's extra counters: one a feature of the case (oracles/features.h), 1 where it has it. The fuzzer zeroes the
 * section before each input and reads it afterwards as it reads its own counters of edges: a new one is a reason to
 * keep the input. How often a feature occurs is not said: where that matters there are features of it, in classes. */
#include <string.h>

#include "fuzz/target_case.h"
#include "oracles/features.h"

_Static_assert(OD_FEATURES % 64 == 0, "libFuzzer reads the section in words");

/* Volatile and used: nothing here reads it. Its name is libFuzzer's. */
__attribute__((section("__libfuzzer_extra_counters"), used,
               aligned(64))) volatile uint8_t od_extra_counters[OD_FEATURES];

static bool counts[OD_FEATURE_FAMILIES];

/* The family of that name, n bytes long; OD_FEATURE_FAMILIES: none. */
static unsigned family_named(const char *name, size_t n) {
    unsigned f = 0;
    for (; f < OD_FEATURE_FAMILIES; f++) {
        const char *its = od_feature_family_name((enum od_feature_family)f);
        if (strlen(its) == n && memcmp(its, name, n) == 0) break;
    }
    return f;
}

bool od_feedback_choose(const char *wanted) {
    const bool all = !wanted || strcmp(wanted, "on") == 0;
    for (unsigned f = 0; f < OD_FEATURE_FAMILIES; f++) counts[f] = all;
    if (all || strcmp(wanted, "off") == 0) return true;
    for (const char *at = wanted; at;) {
        const size_t n = strcspn(at, ",");
        const unsigned f = family_named(at, n);
        if (f == OD_FEATURE_FAMILIES) return false;
        counts[f] = true;
        at = at[n] ? at + n + 1 : NULL;
    }
    return true;
}

void od_feedback_note(const od_case *c, const od_verdict *v) {
    static uint16_t id[OD_FEATURES_OF_CASE];
    const size_t n = od_features_of(id, OD_FEATURES_OF_CASE, c, v);
    for (size_t i = 0; i < n; i++)
        if (counts[od_feature_family_of(id[i])]) od_extra_counters[id[i]] = 1;
}
