/* Is a finding there again? Its case is judged again: on the same engines, then with the fast path in a process that
 * nothing else has run in. A finding that does not come each time is flaky, and remains a finding. */
#ifndef OD_ORACLES_RECHECK_H
#define OD_ORACLES_RECHECK_H

#include <stdbool.h>
#include <stddef.h>

/* So many judgings in all where the finding comes each time; so many in either place where it does not: enough to tell
 * a rate of one in three from always, with a probability of 98 % (1 - (2/3)^10). A hang, which takes a call's whole
 * time, is judged once more at most: in a fresh process, or here where it is such a process that hangs. */
enum { OD_RECHECK_HERE = 2, OD_RECHECK_PROCESS = 1, OD_RECHECK_FLAKY = 10 };

/* Of each kind of finding (kinds.h) so many are rechecked in a run. */
enum { OD_RECHECK_KIND = 3 };

typedef struct od_recheck {
    unsigned judged, shown;                 /* in this process; the first judging counts. judged 0: not rechecked */
    unsigned process_judged, process_shown; /* in fresh processes */
} od_recheck;

/* Did it come and fail to come in one and the same place? */
bool od_recheck_is_flaky(const od_recheck *r);

/* "3 of 3, 1 of them in a fresh process", "flaky: 4 of 10 (95 % interval 12 % to 74 %)", "2 of 2 here, 0 of 10 in a
 * fresh process: …" into text[size]; returns text. Rechecked findings only. */
char *od_recheck_text(char *text, size_t size, const od_recheck *r);

/* The same in at most 20 letters: "3 of 3", "flaky 4 of 10", "2 of 2, fresh 0 of 10". */
char *od_recheck_mark(char *text, size_t size, const od_recheck *r);

struct od_judge;
struct od_verdict;
struct od_case;
struct od_engine_api;

/* Judges the case of a FINDING again, on buffers of *again (zeroed at first, od_judge_free), and notes in v->recheck
 * how often that signature came. v->evidence stays. process: the fast path in new processes (worker.h); NULL: not
 * asked. */
void od_recheck_finding(struct od_verdict *v, struct od_judge *again, const struct od_judge *j, struct od_case *c,
                        const struct od_engine_api *process);

#endif
