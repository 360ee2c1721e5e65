/* replay: every case below the folders named, in sorted order, or a share of them. */
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "oracles/cli/cli.h"

enum { MAX_SHARD = 4096 };

static enum od_status keep(od_path_list *list, const char *path, od_error *e) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 128;
        char **grown = realloc(list->path, cap * sizeof *grown);
        if (!grown) return od_fail(e, OD_NO_MEMORY, "no memory for %zu paths", cap);
        list->path = grown;
        list->cap = cap;
    }
    list->path[list->n] = strdup(path);
    return list->path[list->n++] ? OD_OK : od_fail(e, OD_NO_MEMORY, "no memory for a path");
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool is_case(const FTSENT *entry) {
    size_t n = entry->fts_namelen;
    return entry->fts_info == FTS_F && n > 5 && strcmp(entry->fts_name + n - 5, ".json") == 0;
}

/* A symbolic link that would be a case or a folder of cases if it were followed, or that leads nowhere. Whose corpus it
 * is, one does not know: links may lead out of it and in circles. To pass them by in silence would be green for cases
 * that nobody judged. */
static bool is_linked_case(const FTSENT *entry) {
    struct stat st;
    const size_t n = entry->fts_namelen;
    if (entry->fts_info != FTS_SL && entry->fts_info != FTS_SLNONE) return false;
    if (n > 5 && strcmp(entry->fts_name + n - 5, ".json") == 0) return true;
    return stat(entry->fts_accpath, &st) == 0 && S_ISDIR(st.st_mode);
}

enum od_status od_cli_collect(od_path_list *list, const char *dir, od_error *e) {
    char *roots[] = {(char *)dir, NULL};
    size_t before = list->n;
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!tree)
        return od_fail(e, errno == ENOMEM ? OD_NO_MEMORY : OD_BAD_INPUT, "'%s': cannot be walked: %s", dir,
                       strerror(errno));
    enum od_status s = OD_OK;
    for (FTSENT *entry; s == OD_OK && (errno = 0, entry = fts_read(tree));) {
        if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR)
            s = od_fail(e, entry->fts_errno == ENOMEM ? OD_NO_MEMORY : OD_BAD_INPUT, "%.300s: %s", entry->fts_path,
                        strerror(entry->fts_errno));
        else if (entry->fts_level == 0 && entry->fts_info != FTS_D && entry->fts_info != FTS_DP)
            s = od_fail(e, OD_BAD_INPUT, "%.300s: is no folder (run takes single cases)", entry->fts_path);
        else if (is_linked_case(entry))
            s = od_fail(
                e, OD_BAD_INPUT,
                "%.300s: is a symbolic link, which a corpus may not hold: the file or folder itself would be right",
                entry->fts_path);
        else if (is_case(entry))
            s = keep(list, entry->fts_path, e);
    }
    if (s == OD_OK && errno != 0) /* no more entries, and not for want of any */
        s = od_fail(e, errno == ENOMEM ? OD_NO_MEMORY : OD_IO, "%.300s: cannot be walked to its end: %s", dir,
                    strerror(errno));
    fts_close(tree);
    if (s == OD_OK && list->n == before)
        s = od_fail(e, OD_BAD_INPUT, "%.300s: holds no case (*.json, also in folders below)", dir);
    return s;
}

void od_path_list_free(od_path_list *list) {
    for (size_t i = 0; i < list->n; i++) free(list->path[i]);
    free(list->path);
    *list = (od_path_list){0};
}

/* A positive number up to `max`, digits alone, at *text, which is moved behind it; 0: none. */
static size_t digits(const char **text, size_t max) {
    size_t n = 0;
    for (; **text >= '0' && **text <= '9' && n <= max; (*text)++) n = 10 * n + (size_t)(**text - '0');
    return n <= max ? n : 0;
}

/* "I/N": leaves every N-th case, from the I-th on. Neighbours, which are often alike, go to different shares, and the
 * shares of one N are the whole without overlap. */
static enum od_status take_share(od_path_list *list, const char *shard, od_error *e) {
    const char *at = shard;
    const size_t i = digits(&at, MAX_SHARD), slash = *at == '/' ? (at++, 1) : 0, n = digits(&at, MAX_SHARD);
    if (!slash || *at || i < 1 || i > n)
        return od_fail(e, OD_BAD_INPUT, "--shard %.60s: I/N with 1 <= I <= N <= %d would be right", shard, MAX_SHARD);
    if (i > list->n)
        return od_fail(e, OD_BAD_INPUT, "--shard %s: of %zu cases none is left for that share", shard, list->n);
    size_t kept = 0;
    for (size_t k = 0; k < list->n; k++) {
        if (k % n == i - 1)
            list->path[kept++] = list->path[k];
        else
            free(list->path[k]);
    }
    list->n = kept;
    return OD_OK;
}

static int run(const od_args *args) {
    od_error e = {0};
    od_path_list list = {0};
    enum od_status s = OD_OK;
    if (args->n_rest == 0) s = od_fail(&e, OD_BAD_INPUT, "replay: which folder? Give at least one with cases");
    for (size_t i = 0; s == OD_OK && i < args->n_rest; i++) s = od_cli_collect(&list, args->rest[i], &e);
    if (s == OD_OK && args->shard) s = take_share(&list, args->shard, &e);
    int code = s == OD_OK ? od_run_files(args, (const char *const *)list.path, list.n) : od_complain(&e);
    od_path_list_free(&list);
    return code;
}

static const struct argp_option options[] = {
    {"shard", OD_KEY_SHARD, "I/N", 0, "Every N-th case alone, from the I-th on", 0},
    {"jobs", OD_KEY_JOBS, "N", 0, "Judge N cases at once, told in order; more than 1 imply --isolate, without speed",
     0},
    {0}};

const od_command od_cmd_replay = {.name = "replay",
                                  .usage = "DIR…",
                                  .about = "Run every case below folders, sorted",
                                  .options = options,
                                  .common = true,
                                  .run = run};
