/* Engines in processes of their own: the same bits come back, and whatever goes wrong there is a verdict here. */
#include "oracles/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "oracles/judge.h"
#include "oracles/worker_process.h"
#include "tests/oracles/causal_engine.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_script script;
static od_judge judge;
static od_verdict v;

static void setup(void) {
    fake_reset();
    causal_reset();
    fake_case(&c);
}

static void teardown(void) {
    od_judge_free(&judge);
    od_script_destroy(&script);
    od_worker_engines_end(NULL);
}

static const od_engine_api *engine(const char *mode, bool fresh, double timeout) {
    const char *const argv[] = {"/proc/self/exe", "worker", mode, NULL};
    const od_worker_terms terms = {.argv = argv, .timeout = timeout, .fresh = fresh};
    const od_engine_api *api = NULL;
    od_error e = {0};
    ck_assert_msg(od_worker_engine(&api, &terms, &e) == OD_OK, "%s", e.text);
    return api;
}

/* Plays the case on both, hidden states too: how many tensors there are, all of the same bits. */
static size_t same_bits(const od_engine_api *here, const od_engine_api *there) {
    od_options options = c.options;
    od_trace trace = {0};
    od_difference d = {.trace = &trace};
    od_error e = {0};
    options.hidden = true;
    ck_assert_int_eq(od_script_create(&script, &c, &e), OD_OK);
    od_trace_clear(&trace);
    ck_assert_msg(od_player_once(here, &script, &options, od_trace_record, &trace, &e) == OD_OK, "%s", e.text);
    ck_assert_msg(od_player_once(there, &script, &options, od_trace_match, &d, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(d.call, trace.n_call);
    ck_assert_msg(!d.differs, "%s[%zu]: was %g, is %g", d.name, d.index, d.was, d.is);
    const size_t n = trace.n_tensor;
    od_trace_free(&trace);
    return n;
}

START_TEST(a_worker_s_answers_have_the_same_bits) {
    ck_assert_uint_eq(same_bits(fake_fast(), engine("fake", false, 60)), 4 * 8); /* calls, tensors */
    od_script_destroy(&script);
    fake_fast_knobs.reads_weights = true;
    same_bits(fake_fast(), engine("weights", false, 60));
    od_script_destroy(&script);
    c.weight_seed = 77; /* on the same worker */
    same_bits(fake_fast(), engine("weights", true, 60));
}
END_TEST

/* Two interleaved sessions, masks, ids, a context that is no multiple of the patch, windows with a stride. */
START_TEST(a_worker_is_given_the_same_input) {
    causal_case(&c);
    c.missing = 0.3;
    ck_assert_uint_gt(same_bits(causal_engine(), engine("causal", false, 60)), 0);
}
END_TEST

/* Rows with something between them that is not to come along. */
START_TEST(a_worker_is_given_whole_windows) {
    enum { STEPS = 9, STRIDE = 13 };
    float value[6 * STRIDE];
    uint8_t mask[6 * STRIDE];
    int32_t id[6 * STRIDE];
    od_options options = od_options_default();
    od_engine *one = NULL;
    od_session *session = NULL;
    od_outputs out;
    od_error e = {0};
    for (int i = 0; i < 6 * STRIDE; i++) {
        value[i] = 0.5f + (float)i;
        mask[i] = (uint8_t)(i * 7 % 3);
        id[i] = i - 20;
    }
    const od_window w = {.n_step = STEPS, .stride = STRIDE, .value = value, .mask = mask, .id = id};
    const od_engine_api *api = engine("echo", false, 60);
    ck_assert_int_eq(od_script_create(&script, &c, NULL), OD_OK);
    ck_assert_int_eq(api->create(&one, script.model, &options, &e), OD_OK);
    ck_assert_int_eq(api->session_open(&session, one, 2, 3, 64, &e), OD_OK);
    ck_assert_int_eq(api->prefill(session, &w, &e), OD_OK);
    ck_assert_msg(api->outputs(session, &out, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(out.n_tensor, 3);
    for (size_t r = 0; r < 6; r++)
        for (size_t k = 0; k < STEPS; k++) {
            ck_assert_float_eq(((const float *)out.tensor[0].data)[r * STEPS + k], value[r * STRIDE + k]);
            ck_assert_uint_eq(((const uint8_t *)out.tensor[1].data)[r * STEPS + k], mask[r * STRIDE + k]);
            ck_assert_int_eq(((const int32_t *)out.tensor[2].data)[r * STEPS + k], id[r * STRIDE + k]);
        }
    api->session_close(session);
    api->destroy(one);
}
END_TEST

START_TEST(a_worker_s_engine_is_judged_like_any_other) {
    const od_engine_api *api = engine("fake", false, 60);
    ck_assert_str_eq(api->name, "fast");
    ck_assert(api->recapture && api->poison && api->scramble_undeclared && api->can && !api->fail_alloc);
    od_judge_init(&judge, fake_ref(), api);
    judge.setup.oracles = fake_oracles();
    judge.setup.isolated = true;
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    ck_assert_str_eq(v.evidence->fast_stats.device, "fake");
    ck_assert_uint_gt(v.evidence->fast_stats.replays, 0);
}
END_TEST

/* Each engine in a process of its own, or all in one. */
START_TEST(a_fresh_engine_is_a_fresh_process) {
    od_options options = od_options_default();
    ck_assert_int_eq(od_script_create(&script, &c, NULL), OD_OK);
    for (int fresh = 0; fresh < 2; fresh++) {
        const od_engine_api *api = engine("pid", fresh, 60);
        uint64_t pid[2];
        for (int i = 0; i < 2; i++) {
            od_engine *one = NULL;
            od_stats s;
            ck_assert_int_eq(api->create(&one, script.model, &options, NULL), OD_OK);
            api->stats(one, &s);
            pid[i] = s.launches;
            api->destroy(one);
            ck_assert_uint_ne(pid[i], (uint64_t)getpid());
            if (fresh) ck_assert_int_ne(kill((pid_t)pid[i], 0), 0); /* it is gone, and waited for */
        }
        ck_assert_int_eq(pid[0] != pid[1], fresh);
    }
}
END_TEST

/* Another engine in the fresh process loses an element: determinism tells, and where it is not asked nothing does. */
START_TEST(a_difference_in_a_fresh_process_is_found) {
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    judge.setup.process = engine("fake", true, 60);
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    ck_assert(v.evidence->rerun[OD_RERUN_PROCESS].ran);
    judge.setup.process = engine("drop", true, 60);
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_str_eq(v.signature, "determinism/df/prefill/b1.v2-4.s2-4/ref:fast");
    ck_assert_msg(strstr(v.reason, "in a fresh process: [15] was 1, is 0"), "%s", v.reason);
    judge.setup.process = NULL;
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
}
END_TEST

/* The case of batch 3 goes wrong, the next one passes in a new worker. */
static void check_finding(const char *mode, double timeout, bool reference, const char *signature, const char *word) {
    od_judge_init(&judge, reference ? engine(mode, false, timeout) : fake_ref(),
                  reference ? fake_fast() : engine(mode, false, timeout));
    judge.setup.oracles = fake_oracles();
    judge.setup.isolated = true;
    for (int i = 0; i < 2; i++) {
        c.batch = 3;
        od_judge_case(&v, &judge, &c);
        ck_assert_msg(v.outcome == OD_FINDING, "%s: %s %s", mode, od_outcome_name(v.outcome), v.reason);
        ck_assert_msg(strncmp(v.signature, signature, strlen(signature)) == 0, "%s: %s", mode, v.signature);
        ck_assert_msg(strstr(v.reason, word), "%s: %s", mode, v.reason);
        c.batch = 1;
        od_judge_case(&v, &judge, &c);
        ck_assert_msg(v.outcome == OD_PASS, "%s: %s", mode, v.reason);
    }
    od_judge_free(&judge);
    od_worker_engines_end(NULL);
}

START_TEST(a_crash_is_a_finding_and_the_next_case_goes_on) {
    check_finding("crash-prefill", 60, false, "engine/crash/prefill/b2-4.v2-4.s2-4/ref:fast",
                  "died of SIGSEGV (Segmentation fault) in prefill");
    check_finding("crash-decode", 60, false, "engine/crash/decode/", "op 1 call 0 (decode of session 0): ");
    check_finding("exit-decode", 60, false, "engine/crash/decode/", "exited with status 3 in decode");
    check_finding("crash-stats", 60, false, "engine/crash/", "SIGSEGV (Segmentation fault) in stats");
    check_finding("crash-decode", 60, true, "engine/crash/decode/", "the reference: ");
}
END_TEST

/* Calls without a status: nothing follows that would tell but the question at the end. */
START_TEST(a_crash_while_closing_is_a_finding_of_the_same_case) {
    check_finding("crash-session_close", 60, false, "engine/crash/", "in session_close");
    check_finding("crash-destroy", 60, true, "engine/crash/-/", "the reference, being closed: the worker of fast died");
}
END_TEST

START_TEST(a_hang_is_a_finding_and_ends_in_time) {
    const double start = od_seconds();
    check_finding("hang-decode", 0.3, false, "engine/hang/decode/", "gave no answer to decode within 0.3 s");
    check_finding("hang-destroy", 0.3, false, "engine/hang/", "gave no answer to destroy within 0.3 s");
    ck_assert_double_lt(od_seconds() - start, 10);
}
END_TEST

START_TEST(answers_that_no_worker_should_give_are_faults) {
    char mode[16];
    for (int i = 0; i < 16; i++) {
        snprintf(mode, sizeof mode, "say-%d", i);
        od_judge_init(&judge, fake_ref(), engine(mode, false, 5));
        judge.setup.oracles = fake_oracles();
        od_judge_case(&v, &judge, &c);
        ck_assert_msg(strncmp(v.signature, "engine/fault/prefill/", 21) == 0, "%s: %s %s", mode, v.signature, v.reason);
        ck_assert_msg(strstr(v.reason, i < 15 ? "broke the protocol in outputs: " : "broke the protocol in create: "),
                      "%s: %s", mode, v.reason);
        od_judge_free(&judge);
        od_worker_engines_end(NULL);
    }
}
END_TEST

/* What fails on the judge's own side is told as that, and costs no worker. */
START_TEST(a_request_that_cannot_be_made_is_no_fault_of_the_worker) {
    const char *const argv[] = {"/proc/self/exe", "worker", "fake", NULL};
    static char lengthy[OD_WIRE_MOST + 1];
    od_worker *w = NULL;
    od_error e = {0};
    json_t *answer;
    memset(lengthy, 'x', OD_WIRE_MOST);
    ck_assert_int_eq(od_worker_start(&w, "fake", argv, 60, &e), OD_OK);
    ck_assert_int_eq(od_worker_ask(&answer, w, json_pack("{s:s}", "do", "caf\xe9"), &e), OD_NO_MEMORY);
    ck_assert_msg(strstr(e.text, "no UTF-8"), "%s", e.text);
    ck_assert_int_eq(od_worker_ask(&answer, w, json_pack("{s:s}", "do", lengthy), &e), OD_BAD_INPUT);
    ck_assert_msg(strstr(e.text, "are the most"), "%s", e.text);
    ck_assert_msg(od_worker_tell(w, json_pack("{s:s}", "do", "probe"), &e) == OD_OK, "%s", e.text);
    ck_assert_int_eq(od_worker_end(w, &e), OD_OK);
}
END_TEST

/* The leader ends by itself, or is told to, and leaves a process that holds a pipe: the pipe's end comes when that
 * process is gone. */
static void check_nothing_left(const char *end) {
    char command[200], nothing;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    snprintf(command, sizeof command, "exec 3>&- 9>/proc/%d/fd/%d; (exec sleep 30 </dev/null >/dev/null) & %s",
             (int)getpid(), ends[1], end);
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    const od_worker_terms terms = {.argv = argv, .timeout = 5};
    const od_engine_api *api;
    od_error e = {0};
    ck_assert_int_eq(od_worker_engine(&api, &terms, &e), OD_CRASHED);
    close(ends[1]);
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    ck_assert_msg(poll(&p, 1, 5000) == 1 && p.revents & POLLHUP, "%s: a process is left (%s)", end, e.text);
    ck_assert_int_eq(read(ends[0], &nothing, 1), 0);
    close(ends[0]);
}

START_TEST(a_worker_leaves_no_process_behind) {
    check_nothing_left("exit 1");
    check_nothing_left("kill -ABRT $$");
    check_nothing_left("exec <&- >&-; sleep 30"); /* it closes its stream and lives */
}
END_TEST

START_TEST(what_cannot_be_a_worker_is_refused_in_words) {
    static const struct {
        const char *argv[4];
        enum od_status status;
        const char *word;
    } table[] = {
        {{"/nowhere/worker"}, OD_IO, "/nowhere/worker: cannot be started"},
        {{"/bin/false"}, OD_CRASHED, "exited with status 1 in hello"},
        {{"/bin/sh", "-c", "kill -ABRT $$"}, OD_CRASHED, "SIGABRT"},
        {{"/bin/sh", "-c", "echo no length, no JSON; exec sleep 5"}, OD_DEVICE_FAULT, "broke the protocol in hello"},
        {{"/bin/sleep", "5"}, OD_HUNG, "within 0.5 s"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const od_worker_terms terms = {.argv = table[i].argv, .timeout = 0.5};
        const od_engine_api *api;
        od_error e = {0};
        ck_assert_int_eq(od_worker_engine(&api, &terms, &e), table[i].status);
        ck_assert_msg(strstr(e.text, table[i].word), "%s", e.text);
    }
}
END_TEST

/* ---- the worker's side ------------------------------------------------------------------------------------------- */

enum { MEMORY = 1 << 20 }; /* more than a tiny model */

/* What the worker answers to the bytes, in answer[size], without the lengths; the status that serving ends with. */
static enum od_status serve(char *answer, size_t size, const void *bytes, size_t n) {
    int ends[2];
    char raw[8192];
    od_error e = {0};
    size_t got = 0, at = 0, used = 0;
    const int memory = memfd_create("test", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(memory, MEMORY), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ck_assert_int_eq(write(ends[0], bytes, n), (ssize_t)n);
    shutdown(ends[0], SHUT_WR);
    const enum od_status s = od_worker_serve(fake_fast(), ends[1], ends[1], memory, &e);
    close(ends[1]);
    for (ssize_t k; got < sizeof raw && (k = read(ends[0], raw + got, sizeof raw - got)) > 0;) got += (size_t)k;
    close(ends[0]);
    close(memory);
    answer[0] = '\0';
    while (at + 4 <= got) {
        const size_t length = (unsigned char)raw[at] | (size_t)(unsigned char)raw[at + 1] << 8;
        used += (size_t)snprintf(answer + used, size - used, "%.*s\n", (int)length, raw + at + 4);
        at += 4 + length;
    }
    return s;
}

static size_t message(unsigned char *out, const char *text) {
    const size_t n = strlen(text);
    const unsigned char head[4] = {n & 255, n >> 8 & 255};
    memcpy(out, head, 4);
    memcpy(out + 4, text, n);
    return n + 4;
}

#define CONFIG                                                                                                         \
    "\"config\":{\"patch\":4,\"d_model\":32,\"n_layer\":6,\"n_head\":4,\"d_mlp\":64,\"space_every\":3,"                \
    "\"n_component\":1,\"space_first\":false,\"scaler\":\"StdMeanScaler\",\"stabilize\":false,\"scale_exponent\":10,"  \
    "\"mixture\":false,\"xpos\":\"call\"}"
#define OPTIONS                                                                                                        \
    "\"options\":{\"hidden\":false,\"last_head\":false,\"graph\":\"on\",\"cache\":\"fixed\",\"fused\":\"off\","        \
    "\"autotune\":\"off\",\"tf32\":\"off\",\"threads\":\"1\",\"streams\":\"2\",\"captures\":\"8\",\"order\":\"1\"}"

/* A request to create an engine that has all its weights. */
static void create_request(char *text, size_t size) {
    size_t n = (size_t)snprintf(text, size, "{\"do\":\"create\"," OPTIONS "," CONFIG ",\"weights\":[");
    ck_assert_int_eq(od_script_create(&script, &c, NULL), OD_OK);
    const od_model *m = script.model;
    ck_assert_uint_lt(m->n_data * sizeof(float), MEMORY);
    for (size_t i = 0; i < m->n_weight; i++) {
        char shape[64];
        n += (size_t)snprintf(text + n, size - n, "%s{\"name\":\"%s\",\"dtype\":\"F32\",\"shape\":%s,\"offset\":%zu}",
                              i ? "," : "", m->weights[i].name,
                              od_shape_text(shape, sizeof shape, m->weights[i].rank, m->weights[i].shape),
                              m->weights[i].offset * sizeof(float));
    }
    snprintf(text + n, size - n, "]}");
}

static char request[32768];
static unsigned char stream[65536];

START_TEST(a_window_outside_of_the_memory_is_refused) {
    static const char *const places[] = {
        "\"n_step\":8,\"value\":1048544,\"mask\":1048568,\"id\":1048544", /* ends where the memory does */
        "\"n_step\":8,\"value\":1048548,\"mask\":0,\"id\":0",
        "\"n_step\":8,\"value\":0,\"mask\":1048569,\"id\":0",
        "\"n_step\":8,\"value\":0,\"mask\":0,\"id\":1048548",
        "\"n_step\":300000,\"value\":0,\"mask\":0,\"id\":0",
        "\"n_step\":8,\"value\":2305843009213693948,\"mask\":0,\"id\":0"};
    char answer[4096];
    create_request(request, sizeof request);
    for (int i = 0; i < 6; i++) {
        char prefill[200];
        size_t n = message(stream, request);
        n += message(stream + n, "{\"do\":\"session_open\",\"engine\":0,\"batch\":1,\"variates\":1,\"limit\":64}");
        snprintf(prefill, sizeof prefill, "{\"do\":\"prefill\",\"session\":0,%s}", places[i]);
        n += message(stream + n, prefill);
        ck_assert_int_eq(serve(answer, sizeof answer, stream, n), OD_IO);
        ck_assert_msg(strstr(answer, "\"session\":0"), "%s", answer);
        ck_assert_msg(!strstr(answer, "bad input") == (i == 0), "%d: %s", i, answer);
        ck_assert_msg(i == 0 || strstr(answer, "is not in the shared memory"), "%d: %s", i, answer);
    }
}
END_TEST

START_TEST(a_worker_answers_bad_requests_in_words) {
    static const char *const table[][2] = {
        {"{}", "\\\"do\\\" is missing"},
        {"{\"do\":7}", "\\\"do\\\" has another type"},
        {"{\"do\":\"dance\"}", "'dance', which no worker does"},
        {"{\"do\":\"prefill\"}", "\\\"session\\\" is missing"},
        {"{\"do\":\"prefill\",\"session\":-1}", "\\\"session\\\" has another type or range"},
        {"{\"do\":\"prefill\",\"session\":1e300}", "\\\"session\\\" has another type or range"},
        {"{\"do\":\"prefill\",\"session\":255}", "there is no session 255"},
        {"{\"do\":\"prefill\",\"session\":256}", "from 0 to 255"},
        {"{\"do\":\"destroy\",\"engine\":63}", "there is no engine 63"},
        {"{\"do\":\"stats\",\"engine\":9223372036854775807}", "from 0 to 63"},
        {"{\"do\":\"create\"}", "\\\"hidden\\\" is missing"},
        {"{\"do\":\"create\"," OPTIONS "}", "\\\"patch\\\" is missing"},
        {"{\"do\":\"create\"," OPTIONS "," CONFIG "}", "\\\"weights\\\" has 0 tensors"},
        {"{\"do\":\"can\",\"case\":\"{}\",\"path\":\"\"}", "format"},
        {"{\"do\":\"can\",\"case\":\"{}\"}", "\\\"path\\\" is missing"},
    };
    char answer[4096];
    unsigned char bytes[4096];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        size_t n = message(bytes, table[i][0]);
        n += message(bytes + n, "{\"do\":\"hello\"}");
        ck_assert_int_eq(serve(answer, sizeof answer, bytes, n), OD_IO);
        ck_assert_msg(strstr(answer, "\"status\":\"bad input\""), "%s: %s", table[i][0], answer);
        ck_assert_msg(strstr(answer, table[i][1]), "%s: %s", table[i][0], answer);
        ck_assert_msg(strstr(answer, "\"name\":\"fast\""), "%s: it serves no more: %s", table[i][0], answer);
    }
}
END_TEST

START_TEST(a_stream_that_is_none_ends_the_worker_in_words) {
    static const struct {
        const char *bytes;
        size_t n;
    } table[] = {{"\1", 1},
                 {"\2\0\0\0{", 5},
                 {"\2\0\0\0[]", 6},
                 {"\0\0\0\0", 4},
                 {"\377\377\377\377{}", 6},
                 {"\5\0\0\0{\"a\":", 9},
                 {"\4\0\0\0\377\376{}", 8},
                 {"GET / HTTP/1.1\r\n", 16}};
    char answer[4096];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        ck_assert_int_eq(serve(answer, sizeof answer, table[i].bytes, table[i].n), OD_BAD_INPUT);
        ck_assert_str_eq(answer, "");
    }
    ck_assert_int_eq(serve(answer, sizeof answer, "", 0), OD_IO); /* an empty one is a run that ended */
}
END_TEST

/* Valid requests with a few bytes changed: whatever they ask for, the worker answers or stops, and lives. */
START_TEST(garbage_never_crashes_a_worker) {
    const char *const seeds[] = {
        request, "{\"do\":\"session_open\",\"engine\":0,\"batch\":1,\"variates\":1,\"limit\":64}",
        "{\"do\":\"prefill\",\"session\":0,\"n_step\":8,\"value\":0,\"mask\":64,\"id\":128}",
        "{\"do\":\"can\",\"case\":\"{\\\"format\\\":1}\",\"path\":\"x\"," OPTIONS "," CONFIG "}"};
    char answer[8192];
    unsigned char *bytes = stream;
    uint64_t state = 1;
    create_request(request, sizeof request);
    for (int i = 0; i < 500; i++) {
        size_t n = 0;
        for (size_t k = 0; k < sizeof seeds / sizeof seeds[0]; k++) n += message(bytes + n, seeds[k]);
        const size_t most = i % 2 ? n : n - strlen(request); /* of every second one only what follows the weights */
        for (int k = 0; k < 1 + i % 4; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            bytes[n - 1 - (state >> 33) % most] = (unsigned char)(state >> 20);
        }
        const enum od_status s = serve(answer, sizeof answer, bytes, n);
        ck_assert(s == OD_IO || s == OD_BAD_INPUT);
    }
}
END_TEST

Suite *suite_worker(void) {
    Suite *s = suite_create("worker");
    TCase *t = tcase_create("worker");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_worker_s_answers_have_the_same_bits);
    tcase_add_test(t, a_worker_is_given_the_same_input);
    tcase_add_test(t, a_worker_is_given_whole_windows);
    tcase_add_test(t, a_worker_s_engine_is_judged_like_any_other);
    tcase_add_test(t, a_fresh_engine_is_a_fresh_process);
    tcase_add_test(t, a_difference_in_a_fresh_process_is_found);
    tcase_add_test(t, a_crash_is_a_finding_and_the_next_case_goes_on);
    tcase_add_test(t, a_crash_while_closing_is_a_finding_of_the_same_case);
    tcase_add_test(t, a_hang_is_a_finding_and_ends_in_time);
    tcase_add_test(t, answers_that_no_worker_should_give_are_faults);
    tcase_add_test(t, a_request_that_cannot_be_made_is_no_fault_of_the_worker);
    tcase_add_test(t, a_worker_leaves_no_process_behind);
    tcase_add_test(t, what_cannot_be_a_worker_is_refused_in_words);
    tcase_add_test(t, a_worker_answers_bad_requests_in_words);
    tcase_add_test(t, a_stream_that_is_none_ends_the_worker_in_words);
    tcase_add_test(t, a_window_outside_of_the_memory_is_refused);
    tcase_add_test(t, garbage_never_crashes_a_worker);
    suite_add_tcase(s, t);
    return s;
}
