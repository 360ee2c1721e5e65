/* Files and folders that are whole or not there, also after a power cut. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/night.h"

enum od_status od_night_path(char *path, size_t size, od_error *e, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(path, size, format, args);
    va_end(args);
    return n >= 0 && (size_t)n < size ? OD_OK : od_fail(e, OD_IO, "a path is too long: %.200s…", path);
}

enum od_status od_night_sync_folder(const char *path, od_error *e) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return od_fail(e, OD_IO, "%.300s: cannot be opened: %s", path, strerror(errno));
    int failed = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    close(fd);
    return failed ? od_fail(e, OD_IO, "%.300s: cannot be brought to the disk: %s", path, strerror(failed)) : OD_OK;
}

static int write_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : EIO;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

enum od_status od_night_write(const char *path, const void *bytes, size_t size, od_error *e) {
    char part[OD_NIGHT_PATH + 32], folder[OD_NIGHT_PATH];
    enum od_status s = od_night_path(part, sizeof part, e, "%s.tmp-%d", path, (int)getpid());
    if (s != OD_OK) return s;
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int failed = fd < 0 ? errno : write_all(fd, bytes, size);
    if (!failed && fsync(fd) != 0) failed = errno;
    if (fd >= 0 && close(fd) != 0 && !failed) failed = errno;
    if (!failed && rename(part, path) != 0) failed = errno;
    if (failed) {
        unlink(part);
        return od_fail(e, OD_IO, "%.300s: cannot be written: %s", path, strerror(failed));
    }
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
    return od_night_sync_folder(slash ? folder : ".", e);
}

static int is_name(const struct dirent *entry) {
    return entry->d_name[0] != '.' && !strstr(entry->d_name, ".tmp");
}

void od_night_list(char ***names, size_t *n, const char *folder) {
    struct dirent **entry = NULL;
    int count = scandir(folder, &entry, is_name, alphasort);
    *names = NULL;
    *n = 0;
    if (count <= 0) {
        free(entry);
        return;
    }
    *names = calloc((size_t)count, sizeof **names);
    for (int i = 0; i < count; i++) {
        if (*names && ((*names)[*n] = strdup(entry[i]->d_name))) ++*n;
        free(entry[i]);
    }
    free(entry);
}

void od_night_list_free(char **names, size_t n) {
    for (size_t i = 0; i < n; i++) free(names[i]);
    free(names);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

enum od_status od_night_remove(const char *path, od_error *e) {
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT) return OD_OK;
    return od_fail(e, OD_IO, "%.300s: cannot be removed: %s", path, strerror(errno));
}

void od_night_time(char text[32]) {
    time_t now = time(NULL);
    struct tm utc;
    text[0] = '\0';
    if (gmtime_r(&now, &utc)) strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}
