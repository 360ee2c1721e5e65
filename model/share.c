#include "model/share.h"

#include <stdatomic.h>
#include <threads.h>

struct work {
    void (*part)(void *arg, size_t i);
    void *arg;
    size_t n;
    atomic_size_t next;
};

static int take_parts(void *arg) {
    struct work *w = arg;
    for (size_t i; (i = atomic_fetch_add(&w->next, 1)) < w->n;) w->part(w->arg, i);
    return 0;
}

void od_share(void (*part)(void *arg, size_t i), void *arg, size_t n, unsigned n_thread) {
    enum { MOST = 64 };
    struct work w = {.part = part, .arg = arg, .n = n};
    thrd_t helper[MOST];
    unsigned started = 0;
    while (started + 1 < n_thread && started + 1 < n && started < MOST &&
           thrd_create(&helper[started], take_parts, &w) == thrd_success)
        started++;
    take_parts(&w);
    while (started > 0) thrd_join(helper[--started], NULL);
}
