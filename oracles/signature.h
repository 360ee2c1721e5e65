/* Findings are of one kind where their signatures differ in the shape class alone: what is shrunk, or run another way,
 * is still the same finding while its kind is. */
#ifndef OD_ORACLES_SIGNATURE_H
#define OD_ORACLES_SIGNATURE_H

#include "oracles/judge.h"

enum { OD_SIGNATURE_FIELDS = 5 };

/* Is it the signature that the pattern means, in which a field that is "*" may be any? */
bool od_signature_matches(const char *signature, const char *pattern);

/* Same oracle, subject, step class and pair of engines, whatever the shape class; false where either is "" or no
 * signature. */
bool od_signature_same_kind(const char *a, const char *b);

/* The signature with "*" for its shape class: the pattern of its kind. What is no signature is copied as it is. */
void od_signature_pattern(char *pattern, size_t size, const char *signature);

/* A finding of weights that are not read: it comes only where they are changed (od_judge.weights). */
bool od_signature_needs_weights(const char *signature);

/* One that a play in a fresh process may show (od_setup.process); also where no signature is known yet. */
bool od_signature_needs_process(const char *signature);

/* The verdict's ruling of that kind, FINDING or KNOWN; NULL: the verdict has none. Other findings of the case do not
 * count, graver ones either. A finding of an absent `expect` has no ruling and is not found. */
const od_ruling *od_verdict_of_kind(const od_verdict *v, const char *signature);

#endif
