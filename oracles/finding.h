/* A finding as a file that anyone can replay: the case, with what was found. */
#ifndef OD_ORACLES_FINDING_H
#define OD_ORACLES_FINDING_H

#include "oracles/judge.h"

/* Writes DIR/findings/<XXH64 of signature>-<XXH64 of case>.json (folders are made), paths rewritten to stay true, and
 * returns its path in path[size]. `environment` is one line. The same finding again overwrites the same file. */
enum od_status od_finding_write(char *path, size_t size, const char *dir, const od_case *c, const od_verdict *v,
                                const char *environment, od_error *e);

/* Makes a folder and those above it; one that exists is fine. OD_IO. */
enum od_status od_make_folder(const char *path, od_error *e);

#endif
