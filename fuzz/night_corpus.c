/* The corpus: for each target the set cover of all that its workers kept, made by the target itself (the same build,
 * its counters are part of the features) in an empty folder; canonical, named by content; then old and new change
 * places, so that a reader sees the one or the other. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "fuzz/night.h"
#include "model/file.h"
#include "oracles/finding.h"

enum { LARGEST = 1 << 20, MANY = 2 * OD_NIGHT_WORKERS + 8 };

static const char *const targets[OD_LANES] = {
    [OD_LANE_FORWARD] = "forward", [OD_LANE_SESSION] = "session", [OD_LANE_MODES] = "modes"};

/* Waits for a process until the deadline or a signal; true: it ended by itself with 0 (or 77, findings met again). */
static bool wait_for(od_night *n, od_night_process *p, double deadline) {
    while (!od_night_process_ended(p)) {
        if (od_seconds() > deadline || *n->stop) od_night_process_kill(p);
        usleep(5000);
    }
    return p->killed == 0 && WIFEXITED(p->status) && (WEXITSTATUS(p->status) == 0 || WEXITSTATUS(p->status) == 77);
}

/* Does this libFuzzer know the exact set cover (14 and later)? Else its own merge is a cover as well, a larger one. */
static const char *merge_option(od_night *n, const char *program, double deadline) {
    static od_night_env env;
    char log[OD_NIGHT_PATH], *text = NULL;
    size_t size = 0;
    const char *const argv[] = {program, "-help=1", NULL};
    od_night_process p;
    env.n = 0;
    od_night_env_device(&env, n, NULL);
    bool has = false;
    if (od_night_path(log, sizeof log, NULL, "%s/merge/help.txt", n->o.out) == OD_OK &&
        od_night_process_start(&p, argv, env.list, log, NULL) == OD_OK) {
        wait_for(n, &p, deadline);
        if (od_file_read(&text, &size, log, LARGEST, NULL) == OD_OK) has = strstr(text, "set_cover_merge") != NULL;
    }
    free(text);
    unlink(log);
    return has ? "-set_cover_merge=1" : "-merge=1";
}

static bool is_empty(const char *folder) {
    char **name;
    size_t n;
    od_night_list(&name, &n, folder);
    od_night_list_free(name, n);
    return n == 0;
}

/* Where a target's inputs are: seeds, the corpus so far, every home's. */
static unsigned gather(char (*folder)[OD_NIGHT_PATH], const od_night *n, const char *target,
                       const od_night_pool *homes) {
    unsigned count = 0;
    char path[OD_NIGHT_PATH];
    if (n->o.corpus[0] && od_night_path(path, sizeof path, NULL, "%s/%s", n->o.corpus, target) == OD_OK) {
        if (access(path, R_OK) != 0) od_night_path(path, sizeof path, NULL, "%s/forward", n->o.corpus);
        if (!is_empty(path)) strcpy(folder[count++], path);
    }
    if (od_night_path(path, sizeof path, NULL, "%s/corpus/%s", n->o.out, target) == OD_OK && !is_empty(path))
        strcpy(folder[count++], path);
    for (size_t i = 0; i < homes->n && count < MANY; i++)
        if (od_night_path(path, sizeof path, NULL, "%s/corpus/%s", homes->path[i], target) == OD_OK && !is_empty(path))
            strcpy(folder[count++], path);
    return count;
}

/* A target's merge while it runs. */
typedef struct cover {
    od_night_process process;
    unsigned lane, folders; /* folders: that it is made of */
    bool going, done;
    char into[OD_NIGHT_PATH], next[OD_NIGHT_PATH], old[OD_NIGHT_PATH];
} cover;

