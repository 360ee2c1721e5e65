/* Whole files in and out. Reads refuse what is no regular file before touching it (a FIFO would hang, a device may
 * never end); writes go beside the target and are renamed, so that no reader ever sees half a file. */
#include "model/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* Errors that say that the path is wrong, not that the file system failed. */
static bool is_bad_path(int error) {
    return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ELOOP;
}

/* A descriptor of a regular file and its size. O_NONBLOCK: opening a FIFO must not wait for a writer. */
static enum od_status open_regular(int *fd, size_t *size, const char *path, od_error *e) {
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return od_fail(e, is_bad_path(errno) ? OD_BAD_INPUT : OD_IO, "%s: cannot be opened: %s", path, strerror(errno));
    enum od_status status = OD_OK;
    if (fstat(*fd, &st) != 0)
        status = od_fail(e, OD_IO, "%s: cannot be examined: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        status = od_fail(e, OD_BAD_INPUT, "%s: is %s, a regular file is needed", path,
                         S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
    if (status != OD_OK)
        close(*fd);
    else
        *size = (size_t)st.st_size;
    return status;
}

/* read(2) until the buffer is full or the file ends. False on an error. */
static bool read_full(size_t *got, int fd, char *buffer, size_t size) {
    *got = 0;
    while (*got < size) {
        ssize_t n = read(fd, buffer + *got, size - *got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        if (n == 0) break;
        *got += (size_t)n;
    }
    return true;
}

static enum od_status too_large(const char *path, size_t limit, od_error *e) {
    return od_fail(e, OD_BAD_INPUT, "%s: is larger than the %zu bytes that are allowed here", path, limit);
}

/* To the end of the file, which may be another than fstat said. `room` is always one more than what is expected, so
 * that a read that fills it means that there is more. */
static enum od_status read_all(char **bytes, size_t *size, int fd, size_t expected, size_t limit, const char *path,
                               od_error *e) {
    size_t used = 0, got, room = expected + 1;
    char *buffer = NULL;
    enum od_status status;
    for (;;) {
        char *larger = realloc(buffer, room + 1);
        if (!larger) {
            status = od_fail(e, OD_NO_MEMORY, "%s: no memory for its %zu bytes", path, room);
            break;
        }
        buffer = larger;
        if (!read_full(&got, fd, buffer + used, room - used)) {
            status = od_fail(e, OD_IO, "%s: cannot be read: %s", path, strerror(errno));
            break;
        }
        used += got;
        if (used < room) {
            buffer[used] = 0;
            *bytes = buffer;
            *size = used;
            return OD_OK;
        }
        if (used > limit) {
            status = too_large(path, limit, e);
            break;
        }
        room = room > limit / 2 ? limit + 1 : 2 * room;
    }
    free(buffer);
    return status;
}

enum od_status od_file_read(char **bytes, size_t *size, const char *path, size_t limit, od_error *e) {
    size_t expected = 0;
    int fd;
    *bytes = NULL;
    *size = 0;
    if (limit > SIZE_MAX / 4) limit = SIZE_MAX / 4;
    enum od_status status = open_regular(&fd, &expected, path, e);
    if (status != OD_OK) return status;
    status = expected > limit ? too_large(path, limit, e) : read_all(bytes, size, fd, expected, limit, path, e);
    close(fd);
    return status;
}

enum od_status od_file_begin(char *bytes, size_t room, size_t *size, const char *path, od_error *e) {
    size_t got;
    int fd;
    enum od_status status = open_regular(&fd, size, path, e);
    if (status != OD_OK) return status;
    memset(bytes, 0, room);
    if (!read_full(&got, fd, bytes, room)) status = od_fail(e, OD_IO, "%s: cannot be read: %s", path, strerror(errno));
    close(fd);
    return status;
}

static bool write_full(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* All pieces into a new file; false with errno set where the file system refuses (the file may then be left). */
static bool write_temporary(const char *temporary, const od_piece *pieces, size_t n) {
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) ok = write_full(fd, pieces[i].bytes, pieces[i].size);
    int error = errno;
    if (close(fd) != 0 && ok) return false;
    errno = error;
    return ok;
}

enum od_status od_file_write_pieces(const char *path, const od_piece *pieces, size_t n, od_error *e) {
    struct stat st;
    char *temporary = NULL;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return od_fail(e, OD_BAD_INPUT, "%s: is %s, it cannot be replaced by a file", path,
                       S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
    if (asprintf(&temporary, "%s.tmp-%ld", path, (long)getpid()) < 0)
        return od_fail(e, OD_NO_MEMORY, "%s: no memory for the name of its temporary file", path);
    enum od_status status = OD_OK;
    sigset_t ends, before; /* a signal that ends the process waits until the file stands, or nothing does */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ends, &before);
    if (!write_temporary(temporary, pieces, n) || rename(temporary, path) != 0) {
        int error = errno;
        unlink(temporary);
        status =
            od_fail(e, is_bad_path(error) ? OD_BAD_INPUT : OD_IO, "%s: cannot be written: %s", path, strerror(error));
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    free(temporary);
    return status;
}

enum od_status od_file_write(const char *path, const void *bytes, size_t size, od_error *e) {
    const od_piece piece = {bytes, size};
    return od_file_write_pieces(path, &piece, 1, e);
}

enum od_status od_file_digest(uint64_t *size, uint64_t *xxh64, const char *path, od_error *e) {
    enum { PIECE = 1 << 16 };
    size_t expected, got = PIECE;
    uint64_t total = 0;
    int fd;
    enum od_status status = open_regular(&fd, &expected, path, e);
    if (status != OD_OK) return status;
    char *buffer = malloc(PIECE);
    XXH64_state_t *state = XXH64_createState();
    if (!buffer || !state) {
        status = od_fail(e, OD_NO_MEMORY, "%s: no memory for computing its digest", path);
        goto out;
    }
    XXH64_reset(state, 0);
    while (got == PIECE) {
        if (!read_full(&got, fd, buffer, PIECE)) {
            status = od_fail(e, OD_IO, "%s: cannot be read: %s", path, strerror(errno));
            goto out;
        }
        XXH64_update(state, buffer, got);
        total += got;
    }
    *size = total;
    *xxh64 = XXH64_digest(state);
out:
    XXH64_freeState(state);
    free(buffer);
    close(fd);
    return status;
}

bool od_stream_close(FILE *f) {
    const bool ok = ferror(f) == 0;
    return fclose(f) == 0 && ok;
}

bool od_text_close(FILE *f, char **text) {
    if (od_stream_close(f) && *text) return true;
    free(*text);
    *text = NULL;
    return false;
}

enum od_status od_path_beside(char *out, size_t out_size, const char *base_file, const char *path, od_error *e) {
    const char *slash = strrchr(base_file, '/');
    int folder = path[0] == '/' || !slash ? 0 : (int)(slash - base_file) + 1;
    if (!path[0]) return od_fail(e, OD_BAD_INPUT, "an empty path (beside %s)", base_file);
    int n = snprintf(out, out_size, "%.*s%s", folder, base_file, path);
    if (n < 0 || (size_t)n >= out_size)
        return od_fail(e, OD_BAD_INPUT, "%.*s%s: the path is longer than %zu bytes", folder, base_file, path,
                       out_size - 1);
    return OD_OK;
}
