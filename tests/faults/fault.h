/* Planted faults: each a line or two at its real place in a room, chosen at run time by OD_FAULT=name, present only in
 * builds with -DOD_FAULTS=ON. Every room may include this header; in other builds no place asks. The faults: list.h.
 *
 * Host code asks OD_FAULT_ON(tag); kernels ask OD_KERNEL_FAULT(b, tag), which reads the launch context. Where the fault
 * is one under a condition only, OD_FAULT_WHEN(tag, condition): the place is *reached* by whatever comes by, and the
 * fault is *triggered* where the condition holds (the terms of Magma, a fuzzing benchmark). OD_FAULT_ON is both at
 * once. */
#ifndef OD_FAULTS_FAULT_H
#define OD_FAULTS_FAULT_H

#include "list.h"

enum od_fault {
    OD_FAULT_NONE,
#define OD_FAULT_TAG(tag, name, family, stage, about) OD_FAULT_##tag,
    OD_FAULT_LIST(OD_FAULT_TAG) OD_FAULT_NARROW_LIST(OD_FAULT_TAG) OD_FAULT_BENCH_LIST(OD_FAULT_TAG)
        OD_FAULT_SHARED_LIST(OD_FAULT_TAG) OD_FAULT_GPU_LIST(OD_FAULT_TAG)
#undef OD_FAULT_TAG
            OD_FAULT_COUNT
};

#ifdef OD_FAULTS
#include <stdbool.h>
#include <stdint.h>

/* What OD_FAULT_RECORD=FILE receives: a file that this process and its children share, whole at any moment. Times are
 * CLOCK_MONOTONIC in nanoseconds, 0 for never. Kernels mark on the twin alone: a GPU has no such file. */
struct od_fault_record {
    uint64_t fault; /* its number in this build */
    uint64_t reached, reached_at, triggered, triggered_at;
    uint64_t inputs, reached_input, triggered_input; /* inputs begun (oracles/recorder.c); the first such, from 1 */
};

#ifdef __cplusplus
extern "C" {
#endif
/* The fault that OD_FAULT names, read once; an unknown name ends the program with exit 2 and the list. OD_FAULT=list
 * prints a line for each, with tabs: name, family, stage, list (core narrow bench shared gpu), what is wrong; exit 0.
 */
enum od_fault od_fault_active(void);
const char *od_fault_name(enum od_fault fault);
/* Both return true: they stand in conditions. */
bool od_fault_reach(void);
bool od_fault_trigger(void);
void od_fault_input(void); /* the next input begins */
#ifdef __cplusplus
}
#endif
#define OD_FAULT_WHEN(tag, condition)                                                                                  \
    (od_fault_active() == OD_FAULT_##tag && od_fault_reach() && (condition) && od_fault_trigger())
#define OD_FAULT_INPUT() od_fault_input()
#else
#define OD_FAULT_WHEN(tag, condition) (0 && (condition))
#define OD_FAULT_INPUT()              ((void)0)
#endif
#define OD_FAULT_ON(tag) OD_FAULT_WHEN(tag, 1)

#endif
