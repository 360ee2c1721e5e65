/* Which planted fault is on. Linked only into builds with -DOD_FAULTS=ON, where printing and ending are in order. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/faults/fault.h"

static const struct {
    const char *name, *about;
    bool narrow;
} faults[OD_FAULT_COUNT] = {[OD_FAULT_NONE] = {"", ""},
#define OD_FAULT_ROW(tag, name, about) [OD_FAULT_##tag] = {name, about},
                            OD_FAULT_LIST(OD_FAULT_ROW)
#undef OD_FAULT_ROW
#define OD_FAULT_ROW(tag, name, about) [OD_FAULT_##tag] = {name, about, true},
                                OD_FAULT_NARROW_LIST(OD_FAULT_ROW)
#undef OD_FAULT_ROW
};

const char *od_fault_name(enum od_fault fault) {
    return faults[fault].name;
}

static int look_up(const char *wanted) {
    for (int i = 0; i < OD_FAULT_COUNT; i++)
        if (strcmp(wanted, faults[i].name) == 0) return i;
    fprintf(stderr, "OD_FAULT='%s' is no planted fault; these are:\n", wanted);
    for (int i = 1; i < OD_FAULT_COUNT; i++)
        fprintf(stderr, "%s%-22s %s\n", faults[i].narrow ? "  (narrow) " : "  ", faults[i].name, faults[i].about);
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
