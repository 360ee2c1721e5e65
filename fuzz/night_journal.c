/* night.jsonl: one JSON object a line, appended with one write each. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/night.h"
#include "model/file.h"
#include "model/json_memory.h"

enum { LONGEST = 1 << 20 }; /* of a line */

static enum od_status fold_line(od_night_totals *t, const char *text, size_t size, size_t number, const char *path,
                                const char *night, od_error *e) {
    json_error_t wrong;
    od_json_watch();
    json_t *line = json_loadb(text, size, JSON_REJECT_DUPLICATES, &wrong);
    if (!line && od_json_short())
        return od_fail(e, OD_NO_MEMORY, "%.300s: line %zu: no memory to read it", path, number);
    if (!json_is_object(line) || !od_night_text(line, "event")[0]) {
        json_decref(line);
        return od_fail(e, OD_BAD_INPUT, "%.300s: line %zu is no event of a night", path, number);
    }
    enum od_status s = od_night_fold(t, line, night, e);
    json_decref(line);
    return s == OD_OK ? OD_OK : od_error_prefix(e, "%.300s: line %zu", path, number);
}

enum od_status od_night_journal_read(od_night_totals *t, size_t *whole, const char *path, const char *night,
                                     od_error *e) {
    FILE *f = fopen(path, "re");
    if (!f) return od_fail(e, OD_BAD_INPUT, "%.300s: cannot be read: %s", path, strerror(errno));
    char *text = NULL;
    size_t room = 0, number = 0;
    enum od_status s = OD_OK;
    *whole = 0;
    for (ssize_t n; s == OD_OK && (n = getline(&text, &room, f)) > 0;) {
        number++;
        if (text[n - 1] != '\n') break; /* torn */
        s = fold_line(t, text, (size_t)n, number, path, night, e);
        if (s == OD_OK) *whole += (size_t)n;
    }
    if (s == OD_OK && ferror(f)) s = od_fail(e, OD_IO, "%.300s: cannot be read: %s", path, strerror(errno));
    free(text);
    fclose(f);
    return s;
}

enum od_status od_night_journal_open(od_night_journal *j, od_night_totals *t, const char *path, od_error *e) {
    size_t whole = 0;
    enum od_status s = od_night_path(j->path, sizeof j->path, e, "%s", path);
    if (s != OD_OK) return s;
    j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (j->fd < 0) return od_fail(e, OD_IO, "%.300s: cannot be written: %s", path, strerror(errno));
    s = od_night_journal_read(t, &whole, path, "", e);
    if (s == OD_OK && ftruncate(j->fd, (off_t)whole) != 0)
        s = od_fail(e, OD_IO, "%.300s: cannot be cut: %s", path, strerror(errno));
    return s;
}

enum od_status od_night_journal_append(od_night_journal *j, const json_t *line, bool durable, od_error *e) {
    char *text = od_json_short() ? NULL : json_dumps(line, JSON_COMPACT); /* since the one before: a part is missing */
    size_t size = text ? strlen(text) : 0;
    struct stat before;
    if (!text || size >= LONGEST) {
        free(text);
        return od_fail(e, OD_NO_MEMORY, "%.300s: no memory for a line", j->path);
    }
    text[size++] = '\n';
    int failed = fstat(j->fd, &before) != 0 ? errno : 0;
    ssize_t n = failed ? -1 : write(j->fd, text, size);
    if (!failed && n != (ssize_t)size) {
        failed = n < 0 ? errno : ENOSPC;
        if (ftruncate(j->fd, before.st_size) != 0) failed = errno;
    }
    if (!failed && durable && fdatasync(j->fd) != 0 && errno != EINVAL) failed = errno;
    free(text);
    return failed ? od_fail(e, OD_IO, "%.300s: cannot be written: %s", j->path, strerror(failed)) : OD_OK;
}
