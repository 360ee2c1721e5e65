/* The stream and the shared memory (wire.h). */
#include "oracles/wire.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/json_memory.h"
#include "oracles/evidence.h"

enum { FIRST_BYTES = 1 << 16 };

/* Waits until the descriptor can be read or written; OD_HUNG past the deadline. */
static enum od_status wait_for(int fd, short events, double deadline, od_error *e) {
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        const double left = deadline - od_seconds();
        if (left <= 0) return od_fail(e, OD_HUNG, "no answer in time");
        const int n = poll(&p, 1, left > 1e6 ? -1 : (int)ceil(left * 1e3));
        if (n > 0) return OD_OK;
        if (n < 0 && errno != EINTR) return od_fail(e, OD_IO, "the stream cannot be waited for: %s", strerror(errno));
    }
}

static ssize_t put(int fd, const char *bytes, size_t n) {
    const ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 && errno == ENOTSOCK ? write(fd, bytes, n) : sent;
}

static enum od_status put_all(int fd, const char *bytes, size_t n, double deadline, od_error *e) {
    for (size_t at = 0; at < n;) {
        enum od_status s = wait_for(fd, POLLOUT, deadline, e);
        if (s != OD_OK) return s;
        const ssize_t sent = put(fd, bytes + at, n - at);
        if (sent > 0) at += (size_t)sent;
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return od_fail(e, OD_IO, "the other end takes no message: %s", strerror(errno));
    }
    return OD_OK;
}

/* *got: bytes that came before the stream ended, where it did. */
static enum od_status take_all(int fd, char *bytes, size_t n, size_t *got, double deadline, od_error *e) {
    for (*got = 0; *got < n;) {
        enum od_status s = wait_for(fd, POLLIN, deadline, e);
        if (s != OD_OK) return s;
        const ssize_t came = read(fd, bytes + *got, n - *got);
        if (came > 0) *got += (size_t)came;
        if (came == 0) return od_fail(e, OD_IO, "the stream ended");
        if (came < 0 && errno != EINTR && errno != EAGAIN)
            return od_fail(e, OD_IO, "the other end cannot be read: %s", strerror(errno));
    }
    return OD_OK;
}

enum od_status od_wire_send(od_wire *w, json_t *message, double seconds, od_error *e) {
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    json_decref(message);
    if (od_json_short()) { /* since the message before: a part of this one is missing */
        free(text);
        text = NULL;
    }
    if (!text) return od_fail(e, OD_NO_MEMORY, "a message cannot be made: no memory, or no UTF-8 in it");
    const size_t n = strlen(text);
    enum od_status s = OD_OK;
    if (n > OD_WIRE_MOST) s = od_fail(e, OD_BAD_INPUT, "a message of %zu bytes; %d are the most", n, OD_WIRE_MOST);
    const unsigned char head[4] = {n & 255, n >> 8 & 255, n >> 16 & 255, n >> 24 & 255};
    const double deadline = od_seconds() + seconds;
    if (s == OD_OK) s = put_all(w->out, (const char *)head, sizeof head, deadline, e);
    if (s == OD_OK) s = put_all(w->out, text, n, deadline, e);
    free(text);
    return s;
}

static enum od_status parse(json_t **out, const char *text, size_t n, od_error *e) {
    json_error_t where;
    od_json_watch();
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    if (json_is_object(*out)) return OD_OK;
    if (!*out && od_json_short()) return od_fail(e, OD_NO_MEMORY, "no memory for a message of %zu bytes", n);
    const bool other = *out != NULL;
    json_decref(*out);
    *out = NULL;
    return other ? od_fail(e, OD_BAD_INPUT, "a message is no JSON object")
                 : od_fail(e, OD_BAD_INPUT, "a message of %zu bytes is no JSON: %.200s", n, where.text);
}

enum od_status od_wire_receive(json_t **out, od_wire *w, double seconds, od_error *e) {
    const double deadline = od_seconds() + seconds;
    unsigned char head[4];
    size_t got;
    *out = NULL;
    enum od_status s = take_all(w->in, (char *)head, sizeof head, &got, deadline, e);
    if (s == OD_IO && got > 0) return od_fail(e, OD_BAD_INPUT, "a message's length is cut off after %zu bytes", got);
    if (s != OD_OK) return s;
    const size_t n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    if (n > OD_WIRE_MOST) return od_fail(e, OD_BAD_INPUT, "a message of %zu bytes; %d are the most", n, OD_WIRE_MOST);
    char *text = malloc(n ? n : 1);
    if (!text) return od_fail(e, OD_NO_MEMORY, "no memory for a message of %zu bytes", n);
    s = take_all(w->in, text, n, &got, deadline, e);
    if (s == OD_IO) s = od_fail(e, OD_BAD_INPUT, "a message of %zu bytes is cut off after %zu", n, got);
    if (s == OD_OK) s = parse(out, text, n, e);
    free(text);
    return s;
}

/* ---- shared memory ----------------------------------------------------------------------------------------------- */

static enum od_status size_of(size_t *size, const od_wire *w, od_error *e) {
    struct stat st;
    if (fstat(w->memory, &st) != 0 || st.st_size < 0)
        return od_fail(e, OD_IO, "the shared memory has no size: %s", strerror(errno));
    *size = (size_t)st.st_size;
    return OD_OK;
}

void od_wire_unmap(od_wire *w) {
    if (w->map) munmap(w->map, w->mapped);
    w->map = NULL;
    w->mapped = 0;
}

static enum od_status map(od_wire *w, size_t size, od_error *e) {
    if (size == w->mapped) return OD_OK;
    od_wire_unmap(w);
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, w->memory, 0);
    if (p == MAP_FAILED)
        return od_fail(e, OD_NO_MEMORY, "%zu bytes of shared memory cannot be mapped: %s", size, strerror(errno));
    w->map = p;
    w->mapped = size;
    return OD_OK;
}

enum od_status od_wire_room(od_wire *w, size_t bytes, od_error *e) {
    size_t size, want = FIRST_BYTES;
    if (bytes <= w->mapped) return OD_OK;
    enum od_status s = size_of(&size, w, e);
    if (s != OD_OK) return s;
    if (bytes > (size_t)INT64_MAX / 4) return od_fail(e, OD_NO_MEMORY, "%zu bytes of shared memory", bytes);
    while (want < bytes) want *= 2;
    if (want > size && ftruncate(w->memory, (off_t)want) != 0)
        return od_fail(e, OD_NO_MEMORY, "no %zu bytes of shared memory: %s", want, strerror(errno));
    return map(w, want > size ? want : size, e);
}

void *od_wire_at(od_wire *w, size_t offset, size_t bytes) {
    size_t end, size;
    if (!od_size_add(&end, offset, bytes)) return NULL;
    if (end > w->mapped && (size_of(&size, w, NULL) != OD_OK || end > size || map(w, size, NULL) != OD_OK)) return NULL;
    return w->map ? w->map + offset : NULL;
}

bool od_wire_align(size_t *at) {
    size_t up;
    if (!od_size_add(&up, *at, OD_WIRE_ALIGNMENT - 1)) return false;
    *at = up / OD_WIRE_ALIGNMENT * OD_WIRE_ALIGNMENT;
    return true;
}
