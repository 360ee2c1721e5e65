/* Which planted fault is on. Linked only into builds with -DOD_FAULTS=ON, where printing and ending are in order. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/faults/fault.h"

/* clang-format off */
static const struct {
    const char *name, *family, *stage, *about, *list;
} faults[OD_FAULT_COUNT] = {
    [OD_FAULT_NONE] = {"", "", "", "", ""},
#define X(tag, name, family, stage, about) [OD_FAULT_##tag] = {name, family, stage, about, "core"},
#define N(tag, name, family, stage, about) [OD_FAULT_##tag] = {name, family, stage, about, "narrow"},
#define B(tag, name, family, stage, about) [OD_FAULT_##tag] = {name, family, stage, about, "bench"},
#define S(tag, name, family, stage, about) [OD_FAULT_##tag] = {name, family, stage, about, "shared"},
#define G(tag, name, family, stage, about) [OD_FAULT_##tag] = {name, family, stage, about, "gpu"},
    OD_FAULT_LIST(X)
    OD_FAULT_NARROW_LIST(N)
    OD_FAULT_BENCH_LIST(B)
    OD_FAULT_SHARED_LIST(S)
    OD_FAULT_GPU_LIST(G)
#undef X
#undef N
#undef B
#undef S
#undef G
};
/* clang-format on */

const char *od_fault_name(enum od_fault fault) {
    return faults[fault].name;
}

static int look_up(const char *wanted) {
    for (int i = 0; i < OD_FAULT_COUNT; i++)
        if (strcmp(wanted, faults[i].name) == 0) return i;
    if (strcmp(wanted, "list") == 0) {
        for (int i = 1; i < OD_FAULT_COUNT; i++)
            printf("%s\t%s\t%s\t%s\t%s\n", faults[i].name, faults[i].family, faults[i].stage, faults[i].list,
                   faults[i].about);
        exit(0);
    }
    fprintf(stderr, "OD_FAULT='%s' is no planted fault; these are:\n", wanted);
    for (int i = 1; i < OD_FAULT_COUNT; i++) {
        const bool core = strcmp(faults[i].list, "core") == 0;
        fprintf(stderr, "  %s%s%s%-22s %s\n", core ? "" : "(", core ? "" : faults[i].list, core ? "" : ") ",
                faults[i].name, faults[i].about);
    }
    exit(2);
}

enum od_fault od_fault_active(void) {
    static atomic_int known = -1; /* threads that race here find the same answer */
    int active = atomic_load(&known);
    if (active < 0) {
        const char *wanted = getenv("OD_FAULT");
        active = wanted ? look_up(wanted) : OD_FAULT_NONE;
        atomic_store(&known, active);
    }
    return (enum od_fault)active;
}

/* ---- the record ----------------------------------------------------------------------------------------------------
 */

static struct od_fault_record *record;

static void open_record(void) {
    const char *path = getenv("OD_FAULT_RECORD");
    if (!path) return;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    void *at = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof *record) == 0)
        at = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        fprintf(stderr, "OD_FAULT_RECORD='%s': %s\n", path, strerror(errno));
        exit(2);
    }
    close(fd);
    record = at;
    record->fault = (uint64_t)od_fault_active();
}

static bool is_recorded(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_record);
    return record;
}

/* A count with the time and the input of its first. */
static bool mark(uint64_t *count, uint64_t *time, uint64_t *input) {
    if (__atomic_fetch_add(count, 1, __ATOMIC_RELAXED) == 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        const uint64_t at = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        __atomic_store_n(input, __atomic_load_n(&record->inputs, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
        __atomic_store_n(time, at, __ATOMIC_RELAXED);
    }
    return true;
}

bool od_fault_reach(void) {
    return !is_recorded() || mark(&record->reached, &record->reached_at, &record->reached_input);
}

bool od_fault_trigger(void) {
    return !is_recorded() || mark(&record->triggered, &record->triggered_at, &record->triggered_input);
}

void od_fault_input(void) {
    if (is_recorded()) __atomic_fetch_add(&record->inputs, 1, __ATOMIC_RELAXED);
}
