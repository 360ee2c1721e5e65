/* A target without a fuzz engine: any compiler builds it, and every input runs once.
 *   replay_NAME FILE-OR-FOLDER…      a folder stands for the regular files in it, in order of name
 * Exit 0: all ran, no finding. A finding aborts, as under libFuzzer. 2: no file, or one that cannot be read or used. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/target.h"
#include "model/file.h"

#ifndef OD_REPLAY_MAX_BYTES
#define OD_REPLAY_MAX_BYTES OD_CASE_MAX_BYTES
#endif

static size_t n_input, n_unusable;

static void run_file(const char *path) {
    char *bytes = NULL;
    size_t size = 0;
    od_error e;
    if (od_file_read(&bytes, &size, path, OD_REPLAY_MAX_BYTES, &e) != OD_OK) {
        fprintf(stderr, "replay: %s\n", e.text);
        exit(2);
    }
    fprintf(stderr, "%s\n", path);
    n_unusable += LLVMFuzzerTestOneInput((const uint8_t *)bytes, size) != 0;
    free(bytes);
    n_input++;
}

static int no_dot(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void run_path(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        run_file(path);
        return;
    }
    struct dirent **entry = NULL;
    int n = scandir(path, &entry, no_dot, alphasort);
    for (int i = 0; i < n; i++) {
        char file[4096];
        int length = snprintf(file, sizeof file, "%s/%s", path, entry[i]->d_name);
        if (length < (int)sizeof file && stat(file, &st) == 0 && S_ISREG(st.st_mode)) run_file(file);
        free(entry[i]);
    }
    free(entry);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) run_path(argv[i]);
    if (n_input == 0) {
        fprintf(stderr, "replay: no file to run; give case files, or folders with some\n");
        return 2;
    }
    fprintf(stderr, "replay: %zu files, %zu of them unusable\n", n_input, n_unusable);
    return n_unusable ? 2 : 0;
}
