/* Evidence made by hand: a pair that ran, nothing else; and what an oracle says of it. */
#ifndef OD_TESTS_ORACLES_BY_HAND_H
#define OD_TESTS_ORACLES_BY_HAND_H

#include <string.h>

#include "oracles/judge.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_model model;
static od_script script;
static od_setup given;
static od_evidence ev;
static od_ruling r;

/* A place that no field shares its number with another. */
#define AT                                                                                                             \
    (od_call_at) {                                                                                                     \
        .op = 3, .call = 5, .session = 7, .step = OD_STEP_DECODE                                                       \
    }

static void setup(void) {
    fake_reset();
    fake_case(&c);
    ck_assert_int_eq(od_config_preset(&model.config, "seed-tiny", NULL), OD_OK);
    model.n_weight = 46;
    script = (od_script){.c = &c, .model = &model, .n_session = 1, .has_decode = true};
    given = (od_setup){.ref = fake_ref(), .fast = fake_fast(), .oracles = od_oracles_all()};
    ev = (od_evidence){.script = &script, .setup = &given, .n_compared = 4};
    ev.ref_run.ran = ev.fast_run.ran = true;
    r = (od_ruling){0};
}

static const od_ruling *ask(const char *name) {
    unsigned n;
    ck_assert_int_eq(od_oracle_find(&n, name, NULL), OD_OK);
    r = (od_ruling){0};
    od_oracle_at(n)->judge(&r, &ev);
    return &r;
}

static void is(const char *name, enum od_outcome outcome, const char *reason) {
    ask(name);
    ck_assert_msg(r.outcome == outcome, "%s: %s", od_outcome_name(r.outcome), r.reason);
    ck_assert_str_eq(r.reason, reason);
    if (outcome != OD_FINDING) ck_assert_str_eq(r.step, "-");
}

static void finds(const char *name, const char *subject, const char *step, double value, double bound,
                  const char *reason) {
    is(name, OD_FINDING, reason);
    ck_assert_str_eq(r.subject, subject);
    ck_assert_str_eq(r.step, step);
    ck_assert_double_eq(r.value, value);
    ck_assert_double_eq(r.bound, bound);
}

#endif
