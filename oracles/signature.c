#include "oracles/signature.h"

#include <stdio.h>
#include <string.h>

/* oracle/subject/step/shape/pair: where the shape class begins and how long it is. */
static bool find_shape(const char *signature, size_t *at, size_t *n) {
    const char *end = strrchr(signature, '/');
    const char *begin = end;
    if (!end) return false;
    while (begin > signature && begin[-1] != '/') begin--;
    *at = (size_t)(begin - signature);
    *n = (size_t)(end - begin);
    unsigned before = 0;
    for (size_t i = 0; i < *at; i++) before += signature[i] == '/';
    return before == 3;
}

bool od_signature_same_kind(const char *a, const char *b) {
    size_t at_a, n_a, at_b, n_b;
    if (!find_shape(a, &at_a, &n_a) || !find_shape(b, &at_b, &n_b)) return false;
    return at_a == at_b && memcmp(a, b, at_a) == 0 && strcmp(a + at_a + n_a, b + at_b + n_b) == 0;
}

void od_signature_pattern(char *pattern, size_t size, const char *signature) {
    size_t at, n;
    if (find_shape(signature, &at, &n))
        snprintf(pattern, size, "%.*s*%s", (int)at, signature, signature + at + n);
    else
        snprintf(pattern, size, "%s", signature);
}

bool od_signature_matches(const char *signature, const char *pattern) {
    for (unsigned field = 0; field < OD_SIGNATURE_FIELDS; field++) {
        const size_t n = strcspn(pattern, "/"), m = strcspn(signature, "/");
        const bool any = n == 1 && pattern[0] == '*';
        if (!any && (n != m || memcmp(pattern, signature, n) != 0)) return false;
        pattern += n;
        signature += m;
        if (!*pattern || !*signature) return field == OD_SIGNATURE_FIELDS - 1 && !*pattern && !*signature;
        pattern++;
        signature++;
    }
    return false;
}

bool od_signature_needs_weights(const char *signature) {
    return strncmp(signature, "vacuity/weights/", strlen("vacuity/weights/")) == 0;
}

bool od_signature_needs_process(const char *signature) {
    return !signature[0] || strncmp(signature, "determinism/", strlen("determinism/")) == 0 ||
           strncmp(signature, "engine/", 7) == 0;
}

const od_ruling *od_verdict_of_kind(const od_verdict *v, const char *signature) {
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (v->asked >> i & 1 && od_signature_same_kind(v->ruling[i].signature, signature)) return &v->ruling[i];
    return NULL;
}