static bool start_cover(od_night *n, cover *c, char (*from)[OD_NIGHT_PATH], double deadline) {
    static od_night_env env;
    static const char *argv[MANY + 8];
    char log[OD_NIGHT_PATH], out[OD_NIGHT_PATH], base[OD_NIGHT_PATH], timeout[32], prefix[OD_NIGHT_PATH + 32];
    const char *program = n->target[c->lane];
    if (od_night_path(log, sizeof log, NULL, "%s/merge/log-%s.txt", n->o.out, targets[c->lane]) != OD_OK ||
        od_night_path(out, sizeof out, NULL, "%s/merge/out", n->o.out) != OD_OK)
        return false;
    snprintf(timeout, sizeof timeout, "-timeout=%.0f", n->o.hang < 1 ? 1 : n->o.hang);
    snprintf(prefix, sizeof prefix, "-artifact_prefix=%s-", out);
    snprintf(base, sizeof base, "%.1000s/forward", n->o.corpus);
    unsigned at = 0;
    argv[at++] = program;
    argv[at++] = merge_option(n, program, deadline);
    argv[at++] = timeout;
    argv[at++] = prefix;
    argv[at++] = c->into;
    for (unsigned i = 0; i < c->folders; i++) argv[at++] = from[i];
    argv[at] = NULL;
    env.n = 0;
    od_night_env_device(&env, n, n->n_slot ? &n->slot[c->lane % n->n_slot] : NULL);
    od_night_env_put(&env, "OD_REF", n->o.ref);
    od_night_env_put(&env, "OD_FAST", n->o.fast);
    od_night_env_put(&env, "OD_OUT", out);
    od_night_env_put(&env, "OD_KEEP_GOING", "1");
    od_night_env_put(&env, "OD_KNOWN", n->o.known);
    if (n->o.corpus[0]) od_night_env_put(&env, "OD_CORPUS", base);
    return od_night_process_start(&c->process, argv, env.list, log, NULL) == OD_OK;
}

/* All of FROM → INTO/<XXH64 of the canonical text>.json. Bytes that are no case stay out: they stand for the case that
 * the target made of them, which the mutator writes as soon as it is of use. */
static enum od_status canonical(size_t *kept, const char *into, const char *from, const char *base, od_error *e) {
    static od_case c;
    char **name, path[OD_NIGHT_PATH], to[OD_NIGHT_PATH];
    size_t n;
    enum od_status s = OD_OK;
    *kept = 0;
    od_night_list(&name, &n, from);
    for (size_t i = 0; i < n && s == OD_OK; i++) {
        char *bytes = NULL, *text = NULL;
        size_t size = 0, length = 0;
        if (od_night_path(path, sizeof path, NULL, "%s/%s", from, name[i]) != OD_OK) continue;
        if (od_file_read(&bytes, &size, path, LARGEST, NULL) == OD_OK &&
            od_case_parse(&c, bytes, size, base, NULL) == OD_OK) {
            od_case_forget_verdict(&c);
            s = od_case_format(&text, &length, &c, NULL, e); /* paths stay relative to the corpus of the seeds */
            if (s == OD_OK)
                s = od_night_path(to, sizeof to, e, "%s/%016llx.json", into,
                                  (unsigned long long)XXH64(text, length, 0));
            if (s == OD_OK) s = od_file_write(to, text, length, e);
            *kept += s == OD_OK;
        }
        free(bytes);
        free(text);
    }
    od_night_list_free(name, n);
    return s;
}

static enum od_status copy_folder(const char *to, const char *from, od_error *e) {
    char **name, path[OD_NIGHT_PATH], other[OD_NIGHT_PATH], *bytes = NULL;
    size_t n, size = 0;
    enum od_status s = OD_OK;
    od_night_list(&name, &n, from);
    for (size_t i = 0; i < n && s == OD_OK; i++) {
        s = od_night_path(path, sizeof path, e, "%s/%s", from, name[i]);
        if (s == OD_OK) s = od_night_path(other, sizeof other, e, "%s/%s", to, name[i]);
        if (s == OD_OK) s = od_file_read(&bytes, &size, path, LARGEST, e);
        if (s == OD_OK) s = od_file_write(other, bytes, size, e);
        free(bytes);
        bytes = NULL;
    }
    od_night_list_free(name, n);
    return s;
}

/* Begins a target's cover, where there is one to be had. */
static enum od_status begin_cover(od_night *n, cover *c, unsigned lane, const od_night_pool *homes, double deadline,
                                  od_error *e) {
    static char from[MANY][OD_NIGHT_PATH];
    const char *target = targets[lane];
    *c = (cover){.lane = lane};
    enum od_status s = od_night_path(c->into, sizeof c->into, e, "%s/merge/%s", n->o.out, target);
    if (s == OD_OK) s = od_night_path(c->next, sizeof c->next, e, "%s/corpus.next/%s", n->o.out, target);
    if (s == OD_OK) s = od_night_path(c->old, sizeof c->old, e, "%s/corpus/%s", n->o.out, target);
    if (s == OD_OK) s = od_make_folder(c->into, e);
    if (s == OD_OK) s = od_make_folder(c->next, e);
    if (s != OD_OK || !n->target[lane][0]) return s;
    c->folders = gather(from, n, target, homes);
    c->going = c->folders > 0 && start_cover(n, c, from, deadline);
    return s;
}

