/* The flight recorder: what a dead process was doing, and what it had done, is read from outside. */
#include "oracles/recorder.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static char path[64];
static od_error e;

static void setup(void) {
    e = (od_error){0};
    snprintf(path, sizeof path, "record.%d", (int)getpid());
}

static void teardown(void) {
    unlink(path);
}

static const od_record *look(void) {
    const od_record *r = NULL;
    ck_assert_msg(od_recorder_look(&r, path, &e) == OD_OK, "%s", e.text);
    return r;
}

START_TEST(a_killed_process_leaves_its_input_and_its_counts) {
    pid_t pid = fork();
    if (pid == 0) {
        od_record *r;
        if (od_recorder_open(&r, path, NULL) != OD_OK) _exit(1);
        od_recorder_start(r, "first", 5);
        od_recorder_finish(r);
        od_recorder_start(r, "second one", 10);
        raise(SIGKILL);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    const od_record *r = look();
    ck_assert_uint_eq(r->pid, (uint64_t)pid);
    ck_assert_uint_eq(r->started, 2);
    ck_assert_uint_eq(r->finished, 1);
    ck_assert_uint_eq(r->input_bytes, 10);
    ck_assert_mem_eq(r->input, "second one", 10);
    ck_assert(r->since > 0 && r->since <= od_seconds());
    od_recorder_close(r);
}
END_TEST

START_TEST(a_verdict_is_counted_once_under_what_it_said) {
    od_record *r;
    od_judge judge = {0};
    od_verdict v;
    od_case c;
    fake_reset();
    fake_case(&c);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = od_oracle_bit(&od_oracle_accuracy) | 1;
    ck_assert_int_eq(od_recorder_open(&r, path, &e), OD_OK);
    ck_assert(r->worst_mae == -1 && r->worst_share == -1); /* nothing was compared yet */
    for (int i = 0; i < 3; i++) {
        if (i == 2) fake_fast_knobs = (fake_knobs){.lie = FAKE_ADD, .tensor = 1, .call = 2, .add = 1};
        od_recorder_start(r, "x", 1);
        od_judge_case(&v, &judge, &c);
        od_recorder_add(r, &v);
        od_recorder_finish(r);
    }
    unsigned accuracy = 0;
    while (od_oracle_at(accuracy) != &od_oracle_accuracy) accuracy++;
    ck_assert_uint_eq(r->cases, 3);
    ck_assert_uint_eq(r->outcome[OD_PASS], 2);
    ck_assert_uint_eq(r->outcome[OD_FINDING], 1);
    ck_assert_uint_eq(r->ruled[accuracy], 3);
    ck_assert_uint_eq(r->ruled[accuracy + 1], 0); /* was not asked */
    ck_assert_uint_eq(r->compared, 3 * v.evidence->n_compared);
    ck_assert(r->compared > 0 && r->worst_mae > 0);

    /* a NaN is the worst there is, and stays it */
    double worst = r->worst_mae;
    fake_fast_knobs.add = NAN;
    for (int i = 0; i < 2; i++) {
        od_judge_case(&v, &judge, &c);
        od_recorder_add(r, &v);
        ck_assert(!(r->worst_mae <= worst));
        fake_reset();
    }
    v = (od_verdict){.outcome = OD_ERROR, .bad_input = true};
    od_recorder_add(r, &v);
    ck_assert_uint_eq(r->unusable, 1);
    ck_assert_uint_eq(r->cases, 5);
    od_recorder_close(r);
    od_judge_free(&judge);
}
END_TEST

START_TEST(a_long_input_is_cut_and_its_length_told) {
    od_record *r;
    char *bytes = malloc(OD_RECORD_INPUT + 9);
    memset(bytes, 'a', OD_RECORD_INPUT + 9);
    ck_assert_int_eq(od_recorder_open(&r, path, &e), OD_OK);
    od_recorder_start(r, bytes, OD_RECORD_INPUT + 9);
    ck_assert_uint_eq(r->input_bytes, OD_RECORD_INPUT + 9);
    ck_assert_mem_eq(r->input, bytes, OD_RECORD_INPUT);
    od_recorder_close(r);
    /* opened again it is a new one */
    ck_assert_int_eq(od_recorder_open(&r, path, &e), OD_OK);
    ck_assert_uint_eq(r->started, 0);
    ck_assert_uint_eq(r->input_bytes, 0);
    od_recorder_close(r);
    free(bytes);
}
END_TEST

START_TEST(what_is_no_record_is_refused) {
    const od_record *r = NULL;
    od_record *w = NULL;
    ck_assert_int_eq(od_recorder_look(&r, path, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "cannot be read"));
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs("short", f);
    fclose(f);
    ck_assert_int_eq(od_recorder_look(&r, path, &e), OD_BAD_INPUT);
    ck_assert_int_eq(truncate(path, sizeof(od_record)), 0);
    ck_assert_int_eq(od_recorder_look(&r, path, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "version"));
    ck_assert_int_eq(od_recorder_open(&w, path, &e), OD_OK);
    w->version++;
    ck_assert_int_eq(od_recorder_look(&r, path, &e), OD_BAD_INPUT);
    od_recorder_close(w);
    ck_assert_int_eq(od_recorder_open(&w, "no/such/folder/record", &e), OD_IO);
    ck_assert_ptr_null(r);
    od_recorder_start(NULL, "x", 1); /* no recorder: nothing */
    od_recorder_finish(NULL);
    od_recorder_close(NULL);
}
END_TEST

Suite *suite_recorder(void) {
    Suite *s = suite_create("recorder");
    TCase *t = tcase_create("recorder");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_killed_process_leaves_its_input_and_its_counts);
    tcase_add_test(t, a_verdict_is_counted_once_under_what_it_said);
    tcase_add_test(t, a_long_input_is_cut_and_its_length_told);
    tcase_add_test(t, what_is_no_record_is_refused);
    suite_add_tcase(s, t);
    return s;
}
