/* The worker's side (worker.h): one request, one answer, until the stream ends. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_table.h"
#include "oracles/wire.h"
#include "oracles/worker.h"

enum { ENGINES = 64, SESSIONS = 256, MOST_ROWS = 1 << 24, MOST_STEPS = 1 << 24 };

typedef struct server {
    const od_engine_api *api;
    od_wire wire;
    struct {
        od_engine *engine;
        od_model *model;
    } engine[ENGINES];
    struct {
        od_session *session;
        size_t engine, rows;
    } session[SESSIONS];
} server;

/* What a request was answered with: members for the answer, NULL without any. */
typedef enum od_status (*handler)(json_t *answer, server *s, const json_t *request, od_error *e);

static json_t *count(size_t n) {
    return json_integer((json_int_t)n);
}

static enum od_status find_engine(size_t *i, const server *s, const json_t *request, od_error *e) {
    enum od_status status = od_wire_size(i, request, "engine", ENGINES - 1, e);
    if (status == OD_OK && !s->engine[*i].engine) return od_fail(e, OD_BAD_INPUT, "there is no engine %zu", *i);
    return status;
}

static enum od_status find_session(size_t *i, const server *s, const json_t *request, od_error *e) {
    enum od_status status = od_wire_size(i, request, "session", SESSIONS - 1, e);
    if (status == OD_OK && !s->session[*i].session) return od_fail(e, OD_BAD_INPUT, "there is no session %zu", *i);
    return status;
}

static enum od_status hello(json_t *answer, server *s, const json_t *request, od_error *e) {
    json_t *has = json_array();
    if (s->api->can) json_array_append_new(has, json_string("can"));
    if (s->api->recapture) json_array_append_new(has, json_string("recapture"));
    if (s->api->poison) json_array_append_new(has, json_string("poison"));
    if (s->api->scramble_undeclared) json_array_append_new(has, json_string("scramble_undeclared"));
    json_object_set_new(answer, "protocol", json_integer(OD_WIRE_PROTOCOL));
    json_object_set_new(answer, "abi", json_integer(OD_ENGINE_ABI));
    json_object_set_new(answer, "name", json_string(s->api->name));
    json_object_set_new(answer, "about", json_string(s->api->about ? s->api->about : ""));
    json_object_set_new(answer, "has", has);
    return OD_OK;
}

static enum od_status probe(json_t *answer, server *s, const json_t *request, od_error *e) {
    return s->api->probe ? s->api->probe(e) : OD_OK;
}

/* The case as a file has it, with the configuration that its folder of weights would give. */
static enum od_status can(json_t *answer, server *s, const json_t *request, od_error *e) {
    static od_case c;
    const char *text, *path;
    char why[200] = "";
    enum od_status status = od_wire_text(&text, request, "case", e);
    if (status == OD_OK) status = od_wire_text(&path, request, "path", e);
    if (status == OD_OK) status = od_case_parse(&c, text, strlen(text), path, e);
    if (status == OD_OK) status = od_wire_read_config(&c.config, json_object_get(request, "config"), e);
    if (status == OD_OK) status = od_wire_read_options(&c.options, json_object_get(request, "options"), e);
    if (status != OD_OK) return status;
    const bool yes = !s->api->can || s->api->can(&c, why, sizeof why);
    json_object_set_new(answer, "can", json_boolean(yes));
    json_object_set_new(answer, "why", od_wire_words(why, strlen(why)));
    return OD_OK;
}