/* A target's new folder: its cover, or, where there is none, what was there. A cover of nothing is none. */
static enum od_status end_cover(od_night *n, cover *c, double deadline, od_error *e) {
    char base[OD_NIGHT_PATH];
    const char *target = targets[c->lane];
    size_t kept = 0;
    enum od_status s = od_night_path(base, sizeof base, e, "%.400s/forward/input.json", n->o.corpus);
    if (s == OD_OK && c->going && wait_for(n, &c->process, deadline)) s = canonical(&kept, c->next, c->into, base, e);
    c->done = s == OD_OK && kept > 0;
    if (s != OD_OK) return s;
    if (!c->done) return copy_folder(c->next, c->old, e);
    od_night_event(
        n, "corpus",
        json_pack("{s:s, s:I, s:I}", "target", target, "files", (json_int_t)kept, "folders", (json_int_t)c->folders),
        true);
    od_night_say(n, "corpus of %s: %zu cases cover what %u folders did", target, kept, c->folders);
    return s;
}

/* corpus.next takes the place of corpus in one step. */
static enum od_status swap(const od_night *n, od_error *e) {
    char now[OD_NIGHT_PATH], next[OD_NIGHT_PATH];
    enum od_status s = od_night_path(now, sizeof now, e, "%s/corpus", n->o.out);
    if (s == OD_OK) s = od_night_path(next, sizeof next, e, "%s/corpus.next", n->o.out);
    if (s != OD_OK) return s;
    int fd = open(next, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* thousands of files: one call instead of as many */
    int failed = fd < 0 || syncfs(fd) != 0 ? errno : 0;
    if (fd >= 0) close(fd);
    if (failed) return od_fail(e, OD_IO, "%.300s: cannot be brought to the disk: %s", next, strerror(failed));
    bool there = access(now, F_OK) == 0;
    if (renameat2(AT_FDCWD, next, AT_FDCWD, now, there ? RENAME_EXCHANGE : 0) != 0)
        return od_fail(e, OD_IO, "%.300s: cannot take its new content: %s", now, strerror(errno));
    s = od_night_sync_folder(n->o.out, e);
    return s == OD_OK ? od_night_remove(next, e) : s;
}

static enum od_status clear(const od_night *n, bool again, od_error *e) {
    static const char *const names[] = {"corpus.next", "merge"};
    char path[OD_NIGHT_PATH];
    enum od_status s = OD_OK;
    for (int i = 0; i < 2 && s == OD_OK; i++) {
        s = od_night_path(path, sizeof path, e, "%s/%s", n->o.out, names[i]);
        if (s == OD_OK) s = od_night_remove(path, e);
        if (s == OD_OK && again) s = od_make_folder(path, e);
    }
    return s;
}

bool od_night_corpus(od_night *n, const od_night_pool *homes, double deadline) {
    static cover covers[OD_LANES];
    od_error e, ignored;
    bool all = true, any = false;
    unsigned count = 0;
    enum od_status s = clear(n, true, &e);
    for (unsigned lane = 0; lane < OD_LANES && s == OD_OK; lane++)
        if (targets[lane] && (n->o.lanes >> lane & 1)) s = begin_cover(n, &covers[count++], lane, homes, deadline, &e);
    for (unsigned i = 0; i < count; i++) {
        if (s == OD_OK)
            s = end_cover(n, &covers[i], deadline, &e);
        else if (covers[i].process.pid > 0)
            wait_for(n, &covers[i].process, 0);
        all = all && covers[i].done;
        any = any || covers[i].done;
    }
    if (s == OD_OK && any && !*n->stop) s = swap(n, &e);
    if (s != OD_OK && n->failed.status == OD_OK) n->failed = e;
    clear(n, false, &ignored);
    return s == OD_OK && all && !*n->stop;
}
