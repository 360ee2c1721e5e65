/* Findings of a run by their kind: a thousand of one kind are one thing to look at. */
#ifndef OD_ORACLES_KINDS_H
#define OD_ORACLES_KINDS_H

#include "oracles/judge.h"

enum { OD_KINDS = 64 };

typedef struct od_kind {
    char pattern[OD_CASE_TEXT]; /* the signature with "*" for its shape class, as a list of known issues takes it */
    char first[OD_CASE_PATH];   /* the first case */
    uint64_t n;
} od_kind;

/* In the order of their first findings; zeroed: none. Findings of kinds beyond the last place are only counted. */
typedef struct od_kinds {
    od_kind kind[OD_KINDS];
    size_t n;
    uint64_t more;
} od_kinds;

/* How many findings of the verdict's kind were counted so far. */
uint64_t od_kinds_count(const od_kinds *kinds, const od_verdict *v);

/* Counts a verdict that is a FINDING, by the signature that decided; others are nothing to it. */
void od_kinds_add(od_kinds *kinds, const od_verdict *v, const char *name);

#endif
