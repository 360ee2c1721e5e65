#include "oracles/kinds.h"

#include <stdio.h>
#include <string.h>

#include "oracles/signature.h"

void od_kinds_add(od_kinds *kinds, const od_verdict *v, const char *name) {
    char pattern[OD_CASE_TEXT];
    if (v->outcome != OD_FINDING) return;
    od_signature_pattern(pattern, sizeof pattern, v->signature);
    size_t i = 0;
    while (i < kinds->n && strcmp(kinds->kind[i].pattern, pattern) != 0) i++;
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
