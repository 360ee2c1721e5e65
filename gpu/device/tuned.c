#include "gpu/device/tuned.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct entry {
    struct entry *next;
    char key[OD_TUNED_KEY], value[OD_TUNED_VALUE];
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *table;
static bool is_read;
static od_error refused; /* what reading the file said, if it failed: said again until od_tuned_clear */

static const char *file_name(void) {
    const char *name = getenv("OD_AUTOTUNE_FILE");
    return name && name[0] ? name : NULL;
}

static entry *find(const char *key) {
    entry *at = table;
    while (at && strcmp(at->key, key) != 0) at = at->next;
    return at;
}

static enum od_status enter(const char *key, const char *value, bool anew, od_error *e) {
    entry *at = find(key);
    if (at && !anew) return OD_OK;
    if (strlen(key) >= OD_TUNED_KEY || strlen(value) >= OD_TUNED_VALUE)
        return od_fail(e, OD_BAD_INPUT, "autotune: an entry '%.40s' is too long", key);
    if (!at) {
        at = calloc(1, sizeof *at);
        if (!at) return od_fail(e, OD_NO_MEMORY, "autotune: cannot allocate %zu bytes", sizeof *at);
        snprintf(at->key, sizeof at->key, "%s", key);
        at->next = table;
        table = at;
    }
    snprintf(at->value, sizeof at->value, "%s", value);
    return OD_OK;
}

static enum od_status read_lines(FILE *f, const char *name, od_error *e) {
    char line[OD_TUNED_KEY + OD_TUNED_VALUE + 2];
    for (size_t number = 1; fgets(line, sizeof line, f); number++) {
        char *blank = strchr(line, ' '), *end = strchr(line, '\n');
        if (!blank || !end || blank > end || blank == line || blank + 1 == end)
            return od_fail(e, OD_BAD_INPUT, "%s:%zu: not a line 'key value'; delete the file to time anew", name,
                           number);
        *blank = *end = 0;
        enum od_status status = enter(line, blank + 1, false, e);
        if (status) return status;
    }
    return ferror(f) ? od_fail(e, OD_IO, "%s: cannot be read", name) : OD_OK;
}

/* What is in the table already stays: it is newer. A file that is not there yet is an empty one. */
static enum od_status merge_file(od_error *e) {
    const char *name = file_name();
    if (!name) return OD_OK;
    FILE *f = fopen(name, "r");
    if (!f) return errno == ENOENT ? OD_OK : od_fail(e, OD_IO, "%s: %s", name, strerror(errno));
    enum od_status status = read_lines(f, name, e);
    fclose(f);
    return status;
}

static enum od_status read_file(od_error *e) {
    if (!is_read) {
        is_read = true;
        refused = (od_error){0};
        merge_file(&refused);
    }
    return refused.status ? od_fail(e, refused.status, "%s", refused.text) : OD_OK;
}

/* By way of a file beside it, so that another process never reads half a table. */
static enum od_status write_file(od_error *e) {
    const char *name = file_name();
    char beside[4096];
    if (!name) return OD_OK;
    if (snprintf(beside, sizeof beside, "%s.%ld", name, (long)getpid()) >= (int)sizeof beside)
        return od_fail(e, OD_BAD_INPUT, "OD_AUTOTUNE_FILE: the name is too long");
    FILE *f = fopen(beside, "w");
    if (!f) return od_fail(e, OD_IO, "%s: %s", beside, strerror(errno));
    for (const entry *at = table; at; at = at->next) fprintf(f, "%s %s\n", at->key, at->value);
    const bool written = !ferror(f);
    if (fclose(f) != 0 || !written || rename(beside, name) != 0) {
        od_fail(e, OD_IO, "%s: %s", name, strerror(errno));
        remove(beside);
        return OD_IO;
    }
    return OD_OK;
}

enum od_status od_tuned_get(const char *key, char value[OD_TUNED_VALUE], bool *found, od_error *e) {
    pthread_mutex_lock(&lock);
    enum od_status status = read_file(e);
    const entry *at = status ? NULL : find(key);
    *found = at != NULL;
    if (at) memcpy(value, at->value, OD_TUNED_VALUE);
    pthread_mutex_unlock(&lock);
    return status;
}

enum od_status od_tuned_put(const char *key, const char *value, od_error *e) {
    pthread_mutex_lock(&lock);
    enum od_status status = read_file(e);
    if (!status) status = enter(key, value, true, e);
    if (!status) status = merge_file(e); /* another process may have added to it */
    if (!status) status = write_file(e);
    pthread_mutex_unlock(&lock);
    return status;
}

void od_tuned_clear(void) {
    pthread_mutex_lock(&lock);
    for (entry *next; table; table = next) {
        next = table->next;
        free(table);
    }
    is_read = false;
    pthread_mutex_unlock(&lock);
}
