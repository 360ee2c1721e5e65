/* Modes: fake, causal: that engine; weights: fake, which reads every weight; lie: fake with a wrong loc; echo: its
 * answer is the window that it was given; drop: the last element of every tensor is lost; pid: launches is the
 * process's number; crash-WHAT, exit-WHAT, hang-WHAT: that happens in the call WHAT (end: when the stream has ended) in
 * cases of batch 3; say-N: no engine at all, but answer N of a list that no worker should give. */
#include "tests/oracles/worker_double.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "oracles/worker.h"
#include "tests/oracles/causal_engine.h"
#include "tests/oracles/fake_engine.h"

static od_engine_api api;
static const od_engine_api *inner;
static const char *wrong, *where;
static bool bad_batch; /* the last session opened has batch 3 */

static void maybe(const char *call) {
    if (!bad_batch || !where || strcmp(where, call) != 0) return;
    if (strcmp(wrong, "crash") == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    if (strcmp(wrong, "exit") == 0) _exit(3);
    if (strcmp(wrong, "hang") == 0)
        for (;;) sleep(1000);
}

static enum od_status session_open(od_session **out, od_engine *engine, size_t batch, size_t variates, size_t limit,
                                   od_error *e) {
    bad_batch = batch == 3;
    return inner->session_open(out, engine, batch, variates, limit, e);
}

/* ---- the window, given back -------------------------------------------------------------------------------------- */

enum { ROWS = 6, STEPS = 64 };
static float value[ROWS * STEPS];
static uint8_t mask[ROWS * STEPS];
static int32_t id[ROWS * STEPS];
static size_t n_step;

static void listen_to(const od_window *w) {
    n_step = w->n_step < STEPS ? w->n_step : STEPS;
    for (size_t r = 0; r < ROWS; r++) {
        memcpy(value + r * n_step, w->value + r * w->stride, n_step * sizeof *value);
        memcpy(mask + r * n_step, w->mask + r * w->stride, n_step * sizeof *mask);
        memcpy(id + r * n_step, w->id + r * w->stride, n_step * sizeof *id);
    }
}

static enum od_status echo(od_outputs *out) {
    static od_tensor t[3];
    const size_t shape[] = {ROWS, n_step};
    od_tensor_set(&t[0], "value", OD_F32, 2, shape, value);
    od_tensor_set(&t[1], "mask", OD_U8, 2, shape, mask);
    od_tensor_set(&t[2], "id", OD_I32, 2, shape, id);
    *out = (od_outputs){.n_tensor = 3, .tensor = t};
    return OD_OK;
}

/* ---- calls that go wrong ----------------------------------------------------------------------------------------- */

static enum od_status prefill(od_session *s, const od_window *w, od_error *e) {
    maybe("prefill");
    if (strcmp(wrong, "echo") == 0) listen_to(w);
    return inner->prefill(s, w, e);
}

static enum od_status decode(od_session *s, const od_window *w, od_error *e) {
    maybe("decode");
    return inner->decode(s, w, e);
}

static void close_session(od_session *s) {
    maybe("session_close");
    inner->session_close(s);
}

static void destroy(od_engine *engine) {
    maybe("destroy");
    inner->destroy(engine);
}

static void stats(od_engine *engine, od_stats *out) {
    maybe("stats");
    inner->stats(engine, out);
    if (strcmp(wrong, "pid") == 0) out->launches = (uint64_t)getpid();
}

static enum od_status outputs(od_session *s, od_outputs *out, od_error *e) {
    if (strcmp(wrong, "echo") == 0) return echo(out);
    const enum od_status status = inner->outputs(s, out, e);
    if (strcmp(wrong, "drop") != 0) return status;
    for (size_t i = 0; status == OD_OK && i < out->n_tensor; i++) {
        float *data = (float *)(uintptr_t)out->tensor[i].data;
        data[od_tensor_size(&out->tensor[i]) - 1] = 0;
    }
    return status;
}

/* ---- answers that no worker should give -------------------------------------------------------------------------- */

#define HELLO "{\"status\":\"ok\",\"protocol\":1,\"abi\":4,\"name\":\"fast\",\"about\":\"\",\"has\":[]}"
#define OK    "{\"status\":\"ok\",\"engine\":0,\"session\":0}"
#define DF    "{\"name\":\"df\",\"dtype\":\"F32\","

/* What is said to hello, then to every other request but outputs, then to outputs. */
static const char *const sayings[][3] = {
    {HELLO, OK, "{\"status\":\"ok\"}"},
    {HELLO, OK, "{\"status\":\"ok\",\"tensors\":7}"},
    {HELLO, OK, "{\"status\":\"ok\",\"tensors\":[" DF "\"shape\":[4611686018427387904,8],\"offset\":0}]}"},
    {HELLO, OK, "{\"status\":\"ok\",\"tensors\":[" DF "\"shape\":[1000000000],\"offset\":0}]}"},
    {HELLO, OK, "{\"status\":\"ok\",\"tensors\":[" DF "\"shape\":[4],\"offset\":-8}]}"},
    {HELLO, OK, "{\"status\":\"ok\",\"tensors\":[" DF "\"shape\":[1],\"offset\":9223372036854775807}]}"},
    {HELLO, OK, "{\"status\":\"ok\",\"tensors\":[" DF "\"shape\":[1,1,1,1,1,1,1],\"offset\":0}]}"},
    {HELLO, OK, "{\"status\":\"ok\",\"tensors\":[{\"name\":\"\",\"dtype\":\"F32\",\"shape\":[1],\"offset\":0}]}"},
    {HELLO, OK, "{\"status\":\"ok\",\"tensors\":[{\"name\":\"df\",\"dtype\":\"F16\",\"shape\":[1],\"offset\":0}]}"},
    {HELLO, OK, "{\"status\":\"crashed\",\"text\":\"it says\"}"},
    {HELLO, OK, "{\"status\":\"bad input\"}"},
    {HELLO, OK, "[]"},
    {HELLO, OK, "{\"status\":\"ok\",\"status\":\"ok\"}"},
    {HELLO, OK, "nothing"},
    {HELLO, OK, NULL}, /* the length of 4 GiB */
    {HELLO, "{\"status\":\"ok\"}", ""},
};

static void say(const char *text) {
    const size_t n = text ? strlen(text) : 0xffffffff;
    const unsigned char head[4] = {n & 255, n >> 8 & 255, n >> 16 & 255, n >> 24 & 255};
    if (write(1, head, 4) != 4 || (text && write(1, text, n) != (ssize_t)n)) _exit(4);
}

static int babble(unsigned which) {
    static char request[1 << 20];
    if (which >= sizeof sayings / sizeof sayings[0]) return 5;
    for (;;) {
        unsigned char head[4];
        size_t n = 0, got = 0;
        if (read(0, head, 4) != 4) return 0;
        for (int i = 0; i < 4; i++) n |= (size_t)head[i] << 8 * i;
        for (ssize_t k; got < n && (k = read(0, request + got, n - got)) > 0;) got += (size_t)k;
        request[n] = '\0';
        say(sayings[which][strstr(request, "\"hello\"") ? 0 : strstr(request, "\"outputs\"") ? 2 : 1]);
    }
}

int worker_double(const char *mode) {
    od_error e = {0};
    unsigned n;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* one that hangs does not outlive a test that failed */
    fake_reset();
    causal_reset();
    if (sscanf(mode, "say-%u", &n) == 1) return babble(n);
    inner = strcmp(mode, "causal") == 0 ? causal_engine() : fake_fast();
    fake_fast_knobs.reads_weights = strcmp(mode, "weights") == 0;
    if (strcmp(mode, "lie") == 0) fake_fast_knobs = (fake_knobs){.lie = FAKE_ADD, .tensor = 1, .call = 2, .add = 1};
    api = *inner;
    wrong = mode;
    if (strchr(mode, '-')) {
        static char word[16];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(mode, "-"), mode);
        wrong = word;
        where = strchr(mode, '-') + 1;
    }
    api.session_open = session_open;
    api.prefill = prefill;
    api.decode = decode;
    api.outputs = outputs;
    api.session_close = close_session;
    api.destroy = destroy;
    api.stats = stats;
    const enum od_status s = od_worker_serve(&api, 0, 1, 3, &e);
    maybe("end");
    return s == OD_IO ? 0 : 6;
}
