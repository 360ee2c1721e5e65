/* Which switches of the fast path a finding needs: the case is judged again with switches turned plain, alone and
 * together. Prints nothing.
 *
 * Delta debugging's three outcomes (Zeller and Hildebrandt, 2002): a setting of the switches SHOWS the finding, is
 * CLEAN of it, or is OPEN, where its runs do not say: another finding of the same oracle, SKIPPED, INCONCLUSIVE, ERROR.
 * One run that shows it decides. CLEAN takes as many runs as make chance improbable: were the finding still there, at
 * the lowest rate that the case's own runs allow (95 % confidence), all of them would be clean with a probability of
 * at most OD_BISECT_CHANCE.
 *
 * Each turn alone comes first, then all together, then sets by size, so that the first found are smallest. A turn that
 * alone leaves the setting OPEN is left out of all others. What brings the finding back is searched among sets that
 * meet every set that makes it vanish: a switch that is plain in one of those cannot be missing. That, and giving up
 * where the finding shows with all switches plain, supposes that turning a switch plain never adds the finding. Then
 * what the case leaves plain is turned on, each switch alone: what hides a finding of the plain path names its path. */
#ifndef OD_ORACLES_BISECT_H
#define OD_ORACLES_BISECT_H

#include "oracles/judge.h"

#define OD_BISECT_CHANCE 0.01

enum {
    OD_BISECT_RUNS = 500, /* default limit of runs */
    OD_BISECT_MAX_RUNS = 10000,
    OD_BISECT_SHOWN = 10,     /* the case itself runs until it has shown the finding so often, */
    OD_BISECT_CASE_RUNS = 60, /* at most so often, */
    OD_BISECT_PATIENCE = 20,  /* or so often without any finding */
    OD_BISECT_OPEN_RUNS = 3,  /* so many runs that do not say make a setting OPEN */
    OD_BISECT_SETS = 256,     /* more than there are sets of one size */
    OD_BISECT_HIDING = 3      /* switches that may hide it: graph, cache, fused */
};

enum od_bisect_state { OD_BISECT_SHOWS, OD_BISECT_CLEAN, OD_BISECT_OPEN };

/* One setting of the switches and its runs. */
typedef struct od_bisect_setting {
    od_options options;
    bool from_plain; /* made by turning switches on from all plain, else by turning them off from the case */
    unsigned shown, clean, open; /* runs */
    enum od_bisect_state state;
    char reason[OD_REASON]; /* of the last run that did not say, or why there was none; "" = none */
} od_bisect_setting;

/* Switches (bit i: od_options_name(i)) and the setting where exactly they are plain, or exactly they are not. */
typedef struct od_bisect_set {
    unsigned switches;
    size_t at;
} od_bisect_set;

enum od_bisect_answer {
    OD_BISECT_NOTHING,   /* no finding, or not the one that was asked for */
    OD_BISECT_UNABLE,    /* no run of the case says: outcome and reason of the last one */
    OD_BISECT_NAMED,     /* off: the smallest sets that make it vanish */
    OD_BISECT_ALWAYS,    /* it shows with every switch plain, and no switch alone makes it vanish */
    OD_BISECT_UNSETTLED, /* neither: a switch's settings were OPEN, or the limit of runs was reached */
    OD_BISECT_FADED      /* as NAMED, but in the end the case itself was clean: nothing follows */
};

typedef struct od_bisect {
    enum od_bisect_answer answer;
    char signature[OD_CASE_TEXT]; /* what was looked for; "" = no finding was seen */
    enum od_outcome outcome;      /* of the last run: UNABLE's exit code follows from it */
    bool bad_input;               /* … whose case could not be built */
    unsigned runs, limit;
    bool limited;                /* the limit was reached: sets are missing */
    unsigned turnable;           /* switches that are not plain in the case */
    double low, high;            /* 95 % confidence interval of the probability that the case shows the finding */
    unsigned repeats;            /* clean runs that make a setting CLEAN */
    od_bisect_setting *setting;  /* in the order of their runs; [0]: the case as it is */
    size_t n_setting, all_plain; /* all_plain: its place, 0 = it was not run */
    od_bisect_setting again;     /* the case as it is, in the end; without runs where that was not needed */
    od_bisect_set off[OD_BISECT_SETS], on[OD_BISECT_SETS]; /* smallest sets: turned plain it vanishes; from all plain,
                                                            * turned as in the case it is back */
    size_t n_off, n_on;
    od_bisect_set hides[OD_BISECT_HIDING]; /* of ALWAYS: plain in the case, turned on it vanishes; each alone */
    size_t n_hides;
} od_bisect;

/* Bisects the finding of that kind (od_signature_same_kind; the pair is the judge's) in a case; NULL or "": the first
 * finding that the case shows, by the judge's oracles. The case's `expect` is not looked at. Fills *out; od_bisect_free
 * releases it, after errors too. 1 <= limit <= OD_BISECT_MAX_RUNS. OD_BAD_INPUT: no signature; OD_NO_MEMORY. */
enum od_status od_bisect_case(od_bisect *out, od_judge *judge, const od_case *c, const char *signature, unsigned limit,
                              od_error *e);
void od_bisect_free(od_bisect *b);

/* The k-th value, from 0, that turns switch i plainer than it is in *options ("off", "1", …); NULL past the last. */
const char *od_bisect_turn(const od_options *options, size_t i, unsigned k);

/* "graph=off and cache=dynamic": the values that the switches have in *options, appended to text[size]. */
void od_bisect_describe(char *text, size_t size, const od_options *options, unsigned switches, const char *between);

#endif
