/* Taking values out of a JSON tree, each with its key's path in the message. For the readers of cases and of known
 * issues. */
#ifndef OD_MODEL_CASE_TREE_H
#define OD_MODEL_CASE_TREE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/status.h"

/* An object of the file: where it lies, for messages, and where errors go. */
typedef struct od_tree {
    const json_t *json;
    char path[96]; /* "series.csv", "" at the top */
    od_error *e;   /* never NULL */
} od_tree;

/* All return false with OD_BAD_INPUT in o->e where the text is wrong. The getters leave *out alone where the key is
 * absent and not needed. */

/* "PATH.KEY: must be WANTED"; always false. */
bool od_tree_wrong(const od_tree *o, const char *key, const char *wanted);

/* Every key of o is in known[], which ends in NULL. */
bool od_tree_known(const od_tree *o, const char *const *known);

/* The object at key; absent is fine where `needed` is false, child->json is NULL then. */
bool od_tree_object(od_tree *child, const od_tree *o, const char *key, bool needed);

/* Whole numbers within lo … hi; od_tree_size needs 1 … hi, od_tree_uint64 takes 0 … 2^63-1. */
bool od_tree_int(int64_t *out, const od_tree *o, const char *key, int64_t lo, int64_t hi, bool needed);
bool od_tree_unsigned(unsigned *out, const od_tree *o, const char *key, unsigned lo, unsigned hi, bool needed);
bool od_tree_size(size_t *out, const od_tree *o, const char *key, int64_t hi);
bool od_tree_uint64(uint64_t *out, const od_tree *o, const char *key, bool needed);

/* Never needed. A whole number is taken, too. */
bool od_tree_real(double *out, const od_tree *o, const char *key);
bool od_tree_bool(bool *out, const od_tree *o, const char *key, bool needed);

/* A text of less than size bytes. */
bool od_tree_text(char *out, size_t size, const od_tree *o, const char *key, bool needed);

/* One of names[0, n): its index. */
bool od_tree_choice(int *out, const od_tree *o, const char *key, const char *const *names, int n, bool needed);

/* The key "xxh64": 16 lower-case hexadecimal digits. */
bool od_tree_hash(uint64_t *out, const od_tree *o);

/* A number, or "nan", "inf", "-inf", which JSON cannot say otherwise. Needed. */
bool od_tree_measure(double *out, const od_tree *o, const char *key);

#endif
