/* An oracle judges evidence and runs nothing. One file an oracle; its number is its place in od_oracle_at's list and
 * its bit in masks. */
#ifndef OD_ORACLES_ORACLE_H
#define OD_ORACLES_ORACLE_H

#include "oracles/evidence.h"

/* In order of gravity where several meet in one case: the last one decides. */
enum od_outcome { OD_SKIPPED, OD_PASS, OD_INCONCLUSIVE, OD_KNOWN, OD_ERROR, OD_FINDING, OD_OUTCOMES };

const char *od_outcome_name(enum od_outcome outcome); /* "SKIPPED", … */

typedef struct od_ruling {
    enum od_outcome outcome;
    char subject[32];             /* what a finding is about: a tensor class, "peak", "graph", … */
    const char *step;             /* its step class, or "-" */
    char reason[OD_REASON];       /* one line; "" with a plain PASS */
    char signature[OD_CASE_TEXT]; /* of a FINDING; filled in by the judge */
    double value, bound;          /* what was measured and held against what; 0 and 0 where there is no such number */
} od_ruling;

typedef struct od_oracle {
    const char *name;
    const char *about; /* one line for lists: when it fails */
    bool in_fuzz;      /* part of fuzz's default set */
    bool required;     /* INCONCLUSIVE counts (exit 4) without --require */
    const char *doubt; /* not required: why it may be INCONCLUSIVE, in words */
    unsigned needs;    /* OD_NEED_… */
    void (*judge)(od_ruling *out, const od_evidence *ev);
} od_oracle;

extern const od_oracle od_oracle_engine, od_oracle_accuracy, od_oracle_finite, od_oracle_determinism, od_oracle_memory,
    od_oracle_speed, od_oracle_vacuity, od_oracle_captures, od_oracle_consistency, od_oracle_envelope;

enum { OD_ORACLES = 10 };

/* Oracle i, i < OD_ORACLES; the first is `engine`, which no mask can leave out. */
const od_oracle *od_oracle_at(unsigned i);

/* Its bit in masks. */
unsigned od_oracle_bit(const od_oracle *oracle);

/* Number of the oracle of that name; OD_BAD_INPUT lists the names. */
enum od_status od_oracle_find(unsigned *number, const char *name, od_error *e);

/* What the plays of one relation come to; SKIPPED: the case is outside its domain. */
enum od_outcome od_related_outcome(const od_related *related);

/* All oracles but envelope, which is asked where there is one (od_setup.envelope); or those that fuzz asks by default,
 * or those that are required by default. */
unsigned od_oracles_all(void);
unsigned od_oracles_fuzz(void);
unsigned od_oracles_required(void);

/* Fills *out with an outcome other than FINDING, which needs a subject: od_rule_finding. */
void od_rule(od_ruling *out, enum od_outcome outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
void od_rule_finding(od_ruling *out, const char *subject, const char *step, double value, double bound,
                     const char *format, ...) __attribute__((format(printf, 6, 7)));

#endif
