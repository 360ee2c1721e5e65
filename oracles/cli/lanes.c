/* Lanes: cases of one run judged at once, each lane a thread with worker processes of its own, so that a crash or a
 * hang is one case's. The thread that began the run tells the cases in their order, and judges findings again in
 * workers that do nothing else: what a run says does not depend on the number of lanes, but for times. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "oracles/cli/batch.h"
#include "oracles/worker.h"

/* A slow case keeps later ones from being told; so many a lane may be done meanwhile. */
enum { SLOTS_A_LANE = 4 };

/* What case i leaves behind until it is told: in slot i modulo their number. */
typedef struct slot {
    od_judge judge;
    od_verdict verdict;
    bool done;
} slot;

typedef struct lanes lanes;

typedef struct lane {
    lanes *all;
    pthread_t thread;
    const od_engine_api *ref, *fast, *process; /* process: NULL where the run has none */
} lane;

struct lanes {
    od_batch *batch;
    od_case *cases;
    const char *const *paths;
    const atomic_int *stopped;
    lane *lane;
    slot *slot;
    size_t n, n_lane, n_slot;
    /* the lock's: */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t taken, told, running;
    bool ended; /* no more cases are to be taken */
};

static enum od_status hire(lane *l, od_batch *b, od_error *e) {
    const od_args *a = b->args;
    const char *fast = a->fast ? a->fast : b->judge.setup.fast->name;
    enum od_status s = od_cli_worker(&l->ref, a->ref ? a->ref : b->judge.setup.ref->name, false, a->timeout, e);
    if (s == OD_OK) s = od_cli_worker(&l->fast, fast, false, a->timeout, e);
    if (s == OD_OK && b->process_every) s = od_cli_worker(&l->process, fast, true, a->timeout, e);
    return s;
}

/* Everything but the buffers is the run's. */
static void fill_judge(od_judge *j, const od_judge *of) {
    od_judge_init(j, of->setup.ref, of->setup.fast);
    j->setup = of->setup;
    j->required = of->required;
    j->known = of->known;
}

static void judge(const lane *l, slot *t, size_t i) {
    od_setup *setup = &t->judge.setup;
    setup->ref = l->ref;
    setup->fast = l->fast;
    setup->process = od_batch_in_process(l->all->batch, i) ? l->process : NULL;
    od_judge_case(&t->verdict, &t->judge, &l->all->cases[i]);
}

static void *work(void *arg) {
    lane *l = arg;
    lanes *all = l->all;
    pthread_mutex_lock(&all->lock);
    while (all->taken < all->n && !all->ended && !*all->stopped) {
        if (all->taken - all->told == all->n_slot) {
            pthread_cond_wait(&all->moved, &all->lock);
            continue;
        }
        const size_t i = all->taken++;
        slot *t = &all->slot[i % all->n_slot];
        pthread_mutex_unlock(&all->lock);
        judge(l, t, i);
        pthread_mutex_lock(&all->lock);
        t->done = true;
        pthread_cond_broadcast(&all->moved);
    }
    pthread_mutex_unlock(&all->lock);
    od_worker_engine_rest(l->ref);
    od_worker_engine_rest(l->fast);
    if (l->process) od_worker_engine_rest(l->process);
    pthread_mutex_lock(&all->lock);
    all->running--;
    pthread_cond_broadcast(&all->moved);
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* What was taken is judged to its end and told, also after a stop. */
static enum od_status tell(lanes *all, bool progress, od_error *e) {
    enum od_status s = OD_OK;
    pthread_mutex_lock(&all->lock);
    for (;;) {
        slot *t = &all->slot[all->told % all->n_slot];
        const size_t i = all->told;
        if (!t->done) {
            if (all->running == 0) break;
            pthread_cond_wait(&all->moved, &all->lock);
            continue;
        }
        pthread_mutex_unlock(&all->lock);
        if (progress) fprintf(stderr, "\r\033[K%zu of %zu: %s", i + 1, all->n, all->paths[i]);
        if (s == OD_OK) s = od_batch_tell(all->batch, &t->verdict, &all->cases[i], all->paths[i], e);
        pthread_mutex_lock(&all->lock);
        t->done = false;
        all->told++;
        all->ended = all->ended || s != OD_OK;
        pthread_cond_broadcast(&all->moved);
    }
    pthread_mutex_unlock(&all->lock);
    return s;
}

/* Signals are for the thread that tells. Starts as many lanes as it can; one will do. */
static enum od_status start(lanes *all, od_error *e) {
    sigset_t ours, before;
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ours, &before);
    pthread_mutex_lock(&all->lock);
    while (all->running < all->n_lane &&
           pthread_create(&all->lane[all->running].thread, NULL, work, &all->lane[all->running]) == 0)
        all->running++;
    all->n_lane = all->running;
    pthread_mutex_unlock(&all->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return all->n_lane ? OD_OK : od_fail(e, OD_NO_MEMORY, "no thread for a lane");
}

enum od_status od_lanes_run(od_batch *b, od_case *cases, const char *const *paths, size_t n, const atomic_int *stopped,
                            bool progress, od_error *e) {
    lanes all = {.batch = b, .cases = cases, .paths = paths, .stopped = stopped, .n = n};
    all.n_lane = b->args->lanes < n ? (size_t)b->args->lanes : n;
    all.n_slot = all.n_lane * SLOTS_A_LANE;
    pthread_mutex_init(&all.lock, NULL);
    pthread_cond_init(&all.moved, NULL);
    all.lane = calloc(all.n_lane, sizeof *all.lane);
    all.slot = calloc(all.n_slot, sizeof *all.slot);
    enum od_status s = all.lane && all.slot ? OD_OK : od_fail(e, OD_NO_MEMORY, "no memory for %zu lanes", all.n_lane);
    for (size_t i = 0; s == OD_OK && i < all.n_slot; i++) fill_judge(&all.slot[i].judge, &b->judge);
    for (size_t i = 0; s == OD_OK && i < all.n_lane; i++) {
        all.lane[i].all = &all;
        s = hire(&all.lane[i], b, e);
    }
    if (s == OD_OK) s = start(&all, e);
    if (s == OD_OK) {
        s = tell(&all, progress, e);
        for (size_t i = 0; i < all.n_lane; i++) pthread_join(all.lane[i].thread, NULL);
    }
    for (size_t i = 0; all.slot && i < all.n_slot; i++) od_judge_free(&all.slot[i].judge);
    pthread_cond_destroy(&all.moved);
    pthread_mutex_destroy(&all.lock);
    free(all.slot);
    free(all.lane);
    return s;
}
