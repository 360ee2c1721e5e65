/* What the targets on cases have in common (target_case.c): bytes → case → verdict, findings, statistics, the record
 * that a supervisor reads, and how the process ends.
 *
 * A finding is printed, written as a case under OD_OUT/findings, and ends in abort(), so that libFuzzer keeps its
 * input.
 *
 * Environment, read at the first input:
 *   OD_REF, OD_FAST  engines: ref, ref64, gpu or twin; ref against gpu where there is a device, else against twin
 *   OD_OUT           folder of findings/ and errors/ (out)
 *   OD_CORPUS        the folder that relative paths in inputs are relative to (corpus/forward)
 *   OD_KNOWN=FILE    known issues (oracles/known.h): counted as KNOWN, and never stop
 *   OD_KEEP_GOING=1  a finding does not stop either: its case is written, 3 of one signature at most over all processes
 *                    of one OD_OUT, and the input is not kept. The process ends with OD_TARGET_FOUND
 *   OD_FEEDBACK      off: nothing but the compiler's coverage guides libFuzzer; or the families of features that do,
 *                    with commas (oracles/features.h; default: on, all of them)
 *   OD_RECORD=FILE   a flight recorder (oracles/recorder.h). Its input is the case that is played, canonical, paths
 *                    relative to FILE
 *
 * Exit status, beside libFuzzer's own (70 timeout, 71 out of memory, 77 abort or crash; sanitizers: 1): enum below. */
#ifndef OD_FUZZ_TARGET_CASE_H
#define OD_FUZZ_TARGET_CASE_H

#include "fuzz/target.h"
#include "oracles/judge.h"

enum {
    OD_TARGET_BAD_USE = 2, /* an environment variable says nonsense */
    OD_TARGET_ERROR = 3,   /* no device, or a case ended in ERROR (no memory, …); it is under OD_OUT/errors */
    OD_TARGET_NOTHING = 4, /* inputs ran, and nothing was compared */
    OD_TARGET_FOUND = 77,  /* OD_KEEP_GOING: all inputs ran, there were findings */
    OD_TARGET_LOST = 78 /* the device is gone for this process (a fault of engine gpu is sticky), with OD_KEEP_GOING or
                         * without; the finding was written first */
};

/* Each target's own file defines one. */
typedef struct od_target {
    const char *name;

    /* Turns any case that passes od_case_check into one that is the target's business, by the seed alone where there is
     * a choice; one that is already stays as it is. */
    void (*narrow)(od_case *c, uint64_t seed);

    /* Chooses oracles and relations. */
    void (*set_up)(od_judge *j);

    bool in_turn; /* each case is asked one of those relations, since each costs a whole play; which one follows from
                   * od_case_hash, so that it is asked again of a finding's file and of a crash that is judged again */
} od_target;

extern const od_target od_this_target;

/* extra_counters.c. Which families of features count: OD_FEEDBACK's words (NULL: all); false: one of them is none. */
bool od_feedback_choose(const char *wanted);

/* Tells libFuzzer what the case was like and what it showed, as far as it was chosen. */
extern volatile uint8_t od_extra_counters[];
void od_feedback_note(const od_case *c, const od_verdict *v);

/* For set_up: these relations and no others, and the oracle that holds them. */
void od_target_relate(od_judge *j, const char *const *names, size_t n);

#endif
