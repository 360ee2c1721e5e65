/* Where results are to go: looked at before a run, so that none is computed for nothing. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oracles/cli/cli.h"

/* The folder that holds path: "." where it names none. */
static void parent(char *out, size_t size, const char *path) {
    snprintf(out, size, "%s", path);
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/') out[--n] = '\0';
    char *slash = strrchr(out, '/');
    if (!slash)
        snprintf(out, size, ".");
    else
        slash[slash == out] = '\0';
}

enum od_status od_cli_writable(const char *path, bool folder, od_error *e) {
    char at[1024];
    struct stat st;
    if (strlen(path) >= sizeof at) return od_fail(e, OD_BAD_INPUT, "the path is too long: %.200s…", path);
    snprintf(at, sizeof at, "%s", path);
    bool there = stat(at, &st) == 0;
    if (there && !folder && S_ISDIR(st.st_mode))
        return od_fail(e, OD_BAD_INPUT, "%s: is a folder, a file would be right", path);
    bool into = folder || !there; /* then something is made in the nearest folder that exists */
    while (!there && errno == ENOENT && strcmp(at, ".") != 0 && strcmp(at, "/") != 0) {
        char above[sizeof at];
        parent(above, sizeof above, at);
        snprintf(at, sizeof at, "%s", above);
        there = stat(at, &st) == 0;
        if (!folder) break;
    }
    if (!there) return od_fail(e, OD_BAD_INPUT, "%s: cannot be written: %s", path, strerror(errno));
    if (into && !S_ISDIR(st.st_mode))
        return od_fail(e, OD_BAD_INPUT, "%s: cannot be written: %s is no folder", path, at);
    if (access(at, into ? W_OK | X_OK : W_OK) != 0)
        return od_fail(e, OD_IO, "%s: cannot be written: %s", path, strerror(errno));
    return OD_OK;
}

void od_cli_show(char *out, size_t size, const char *path) {
    snprintf(out, size, "%s", path);
    od_text_clean(out);
}

void od_cli_stem(char *out, size_t size, const char *path) {
    const char *slash = strrchr(path, '/');
    snprintf(out, size, "%s", slash ? slash + 1 : path);
    size_t n = strlen(out);
    if (n > 5 && strcmp(out + n - 5, ".json") == 0) out[n - 5] = '\0';
}
