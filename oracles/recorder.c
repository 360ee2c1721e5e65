#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults/fault.h"
#include "oracles/recorder.h"

static enum od_status map(void **out, int fd, int protection, const char *path, od_error *e) {
    *out = mmap(NULL, sizeof(od_record), protection, MAP_SHARED, fd, 0);
    return *out == MAP_FAILED ? od_fail(e, OD_IO, "%.300s: cannot be mapped: %s", path, strerror(errno)) : OD_OK;
}

enum od_status od_recorder_open(od_record **out, const char *path, od_error *e) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return od_fail(e, OD_IO, "%.300s: cannot be written: %s", path, strerror(errno));
    /* allocated, not only sized: a full disk is an error here and no SIGBUS later */
    int refused = posix_fallocate(fd, 0, (off_t)sizeof(od_record));
    enum od_status s = refused ? od_fail(e, OD_IO, "%.300s: cannot be written: %s", path, strerror(refused)) : OD_OK;
    void *at = NULL;
    if (s == OD_OK) s = map(&at, fd, PROT_READ | PROT_WRITE, path, e);
    close(fd);
    if (s != OD_OK) return s;
    od_record *r = at;
    r->version = OD_RECORD_VERSION;
    r->pid = (uint64_t)getpid();
    r->since = od_seconds();
    r->worst_mae = r->worst_share = -1;
    atomic_thread_fence(memory_order_release);
    r->magic = OD_RECORD_MAGIC; /* last: who sees it sees the rest */
    *out = r;
    return OD_OK;
}

enum od_status od_recorder_look(const od_record **out, const char *path, od_error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return od_fail(e, OD_BAD_INPUT, "%.300s: cannot be read: %s", path, strerror(errno));
    struct stat st;
    void *at = NULL;
    enum od_status s = OD_OK;
    if (fstat(fd, &st) != 0 || (size_t)st.st_size < sizeof(od_record))
        s = od_fail(e, OD_BAD_INPUT, "%.300s: is no record of a run (%zu bytes)", path, sizeof(od_record));
    if (s == OD_OK) s = map(&at, fd, PROT_READ, path, e);
    close(fd);
    if (s != OD_OK) return s;
    const od_record *r = at;
    if (r->magic != OD_RECORD_MAGIC || r->version != OD_RECORD_VERSION) {
        od_recorder_close(r);
        return od_fail(e, OD_BAD_INPUT, "%.300s: is no record of a run, or one of another version (this is %d)", path,
                       OD_RECORD_VERSION);
    }
    *out = r;
    return OD_OK;
}

void od_recorder_close(const od_record *r) {
    if (r) munmap((void *)r, sizeof *r);
}

void od_recorder_start(od_record *r, const void *input, size_t bytes) {
    OD_FAULT_INPUT();
    if (!r) return;
    r->input_bytes = bytes;
    memcpy(r->input, input, bytes < OD_RECORD_INPUT ? bytes : OD_RECORD_INPUT);
    r->since = od_seconds();
    atomic_thread_fence(memory_order_release); /* the input is there before the count says so */
    r->started++;
}

void od_recorder_finish(od_record *r) {
    if (!r) return;
    r->since = od_seconds();
    atomic_thread_fence(memory_order_release);
    r->finished = r->started;
}

void od_recorder_add(od_record *r, const od_verdict *v) {
    if (!r) return;
    if (v->bad_input) {
        r->unusable++;
        return;
    }
    r->cases++;
    r->outcome[v->outcome]++;
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        enum od_outcome said = v->ruling[i].outcome;
        if (v->asked >> i & 1 && (said == OD_PASS || said == OD_FINDING || said == OD_KNOWN)) r->ruled[i]++;
    }
    const od_evidence *ev = v->evidence;
    if (!ev) return;
    r->compared += ev->n_compared;
    r->captures += ev->fast_end.captures;
    r->replays += ev->fast_end.replays;
    r->cache_hits += ev->fast_end.cache_hits;
    r->fallbacks += ev->fast_end.fallbacks;
    const od_row *mae = od_evidence_worst(ev, true), *share = od_evidence_worst(ev, false);
    if (mae && !isnan(r->worst_mae) && !(mae->most_mae <= r->worst_mae)) r->worst_mae = mae->most_mae;
    if (share && !isnan(r->worst_share) && !(share->share <= r->worst_share)) r->worst_share = share->share;
}