/* The tensors must lie where the table has them: one block, as od_model.data. */
static enum od_status check_weights(const od_model *model, od_wire *wire, const json_t *list, od_error *e) {
    if (json_array_size(list) != model->n_weight)
        return od_fail(e, OD_BAD_INPUT, "\"weights\" has %zu tensors; %zu would be right", json_array_size(list),
                       model->n_weight);
    for (size_t i = 0; i < model->n_weight; i++) {
        const od_weight_spec *spec = &model->weights[i];
        od_tensor t;
        size_t offset;
        enum od_status s = od_wire_read_tensor(&t, wire, json_array_get(list, i), e);
        if (s == OD_OK) s = od_wire_size(&offset, json_array_get(list, i), "offset", SIZE_MAX / 2, e);
        if (s != OD_OK) return s;
        if (strcmp(t.name, spec->name) != 0 || t.dtype != OD_F32 || t.rank != spec->rank ||
            memcmp(t.shape, spec->shape, spec->rank * sizeof *t.shape) != 0 || offset != spec->offset * sizeof(float))
            return od_fail(e, OD_BAD_INPUT, "weight %zu is %s; F32 %s at %zu would be right", i, t.name, spec->name,
                           spec->offset * sizeof(float));
    }
    return OD_OK;
}

static enum od_status take_model(od_model **out, server *s, const json_t *request, od_error *e) {
    od_config config;
    enum od_status status = od_wire_read_config(&config, json_object_get(request, "config"), e);
    if (status == OD_OK) status = od_model_create_table(out, &config, e);
    if (status != OD_OK) return status;
    od_model *model = *out;
    status = check_weights(model, &s->wire, json_object_get(request, "weights"), e);
    if (status == OD_OK) status = od_model_allocate(model, false, e);
    const char *data = status == OD_OK ? od_wire_at(&s->wire, 0, model->n_data * sizeof(float)) : NULL;
    if (status == OD_OK && !data)
        status = od_fail(e, OD_BAD_INPUT, "the shared memory ends before the last weight does");
    if (status == OD_OK) memcpy(model->data, data, model->n_data * sizeof(float));
    return status;
}

static enum od_status create(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i = 0;
    od_options options;
    od_model *model = NULL;
    while (i < ENGINES && s->engine[i].engine) i++;
    if (i == ENGINES) return od_fail(e, OD_BAD_INPUT, "more than %d engines in one worker", ENGINES);
    enum od_status status = od_wire_read_options(&options, json_object_get(request, "options"), e);
    if (status == OD_OK) status = take_model(&model, s, request, e);
    if (status == OD_OK) status = s->api->create(&s->engine[i].engine, model, &options, e);
    if (status != OD_OK) {
        s->engine[i].engine = NULL;
        od_model_destroy(model);
        return status;
    }
    s->engine[i].model = model;
    json_object_set_new(answer, "engine", count(i));
    return OD_OK;
}

static void close_sessions(server *s, size_t engine) {
    for (size_t k = 0; k < SESSIONS; k++) {
        if (!s->session[k].session || s->session[k].engine != engine) continue;
        s->api->session_close(s->session[k].session);
        s->session[k].session = NULL;
    }
}

static void destroy_engine(server *s, size_t i) {
    close_sessions(s, i);
    s->api->destroy(s->engine[i].engine);
    s->engine[i].engine = NULL;
    od_model_destroy(s->engine[i].model);
    s->engine[i].model = NULL;
}

static enum od_status destroy(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i;
    enum od_status status = find_engine(&i, s, request, e);
    if (status == OD_OK) destroy_engine(s, i);
    return status;
}

static enum od_status session_open(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i, k = 0, batch, variates, limit, rows;
    enum od_status status = find_engine(&i, s, request, e);
    if (status == OD_OK) status = od_wire_size(&batch, request, "batch", MOST_ROWS, e);
    if (status == OD_OK) status = od_wire_size(&variates, request, "variates", MOST_ROWS, e);
    if (status == OD_OK) status = od_wire_size(&limit, request, "limit", MOST_STEPS, e);
    if (status != OD_OK) return status;
    while (k < SESSIONS && s->session[k].session) k++;
    if (k == SESSIONS || !od_size_mul(&rows, batch, variates) || rows < 1 || rows > MOST_ROWS)
        return od_fail(e, OD_BAD_INPUT, "%zu x %zu series, or more than %d sessions", batch, variates, SESSIONS);
    status = s->api->session_open(&s->session[k].session, s->engine[i].engine, batch, variates, limit, e);
    if (status != OD_OK) {
        s->session[k].session = NULL;
        return status;
    }
    s->session[k].engine = i;
    s->session[k].rows = rows;
    json_object_set_new(answer, "session", count(k));
    return OD_OK;
}

