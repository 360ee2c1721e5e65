#include "oracles/finding.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

enum od_status od_make_folder(const char *path, od_error *e) {
    char part[1024];
    if (!path[0]) return od_fail(e, OD_BAD_INPUT, "a folder's path is empty");
    int n = snprintf(part, sizeof part, "%s", path);
    if (n < 0 || (size_t)n >= sizeof part) return od_fail(e, OD_IO, "the folder's path is too long: %.200s…", path);
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/') continue;
        char end = *p;
        *p = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return od_fail(e, OD_IO, "%s: the folder cannot be made: %s", part, strerror(errno));
        if (!end) break;
        *p = end;
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return od_fail(e, OD_IO, "%s is no folder", path);
    return OD_OK;
}

enum od_status od_finding_write(char *path, size_t size, const char *dir, const od_case *c, const od_verdict *v,
                                const char *environment, od_error *e) {
    char folder[800];
    int n = snprintf(folder, sizeof folder, "%s/findings", dir);
    if (n < 0 || (size_t)n >= sizeof folder) return od_fail(e, OD_IO, "the folder's path is too long: %.200s…", dir);
    enum od_status s = od_make_folder(folder, e);
    struct stat st;
    if (s == OD_OK && lstat(folder, &st) == 0 && S_ISLNK(st.st_mode)) /* --out itself may be one: its owner says so */
        s = od_fail(e, OD_BAD_INPUT,
                    "%.300s: is a symbolic link, and findings stay below --out: a folder would be right", folder);
    if (s != OD_OK) return s;
    n = snprintf(path, size, "%s/%016llx-%016llx.json", folder,
                 (unsigned long long)XXH64(v->signature, strlen(v->signature), 0), (unsigned long long)v->hash);
    if (n < 0 || (size_t)n >= size) return od_fail(e, OD_IO, "the finding's path is too long: %.200s…", folder);
    od_case found = *c;
    char mark[24] = "";
    if (v->recheck.judged) od_recheck_mark(mark, sizeof mark, &v->recheck);
    snprintf(found.found_verdict, sizeof found.found_verdict, "%s%s%.22s", od_outcome_name(v->outcome),
             mark[0] ? " " : "", mark);
    snprintf(found.found_signature, sizeof found.found_signature, "%s", v->signature);
    snprintf(found.found_pair, sizeof found.found_pair, "%s", v->pair);
    snprintf(found.found_environment, sizeof found.found_environment, "%s", environment);
    found.found_value = v->value;
    found.found_bound = v->bound;
    return od_case_write(&found, path, e);
}
