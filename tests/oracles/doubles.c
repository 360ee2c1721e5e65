/* Every oracle and every relation has a faulty double of the twin that it alone finds, judged as any engine is: against
 * the reference, with all oracles and relations asked. The honest double passes them all. */
#include <stdio.h>
#include <string.h>

#include "oracles/judge.h"
#include "ref/ref.h"
#include "tests/oracles/suites.h"
#include "tests/oracles/twin_double.h"

/* One double. Its signature begins with the name of the oracle that alone may find something, or with "consistency/"
 * and that of the relation that alone may be broken. */
static const struct row {
    enum double_fault fault;
    const char *signature;
    const char *says; /* part of the reason */
    double gain;      /* of the case; 0: 1 */
    bool weights;     /* are changed in turn */
    bool official;    /* the centre of xPos is the call's; this relation alone is asked */
} table[] = {
    {DOUBLE_REFUSES_DECODE, "engine/refusal/decode/", "only the fast path refuses"},
    {DOUBLE_FAULTS_PLAIN, "engine/fault/prefill/", "the plain path: op 0 call 0"},
    {DOUBLE_OFF, "accuracy/loc/", "MAE 0.001 exceeds"},
    {DOUBLE_SLIGHT, "envelope/loc/", "the contract holds"},
    {DOUBLE_MISSING, "accuracy/df/prefill/", "df is missing in the fast path"},
    {DOUBLE_NAN_OWN, "finite/loc/own/", "NaN or Inf in one engine only", .gain = 1.5}, /* where no contract reaches */
    {DOUBLE_REPLACED, "finite/mean/-/", "0 in the reference, 3 in the fast path"},
    {DOUBLE_READS_SCRATCH, "determinism/loc/prefill/", "with new sessions"},
    {DOUBLE_AFTER_RESET, "determinism/loc/prefill/", "after a reset"},
    {DOUBLE_NEXT_ENGINE, "determinism/loc/prefill/", "on a fresh engine"},
    {DOUBLE_LEAKS_HOST, "memory/slope/-/", "host bytes live grow"},
    {DOUBLE_LEAKS_DEVICE, "memory/slope/-/", "device bytes live grow"},
    {DOUBLE_PEAK, "memory/peak/-/", "device peak of"},
    {DOUBLE_SLOW, "speed/slow/-/", "times slower than the plain path"},
    {DOUBLE_NO_REPLAY, "vacuity/graph/-/", "none was replayed"},
    {DOUBLE_SILENT, "vacuity/graph/-/", "left the fast path in silence"},
    {DOUBLE_NO_HIT, "vacuity/cache/-/", "no decode call used it"},
    {DOUBLE_BLIND, "vacuity/weights/-/", "output_distribution.loc_proj.weight is not read", .weights = true},
    {DOUBLE_CAPTURES_MANY, "captures/limit/-/", "a limit of 8"},
    {DOUBLE_CAPTURES_ANEW, "captures/again/-/", "played before"},
    {DOUBLE_WAITS, "captures/waits/-/", "once a layer"},
    {DOUBLE_COPIES, "captures/copies/-/", "is it the weights"},
    {DOUBLE_GRAPH, "consistency/graph/prefill/", "differs in row 0"},
    {DOUBLE_CACHE, "consistency/cache/prefill/", "differs in row 0"},
    {DOUBLE_ABA, "consistency/aba/prefill/", "differs in row 0"},
    {DOUBLE_BATCH, "consistency/batch/prefill/", "differs in row 0"},
    {DOUBLE_GROUPS, "consistency/groups/prefill/", "differs in row"},
    {DOUBLE_SESSIONS, "consistency/sessions/decode/", "differs in row 0"},
    {DOUBLE_SWITCHES, "consistency/switches/prefill/", "differs in row 0"},
    {DOUBLE_RECOMPUTE, "consistency/recompute/prefill/", "MAE 0.001 exceeds"},
    /* what it finds is the model's own, so that here the faulty engine is the honest one */
    {DOUBLE_HONEST, "consistency/recompute-call/decode/", "exceeds", .official = true},
    {DOUBLE_CHUNKS, "consistency/chunks/decode/", "MAE 0.001 exceeds"},
    {DOUBLE_VARIATES, "consistency/variates/prefill/", "exceeds"},
    {DOUBLE_LATER, "consistency/later/prefill/", "exceeds"},
};
enum { ROWS = sizeof table / sizeof table[0] };

static od_case c;
static od_judge judge;
static od_verdict v;
static od_envelope envelope; /* a MAE of 1e-7 is nothing unusual, whatever is compared; the margin comes on top */

static void fill_envelope(void) {
    envelope = (od_envelope){.domain = {.layers = 64, .width = 4096, .patches = 4096, .own = 64, .gain = 2}};
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++)
            for (int k = 0; k < OD_ENVELOPE_SIZES; k++)
                envelope.key[t][s][k] = (od_envelope_key){
                    .n = 100000, .mae_p50 = 5e-8, .mae_p999 = 1e-7, .max_p50 = 1e-7, .max_p999 = 1e-5};
}

static void measure_by(const od_envelope *by) {
    judge.setup.envelope = by;
    judge.setup.measures = by != NULL;
    judge.setup.oracles = od_oracles_all() | (by ? od_oracle_bit(&od_oracle_envelope) : 0);
}

