/* Shrinking: the smallest case that still shows a finding of the same kind. A candidate is kept only while its verdict
 * has a finding of that kind (oracle, subject, step class, pair), so the search cannot drift to another one. */
#ifndef OD_ORACLES_SHRINK_H
#define OD_ORACLES_SHRINK_H

#include "oracles/judge.h"

enum { OD_SHRINK_RUNS = 500, OD_SHRINK_MAX_RUNS = 10000 }; /* limit of runs: by default, at most */

/* What a reader counts. */
typedef struct od_shrink_size {
    size_t entries, sessions, batch, variates;
    size_t patches; /* of the longest session, decoded ones included */
    size_t layers, width;
    bool time, space; /* kinds of layers */
} od_shrink_size;

/* The case's config is filled (od_case_model). */
od_shrink_size od_shrink_measure(const od_case *c);

/* One way to make a case smaller. */
typedef struct od_shrink_move {
    const char *name;
    /* How much the smallest step of this move says about the bug, 0 first: which passing neighbour is kept. */
    unsigned near;
    /* Makes variation k = 0, 1, … of *c in place, the biggest cut first; false past the last one. The result may be
     * illegal, or what it was. */
    bool (*make)(od_case *c, unsigned k);
} od_shrink_move;

/* Move i in the order of the search; NULL past the end. */
const od_shrink_move *od_shrink_move_at(unsigned i);

/* A candidate that was judged. Borrowed for the call. */
typedef struct od_shrink_step {
    const od_shrink_move *move;
    const od_case *before, *after;
    const od_ruling *ruling; /* of a candidate that was kept, else NULL */
    unsigned runs;           /* so far */
} od_shrink_step;

typedef struct od_shrink_options {
    unsigned runs; /* at most so many candidates are judged; kept ones count twice */
    void *arg;
    /* Puts back into a candidate what must stay; NULL: nothing. False gives the candidate up. */
    bool (*pin)(od_case *c, void *arg);
    /* Told of every candidate that was judged; false stops the search. NULL: nobody is told. */
    bool (*step)(const od_shrink_step *step, void *arg);
} od_shrink_options;

/* LOST: the case itself did not show the finding twice. MINIMAL: no single move is left that shows it. */
enum od_shrink_end { OD_SHRINK_LOST, OD_SHRINK_MINIMAL, OD_SHRINK_LIMIT, OD_SHRINK_STOPPED };

typedef struct od_shrink {
    enum od_shrink_end end;
    od_case best;   /* expects `pass`, and says nothing of what was found */
    od_case passes; /* judged PASS by all oracles of the setup: one move from best, or else the last one that passed */
    bool has_passes;
    const od_shrink_move *passes_move; /* NULL without */
    unsigned runs, taken;
} od_shrink;

/* Searches for the smallest case, greedily and in a fixed order, until no move is left. While it searches, only the
 * signature's oracle and `engine` are asked; a candidate is kept where it shows the finding in two runs. Where c lies
 * in the domain of the contract (od_case_in_domain) candidates stay there, or honest rounding would pass for the bug.
 * c is checked, its config filled; its weights' folder is left as it is. *out is owned by the caller and holds no
 * memory. OD_BAD_INPUT: no signature of an oracle; OD_NO_MEMORY. The judge's setup is as before on return. */
enum od_status od_shrink_case(od_shrink *out, od_judge *j, const od_case *c, const char *signature,
                              const od_shrink_options *options, od_error *e);

#endif