static enum od_status session_close(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i;
    enum od_status status = find_session(&i, s, request, e);
    if (status != OD_OK) return status;
    s->api->session_close(s->session[i].session);
    s->session[i].session = NULL;
    return OD_OK;
}

/* The window that a request names, in the shared memory: [rows, n_step] each of value f32, mask u8, id i32. */
static enum od_status take_window(od_window *w, server *s, size_t rows, const json_t *request, od_error *e) {
    size_t k, n, value, mask, id, end = 0;
    enum od_status status = od_wire_size(&k, request, "n_step", MOST_STEPS, e);
    if (status == OD_OK) status = od_wire_size(&value, request, "value", SIZE_MAX / 8, e);
    if (status == OD_OK) status = od_wire_size(&mask, request, "mask", SIZE_MAX / 8, e);
    if (status == OD_OK) status = od_wire_size(&id, request, "id", SIZE_MAX / 8, e);
    if (status != OD_OK) return status;
    if (k < 1) return od_fail(e, OD_BAD_INPUT, "\"n_step\" is 0");
    if (value % sizeof(float) || id % sizeof(int32_t))
        return od_fail(e, OD_BAD_INPUT, "\"value\" and \"id\" must be multiples of 4");
    n = rows * k; /* below 2^48 */
    const size_t ends[] = {value + n * sizeof(float), mask + n, id + n * sizeof(int32_t)};
    for (int i = 0; i < 3; i++) end = ends[i] > end ? ends[i] : end;
    const char *all = od_wire_at(&s->wire, 0, end);
    if (!all) return od_fail(e, OD_BAD_INPUT, "the window of %zu x %zu steps is not in the shared memory", rows, k);
    *w = (od_window){.n_step = k,
                     .stride = k,
                     .value = (const float *)(const void *)(all + value),
                     .mask = (const uint8_t *)all + mask,
                     .id = (const int32_t *)(const void *)(all + id)};
    return OD_OK;
}

static enum od_status prefill(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i;
    od_window w;
    enum od_status status = find_session(&i, s, request, e);
    if (status == OD_OK) status = take_window(&w, s, s->session[i].rows, request, e);
    return status == OD_OK ? s->api->prefill(s->session[i].session, &w, e) : status;
}

static enum od_status decode(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i;
    od_window w;
    const bool own = !json_object_get(request, "n_step");
    enum od_status status = find_session(&i, s, request, e);
    if (status == OD_OK && !own) status = take_window(&w, s, s->session[i].rows, request, e);
    return status == OD_OK ? s->api->decode(s->session[i].session, own ? NULL : &w, e) : status;
}

static enum od_status reset(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i;
    enum od_status status = find_session(&i, s, request, e);
    return status == OD_OK ? s->api->reset(s->session[i].session, e) : status;
}

/* Copies the answer into the shared memory, each tensor at a place of its own. */
static enum od_status outputs(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i, at = 0;
    od_outputs out = {0};
    enum od_status status = find_session(&i, s, request, e);
    if (status == OD_OK) status = s->api->outputs(s->session[i].session, &out, e);
    if (status != OD_OK) return status;
    for (size_t k = 0; k < out.n_tensor; k++) {
        if (od_tensor_count(&i, &out.tensor[k], e) != OD_OK) return e->status;
        if (!od_size_add(&at, at, od_tensor_bytes(&out.tensor[k])) || !od_wire_align(&at))
            return od_fail(e, OD_BAD_INPUT, "the answer's size overflows");
    }
    status = od_wire_room(&s->wire, at ? at : 1, e);
    json_t *list = json_array();
    at = 0;
    for (size_t k = 0; status == OD_OK && k < out.n_tensor; k++) {
        const od_tensor *t = &out.tensor[k];
        const size_t bytes = od_tensor_bytes(t);
        if (bytes) memcpy(s->wire.map + at, t->data, bytes);
        json_array_append_new(list, od_wire_tensor(t, at));
        at += bytes;
        od_wire_align(&at);
    }
    json_object_set_new(answer, "tensors", list);
    return status;
}

