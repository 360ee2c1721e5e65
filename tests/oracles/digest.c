/* Digests of answers: what changes them, what does not, and what a report makes of two results. */
#include "oracles/digest.h"

#include <math.h>
#include <string.h>

#include "oracles/judge.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_judge judge;
static od_verdict v;

static void setup(void) {
    fake_reset();
    fake_case(&c);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = 1 | od_oracle_bit(&od_oracle_accuracy);
    judge.setup.detail = true;
}

static void teardown(void) {
    od_judge_free(&judge);
}

static od_digests digests(void) {
    od_judge_case(&v, &judge, &c);
    return v.evidence->fast_digests;
}

/* Classes in step classes that are not the same. */
static unsigned count_changed(const od_digests *a, const od_digests *b) {
    unsigned n = 0;
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++) n += a->of[t][s].n != b->of[t][s].n || a->of[t][s].hash != b->of[t][s].hash;
    return n;
}

/* A prefill, two patches of the series, an own one; df, loc, scale and mean, and two of the scaler. */
START_TEST(every_class_in_every_step_class_has_one) {
    const od_digests d = digests();
    const size_t calls[OD_STEPS] = {1, 2, 1};
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++) {
            const size_t n = t == OD_TENSOR_PROBS || t == OD_TENSOR_HIDDEN ? 0 : t == OD_TENSOR_SCALER ? 2 : 1;
            ck_assert_uint_eq(d.of[t][s].n, n * calls[s]);
            ck_assert((d.of[t][s].hash != 0) == (n > 0));
        }
}
END_TEST

START_TEST(the_same_answers_have_the_same_digests_in_either_engine) {
    const od_digests d = digests(), again = digests();
    ck_assert_uint_eq(count_changed(&d, &again), 0);
    ck_assert_uint_eq(count_changed(&d, &v.evidence->ref_digests), 0);
}
END_TEST

/* The last bit of one value of loc in the second decode call; a sign of zero; a NaN. */
START_TEST(one_bit_changes_the_digest_of_its_class_alone) {
    const od_digests d = digests();
    fake_fast_knobs.lie = FAKE_ADD;
    fake_fast_knobs.tensor = 1;
    fake_fast_knobs.call = 2;
    fake_fast_knobs.element = 5;
    fake_fast_knobs.add = 0x1p-23;
    od_digests other = digests();
    ck_assert_uint_eq(count_changed(&d, &other), 1);
    ck_assert(d.of[OD_TENSOR_LOC][OD_STEP_DECODE].hash != other.of[OD_TENSOR_LOC][OD_STEP_DECODE].hash);
    fake_fast_knobs.call = 1; /* the first call, behind which another one comes */
    other = digests();
    ck_assert_uint_eq(count_changed(&d, &other), 1);
    fake_fast_knobs.lie = FAKE_NAN;
    other = digests();
    ck_assert_uint_eq(count_changed(&d, &other), 1);
    fake_fast_knobs.lie = FAKE_SHAPE; /* the same bits in another shape */
    other = digests();
    ck_assert_uint_eq(count_changed(&d, &other), 1);
}
END_TEST

/* Both plays of the arbiter's with hidden states come later, and answers that drift with the engine's number: the
 * digests are those of the first plays. */
START_TEST(digests_are_of_the_plays_that_were_judged) {
    const od_digests d = digests();
    fake_fast_knobs.n_create = 0;
    fake_fast_knobs.drift_engines = true;
    judge.setup.arbiter = fake_ref();
    judge.setup.always_arbiter = true;
    const od_digests other = digests();
    ck_assert_uint_eq(count_changed(&d, &other), 0);
    ck_assert_uint_gt(v.evidence->arbitration.near[OD_TENSOR_HIDDEN].n, 0);
}
END_TEST

START_TEST(without_detail_nothing_is_hashed_again) {
    judge.setup.detail = false;
    const od_digests d = digests();
    ck_assert_uint_eq(count_changed(&d, &(od_digests){0}), 0);
}
END_TEST

Suite *suite_digest(void) {
    Suite *s = suite_create("digest");
    TCase *t = tcase_create("digest");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_class_in_every_step_class_has_one);
    tcase_add_test(t, the_same_answers_have_the_same_digests_in_either_engine);
    tcase_add_test(t, one_bit_changes_the_digest_of_its_class_alone);
    tcase_add_test(t, digests_are_of_the_plays_that_were_judged);
    tcase_add_test(t, without_detail_nothing_is_hashed_again);
    suite_add_tcase(s, t);
    return s;
}
