#include "model/json_memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local bool failed;

/* A block to do without: it is given back where malloc fails, so that Jansson (2.14), whose reader runs past a token
 * that it had no memory for, seldom sees that. The tree is refused all the same. */
enum { SPARE = 1 << 16 };
static _Atomic(void *) spare;

static void *watched(size_t size) {
    void *p = malloc(size);
    if (p) return p;
    failed = true;
    free(atomic_exchange(&spare, NULL));
    return malloc(size);
}

static void keep_spare(void) {
    void *none = NULL, *block;
    if (spare || !(block = malloc(SPARE))) return;
    if (!atomic_compare_exchange_strong(&spare, &none, block)) free(block);
}

/* What was allocated before is malloc's as well: free takes both. */
static void install(void) {
    json_set_alloc_funcs(watched, free);
}

void od_json_watch(void) {
    pthread_once(&once, install);
    keep_spare();
    failed = false;
}

bool od_json_short(void) {
    const bool was = failed;
    od_json_watch();
    return was;
}

enum od_status od_json_load(json_t **out, const char *text, size_t size, const char *what, od_error *e) {
    json_error_t at;
    od_json_watch();
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &at);
    if (*out) return OD_OK;
    if (od_json_short()) return od_fail(e, OD_NO_MEMORY, "%.300s: no memory to read %zu bytes of JSON", what, size);
    return od_fail(e, OD_BAD_INPUT, "%.300s: line %d, column %d: %s", what, at.line, at.column, at.text);
}