static void setup(void) {
    fill_envelope();
    double_reset();
    double_case(&c);
    od_judge_init(&judge, od_ref_engine(), double_engine());
    judge.setup.speed_seconds = 1e-9; /* the fewest pairs */
}

static void teardown(void) {
    od_judge_free(&judge);
    ck_assert_uint_eq(double_n_live(), 0);
    double_reset();
}

static unsigned relation_of(const char *signature) {
    char name[64];
    unsigned n;
    const char *begin = signature + strlen("consistency/");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(begin, "/"), begin);
    ck_assert_int_eq(od_relation_find(&n, name, NULL), OD_OK);
    return n;
}

static unsigned oracle_of(const char *signature) {
    char name[64];
    unsigned n;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(signature, "/"), signature);
    ck_assert_int_eq(od_oracle_find(&n, name, NULL), OD_OK);
    return n;
}

/* Oracle `wrong` and relation `broken` found something, and nobody else (-1: nobody at all). All others have seen what
 * they need to pass it; but timings may be too noisy to say. */
static void expect_alone(int wrong, int broken) {
    unsigned speed;
    ck_assert_int_eq(od_oracle_find(&speed, "speed", NULL), OD_OK);
    ck_assert_uint_eq(v.asked, judge.setup.oracles);
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        const od_ruling *r = &v.ruling[i];
        const bool unasked = od_oracle_at(i) == &od_oracle_envelope && !judge.setup.envelope;
        const bool ok = (int)i == wrong ? r->outcome == OD_FINDING
                        : unasked       ? r->outcome == OD_SKIPPED
                                        : r->outcome == OD_PASS || (i == speed && r->outcome == OD_INCONCLUSIVE);
        ck_assert_msg(ok, "%s: %s: %s", od_oracle_at(i)->name, od_outcome_name(r->outcome), r->reason);
    }
    for (unsigned i = 0; i < OD_RELATIONS; i++) {
        if (!(judge.setup.relations >> i & 1)) continue;
        const enum od_outcome outcome = od_related_outcome(&v.evidence->related[i]);
        ck_assert_msg(outcome == ((int)i == broken ? OD_FINDING : OD_PASS), "%s: %s", od_relation_at(i)->name,
                      od_outcome_name(outcome));
    }
}

START_TEST(the_honest_double_passes_every_oracle_and_every_relation) {
    for (int weights = 0; weights < 2; weights++) {
        judge.weights = weights;
        measure_by(weights ? NULL : &envelope);
        od_judge_case(&v, &judge, &c);
        expect_alone(-1, -1);
        ck_assert_int_eq(v.outcome, OD_PASS);
    }
    c.gain = 1.5;
    od_judge_case(&v, &judge, &c);
    expect_alone(-1, -1);
}
END_TEST

START_TEST(each_double_is_found_by_its_own_oracle_or_relation_alone) {
    const struct row *row = &table[_i];
    double_fault = row->fault;
    if (row->gain > 0) c.gain = row->gain;
    judge.weights = row->weights;
    if (row->official) {
        c.config.xpos = OD_XPOS_CALL;
        judge.setup.relations = 1u << relation_of(row->signature);
    }
    if (strncmp(row->signature, "envelope/", 9) == 0) measure_by(&envelope);
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(strncmp(v.signature, row->signature, strlen(row->signature)) == 0, "%s wanted, %s: %s: %s",
                  row->signature, od_outcome_name(v.outcome), v.signature, v.reason);
    ck_assert_msg(strstr(v.reason, row->says) != NULL, "'%s' is not in: %s", row->says, v.reason);
    const int wrong = (int)oracle_of(row->signature);
    if (row->fault == DOUBLE_REFUSES_DECODE) /* nothing to ask the others about */
        ck_assert_uint_eq(v.asked, od_oracle_bit(&od_oracle_engine));
    else
        expect_alone(wrong,
                     od_oracle_at((unsigned)wrong) == &od_oracle_consistency ? (int)relation_of(v.signature) : -1);
}
END_TEST

START_TEST(every_oracle_and_every_relation_that_is_asked_by_default_has_a_double) {
    unsigned oracles = 0, relations = 0;
    for (int i = 0; i < ROWS; i++) {
        const unsigned wrong = oracle_of(table[i].signature);
        oracles |= 1u << wrong;
        if (od_oracle_at(wrong) == &od_oracle_consistency) relations |= 1u << relation_of(table[i].signature);
    }
    for (unsigned i = 0; i < OD_ORACLES; i++)
        ck_assert_msg(oracles >> i & 1, "no double here that oracle %s finds", od_oracle_at(i)->name);
    for (unsigned i = 0; i < OD_RELATIONS; i++)
        ck_assert_msg((relations | ~judge.setup.relations) >> i & 1, "no double here that breaks relation %s alone",
                      od_relation_at(i)->name);
}
END_TEST

Suite *suite_doubles(void) {
    Suite *s = suite_create("doubles");
    TCase *t = tcase_create("doubles");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_honest_double_passes_every_oracle_and_every_relation);
    tcase_add_loop_test(t, each_double_is_found_by_its_own_oracle_or_relation_alone, 0, ROWS);
    tcase_add_test(t, every_oracle_and_every_relation_that_is_asked_by_default_has_a_double);
    suite_add_tcase(s, t);
    return s;
}
