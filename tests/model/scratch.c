#include "model/suites.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[256];
static char names[16][512];
static unsigned n_names;

void scratch_setup(void) {
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/od-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    n_names = 0;
}

const char *scratch(const char *name) {
    ck_assert_uint_lt(n_names, 16);
    char *path = names[n_names++];
    snprintf(path, sizeof names[0], "%s/%s", folder, name);
    return path;
}

/* Visits every entry of the folder; returns their number. */
static unsigned visit(int delete) {
    unsigned n = 0;
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[1024];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        n++;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (delete &&remove(path) != 0) ck_abort_msg("%s cannot be removed", path);
    }
    closedir(dir);
    return n;
}

unsigned scratch_count(void) {
    return visit(0);
}

void scratch_teardown(void) {
    visit(1);
    ck_assert_int_eq(rmdir(folder), 0);
}