static enum od_status stats(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i;
    od_stats counters = {0};
    enum od_status status = find_engine(&i, s, request, e);
    if (status != OD_OK) return status;
    s->api->stats(s->engine[i].engine, &counters);
    json_object_set_new(answer, "stats", od_wire_stats(&counters));
    return OD_OK;
}

static enum od_status recapture(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i;
    enum od_status status = find_engine(&i, s, request, e);
    if (status == OD_OK && !s->api->recapture) status = od_fail(e, OD_UNSUPPORTED, "the engine has no graphs");
    return status == OD_OK ? s->api->recapture(s->engine[i].engine, e) : status;
}

static enum od_status poison(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i;
    enum od_status status = find_engine(&i, s, request, e);
    if (status == OD_OK && !s->api->poison) status = od_fail(e, OD_UNSUPPORTED, "the engine has no scratch memory");
    return status == OD_OK ? s->api->poison(s->engine[i].engine, e) : status;
}

static enum od_status scramble(json_t *answer, server *s, const json_t *request, od_error *e) {
    size_t i;
    enum od_status status = find_engine(&i, s, request, e);
    if (status == OD_OK && !s->api->scramble_undeclared)
        status = od_fail(e, OD_UNSUPPORTED, "the engine cannot overwrite what a call must not depend on");
    return status == OD_OK ? s->api->scramble_undeclared(s->engine[i].engine, e) : status;
}

static const struct {
    const char *name;
    handler run;
} handlers[] = {{"hello", hello},
                {"probe", probe},
                {"can", can},
                {"create", create},
                {"session_open", session_open},
                {"prefill", prefill},
                {"decode", decode},
                {"outputs", outputs},
                {"reset", reset},
                {"stats", stats},
                {"recapture", recapture},
                {"poison", poison},
                {"scramble_undeclared", scramble},
                {"session_close", session_close},
                {"destroy", destroy}};

static enum od_status handle(json_t *answer, server *s, const json_t *request, od_error *e) {
    const char *what;
    enum od_status status = od_wire_text(&what, request, "do", e);
    if (status != OD_OK) return status;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (strcmp(handlers[i].name, what) == 0) return handlers[i].run(answer, s, request, e);
    return od_fail(e, OD_BAD_INPUT, "\"do\" is '%.60s', which no worker does", what);
}

static enum od_status serve_one(server *s, json_t *request, od_error *e) {
    od_error wrong = {0};
    json_t *answer = json_object();
    const enum od_status status = handle(answer, s, request, &wrong);
    json_decref(request);
    json_t *head = od_wire_status(status, &wrong);
    if (!answer || !head || json_object_update(answer, head) != 0) {
        json_decref(answer);
        json_decref(head);
        return od_fail(e, OD_NO_MEMORY, "no memory for an answer");
    }
    json_decref(head);
    return od_wire_send(&s->wire, answer, INFINITY, e);
}

enum od_status od_worker_serve(const od_engine_api *api, int in, int out, int memory, od_error *e) {
    server *s = calloc(1, sizeof *s);
    if (!s) return od_fail(e, OD_NO_MEMORY, "no memory for a worker");
    s->api = api;
    s->wire = (od_wire){.in = in, .out = out, .memory = memory};
    enum od_status status;
    for (json_t *request; (status = od_wire_receive(&request, &s->wire, INFINITY, e)) == OD_OK;) {
        status = serve_one(s, request, e);
        if (status != OD_OK) break;
    }
    for (size_t i = 0; i < ENGINES; i++)
        if (s->engine[i].engine) destroy_engine(s, i);
    od_wire_unmap(&s->wire);
    free(s);
    return status;
}

enum od_status od_worker_refuse(int in, int out, od_error *e) {
    od_wire wire = {.in = in, .out = out, .memory = -1};
    od_error unheard = {0};
    json_t *request;
    enum od_status s = od_wire_receive(&request, &wire, INFINITY, &unheard);
    if (s != OD_OK) return s;
    json_decref(request);
    return od_wire_send(&wire, od_wire_status(e->status, e), INFINITY, &unheard);
}
