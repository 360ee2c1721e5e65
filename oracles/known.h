/* A list of known issues: findings that somebody has looked at and that are let pass for a while, each for a reason,
 * with a place to read on, and until a day. */
#ifndef OD_ORACLES_KNOWN_H
#define OD_ORACLES_KNOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "model/status.h"

enum { OD_KNOWN_DAY = 11, OD_KNOWN_TEXT = 200, OD_KNOWN_MAX_BYTES = 1 << 20 };

typedef struct od_known_issue {
    char signature[OD_KNOWN_TEXT]; /* oracle/subject/step/shape/pair; a field that is "*" matches every one */
    char reason[OD_KNOWN_TEXT];
    char link[OD_KNOWN_TEXT];   /* an address, or a case's path */
    char expires[OD_KNOWN_DAY]; /* YYYY-MM-DD: the last day on which it holds */
    bool expired;
} od_known_issue;

typedef struct od_known {
    od_known_issue *issue;
    size_t n;
    size_t n_expired;
} od_known;

/* A finding that its case expects, or one that a case expects in vain, is not looked up: that is the case's affair.
 *
 * Reads a list:
 *   {"format": 1, "issues": [{"signature": "…", "reason": "…", "link": "…", "expires": "2027-01-31"}, …]}
 * today: YYYY-MM-DD, or NULL: the present day, UTC. OD_BAD_INPUT says which entry and key: unknown keys, missing or
 * empty values, a signature that has not five fields, names no oracle or has a "*" beside other letters, a day that no
 * calendar has. *out is empty on error; od_known_free. */
enum od_status od_known_read(od_known *out, const char *path, const char *today, od_error *e);
void od_known_free(od_known *known); /* a zeroed one is fine */

/* The issue that the signature is: one that holds before one that has expired; NULL: none. known may be NULL. */
const od_known_issue *od_known_find(const od_known *known, const char *signature);

#endif
