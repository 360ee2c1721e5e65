#include "oracles/kinds.h"

#include <stdio.h>
#include <string.h>

#include "oracles/signature.h"

/* Its place; n where it has none. */
static size_t find(const od_kinds *kinds, const char *pattern) {
    size_t i = 0;
    while (i < kinds->n && strcmp(kinds->kind[i].pattern, pattern) != 0) i++;
    return i;
}

uint64_t od_kinds_count(const od_kinds *kinds, const od_verdict *v) {
    char pattern[OD_CASE_TEXT];
    od_signature_pattern(pattern, sizeof pattern, v->signature);
    const size_t i = find(kinds, pattern);
    return i < kinds->n ? kinds->kind[i].n : 0;
}

void od_kinds_add(od_kinds *kinds, const od_verdict *v, const char *name) {
    char pattern[OD_CASE_TEXT];
    if (v->outcome != OD_FINDING) return;
    od_signature_pattern(pattern, sizeof pattern, v->signature);
    const size_t i = find(kinds, pattern);
    if (i == OD_KINDS) {
        kinds->more++;
        return;
    }
    od_kind *kind = &kinds->kind[i];
    if (i == kinds->n) {
        kinds->n++;
        memcpy(kind->pattern, pattern, sizeof pattern);
        snprintf(kind->first, sizeof kind->first, "%s", name);
    }
    kind->n++;
}
