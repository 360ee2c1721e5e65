/* A locale with a decimal comma, made on the spot: machines seldom have one installed, and number code that never met
 * one is not tested. */
#include <ftw.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/suites.h"

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at) {
    return remove(path);
}

bool scratch_comma_locale(void) {
    static const char source[] = "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n";
    char folder[] = "/tmp/od-locale-XXXXXX", path[64], command[256];
    if (!mkdtemp(folder)) return false;
    snprintf(path, sizeof path, "%s/source", folder);
    FILE *f = fopen(path, "w");
    bool ok = f && fputs(source, f) >= 0;
    if (f && fclose(f) != 0) ok = false;
    snprintf(command, sizeof command, "localedef -c -i %s -f ANSI_X3.4-1968 %s/comma >/dev/null 2>&1", path, folder);
    int exit_status = ok ? system(command) : -1; /* warns, and so exits 1, of the categories that are not given */
    ok = ok && exit_status != -1 && setenv("LOCPATH", folder, 1) == 0 && setlocale(LC_NUMERIC, "comma") != NULL;
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return ok;
}
