#include "oracles/oracle.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const od_oracle *const list[OD_ORACLES] = {
    &od_oracle_engine, &od_oracle_accuracy, &od_oracle_finite,   &od_oracle_determinism, &od_oracle_memory,
    &od_oracle_speed,  &od_oracle_vacuity,  &od_oracle_captures, &od_oracle_consistency, &od_oracle_envelope,
};

static const char *const outcome_names[OD_OUTCOMES] = {"SKIPPED", "PASS", "INCONCLUSIVE", "KNOWN", "ERROR", "FINDING"};

const char *od_outcome_name(enum od_outcome outcome) {
    assert(outcome < OD_OUTCOMES);
    return outcome_names[outcome];
}

const od_oracle *od_oracle_at(unsigned i) {
    assert(i < OD_ORACLES);
    return list[i];
}

unsigned od_oracle_bit(const od_oracle *oracle) {
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (list[i] == oracle) return 1u << i;
    return 0;
}

enum od_status od_oracle_find(unsigned *number, const char *name, od_error *e) {
    char names[200] = "";
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        if (strcmp(list[i]->name, name) == 0) {
            *number = i;
            return OD_OK;
        }
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", list[i]->name);
    }
    return od_fail(e, OD_BAD_INPUT, "no oracle is called '%s' (there are %s)", name, names);
}

unsigned od_oracles_all(void) {
    return ((1u << OD_ORACLES) - 1) & ~od_oracle_bit(&od_oracle_envelope);
}

unsigned od_oracles_fuzz(void) {
    unsigned mask = 0;
    for (unsigned i = 0; i < OD_ORACLES; i++) mask |= (unsigned)list[i]->in_fuzz << i;
    return mask;
}

unsigned od_oracles_required(void) {
    unsigned mask = 0;
    for (unsigned i = 0; i < OD_ORACLES; i++) mask |= (unsigned)list[i]->required << i;
    return mask;
}

void od_rule(od_ruling *out, enum od_outcome outcome, const char *format, ...) {
    assert(outcome != OD_FINDING);
    va_list args;
    va_start(args, format);
    out->outcome = outcome;
    out->step = "-";
    vsnprintf(out->reason, sizeof out->reason, format, args);
    va_end(args);
}

void od_rule_finding(od_ruling *out, const char *subject, const char *step, double value, double bound,
                     const char *format, ...) {
    va_list args;
    va_start(args, format);
    out->outcome = OD_FINDING;
    snprintf(out->subject, sizeof out->subject, "%s", subject);
    out->step = step;
    out->value = value;
    out->bound = bound;
    vsnprintf(out->reason, sizeof out->reason, format, args);
    va_end(args);
}
