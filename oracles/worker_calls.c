/* Calls as messages (worker_calls.h). */
#include "oracles/worker_calls.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TEXTS = 64 };

struct od_session {
    od_engine *engine;
    size_t number, rows;
    od_tensor *tensor; /* the last answer, copied: the shared memory is used again by other sessions */
    size_t n_tensor, cap_tensor;
    char *data;
    size_t cap_data;
};

/* ---- texts that outlive their engine (od_stats) ------------------------------------------------------------------ */

static pthread_mutex_t texts_lock = PTHREAD_MUTEX_INITIALIZER;
static char *texts[MOST_TEXTS];

static const char *keep(const char *text) {
    size_t i = 0;
    pthread_mutex_lock(&texts_lock);
    while (i < MOST_TEXTS && texts[i] && strcmp(texts[i], text) != 0) i++;
    if (i < MOST_TEXTS && !texts[i]) texts[i] = strndup(text, 200);
    const char *kept = i < MOST_TEXTS && texts[i] ? texts[i] : "?";
    pthread_mutex_unlock(&texts_lock);
    return kept;
}

void od_worker_texts_free(void) {
    for (size_t i = 0; i < MOST_TEXTS && texts[i]; i++) {
        free(texts[i]);
        texts[i] = NULL;
    }
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static json_t *about_engine(const char *what, const od_engine *engine) {
    return json_pack("{s:s,s:I}", "do", what, "engine", (json_int_t)engine->number);
}

static json_t *about_session(const char *what, const od_session *session) {
    return json_pack("{s:s,s:I}", "do", what, "session", (json_int_t)session->number);
}

static void destroy(od_engine *engine) {
    if (!engine) return;
    od_worker_tell_quietly(engine->worker, about_engine("destroy", engine), engine->pending);
    od_worker_release(engine->worker, engine->pending);
    free(engine);
}

static enum od_status session_open(od_session **out, od_engine *engine, size_t batch, size_t variates, size_t limit,
                                   od_error *e) {
    json_t *answer;
    *out = NULL;
    od_session *session = calloc(1, sizeof *session);
    if (!session) return od_fail(e, OD_NO_MEMORY, "no memory for a session in a worker");
    session->engine = engine;
    session->rows = batch * variates;
    json_t *request = about_engine("session_open", engine);
    json_object_set_new(request, "batch", json_integer((json_int_t)batch));
    json_object_set_new(request, "variates", json_integer((json_int_t)variates));
    json_object_set_new(request, "limit", json_integer((json_int_t)limit));
    enum od_status s = od_worker_ask(&answer, engine->worker, request, e);
    if (s == OD_OK && od_wire_size(&session->number, answer, "session", UINT32_MAX, e) != OD_OK)
        s = od_worker_broken(engine->worker, "session_open", e);
    json_decref(answer);
    if (s != OD_OK) {
        free(session);
        return s;
    }
    *out = session;
    return OD_OK;
}

static void session_close(od_session *session) {
    if (!session) return;
    od_engine *engine = session->engine;
    od_worker_tell_quietly(engine->worker, about_session("session_close", session), engine->pending);
    free(session->tensor);
    free(session->data);
    free(session);
}

/* The window's rows without what lies between them: value f32, mask u8, id i32, each [rows, n_step]. */
static enum od_status put_window(json_t *request, od_session *session, const od_window *window, od_error *e) {
    od_wire *wire = &session->engine->worker->wire;
    size_t n, mask, id, end;
    if (!od_size_mul(&n, session->rows, window->n_step) || !od_size_mul(&end, n, 16))
        return od_fail(e, OD_BAD_INPUT, "a window of %zu steps overflows", window->n_step);
    mask = n * sizeof(float);
    if (!od_wire_align(&mask)) return od_fail(e, OD_BAD_INPUT, "a window of %zu steps overflows", window->n_step);
    id = mask + n;
    if (!od_wire_align(&id)) return od_fail(e, OD_BAD_INPUT, "a window of %zu steps overflows", window->n_step);
    enum od_status s = od_wire_room(wire, id + n * sizeof(int32_t), e);
    if (s != OD_OK) return s;
    const size_t k = window->n_step;
    for (size_t r = 0; r < session->rows; r++) {
        memcpy(wire->map + r * k * sizeof(float), window->value + r * window->stride, k * sizeof(float));
        memcpy(wire->map + mask + r * k, window->mask + r * window->stride, k);
        memcpy(wire->map + id + r * k * sizeof(int32_t), window->id + r * window->stride, k * sizeof(int32_t));
    }
    json_object_set_new(request, "n_step", json_integer((json_int_t)k));
    json_object_set_new(request, "value", json_integer(0));
    json_object_set_new(request, "mask", json_integer((json_int_t)mask));
    json_object_set_new(request, "id", json_integer((json_int_t)id));
    return OD_OK;
}

static enum od_status call(od_session *session, const char *what, const od_window *window, od_error *e) {
    od_worker *w = session->engine->worker;
    json_t *request = about_session(what, session);
    if (w->pid > 0 && window) {
        const enum od_status s = put_window(request, session, window, e);
        if (s != OD_OK) {
            json_decref(request);
            return s;
        }
    }
    return od_worker_tell(w, request, e);
}

static enum od_status prefill(od_session *session, const od_window *window, od_error *e) {
    return call(session, "prefill", window, e);
}

/* Without a window: its own mean. */
static enum od_status decode(od_session *session, const od_window *next, od_error *e) {
    return call(session, "decode", next, e);
}

static enum od_status reset(od_session *session, od_error *e) {
    return call(session, "reset", NULL, e);
}

static enum od_status room_for(od_session *session, size_t n_tensor, size_t bytes, od_error *e) {
    if (n_tensor > session->cap_tensor) {
        od_tensor *tensor = realloc(session->tensor, n_tensor * sizeof *tensor);
        if (!tensor) return od_fail(e, OD_NO_MEMORY, "no memory for %zu tensors of a worker", n_tensor);
        session->tensor = tensor;
        session->cap_tensor = n_tensor;
    }
    if (bytes > session->cap_data) {
        char *data = realloc(session->data, bytes);
        if (!data) return od_fail(e, OD_NO_MEMORY, "no %zu bytes for the tensors of a worker", bytes);
        session->data = data;
        session->cap_data = bytes;
    }
    return OD_OK;
}

/* Reads the list twice: how much room the tensors need, then the tensors. *broken: the worker's fault. */
static enum od_status copy_tensors(od_session *session, const json_t *list, bool *broken, od_error *e) {
    od_wire *wire = &session->engine->worker->wire;
    const size_t n = json_array_size(list);
    size_t bytes = 0;
    *broken = true;
    if (!json_is_array(list) || n > OD_WIRE_TENSORS)
        return od_fail(e, OD_BAD_INPUT, "\"tensors\" is no list of at most %d", OD_WIRE_TENSORS);
    for (size_t i = 0; i < n; i++) {
        od_tensor t;
        enum od_status s = od_wire_read_tensor(&t, wire, json_array_get(list, i), e);
        if (s != OD_OK) return s;
        if (!od_size_add(&bytes, bytes, od_tensor_bytes(&t)) || !od_wire_align(&bytes))
            return od_fail(e, OD_BAD_INPUT, "the tensors' sizes overflow");
    }
    enum od_status s = room_for(session, n, bytes + OD_WIRE_ALIGNMENT, e);
    *broken = s == OD_OK;
    size_t at = 0;
    for (size_t i = 0; s == OD_OK && i < n; i++) {
        od_tensor *t = &session->tensor[i];
        s = od_wire_read_tensor(t, wire, json_array_get(list, i), e);
        if (s != OD_OK) break;
        if (od_tensor_bytes(t)) memcpy(session->data + at, t->data, od_tensor_bytes(t));
        t->data = session->data + at;
        at += od_tensor_bytes(t);
        od_wire_align(&at);
    }
    session->n_tensor = s == OD_OK ? n : 0;
    return s;
}

static enum od_status outputs(od_session *session, od_outputs *out, od_error *e) {
    od_worker *w = session->engine->worker;
    json_t *answer;
    *out = (od_outputs){0};
    enum od_status s = od_worker_ask(&answer, w, about_session("outputs", session), e);
    if (s != OD_OK) return s;
    bool broken;
    s = copy_tensors(session, json_object_get(answer, "tensors"), &broken, e);
    if (s != OD_OK && broken) s = od_worker_broken(w, "outputs", e);
    json_decref(answer);
    if (s == OD_OK) *out = (od_outputs){.n_tensor = session->n_tensor, .tensor = session->tensor};
    return s;
}

static void stats(od_engine *engine, od_stats *out) {
    json_t *answer = NULL;
    od_error e = {0};
    od_worker *w = engine->worker;
    const bool alive = w->pid > 0;
    enum od_status s = alive ? od_worker_ask(&answer, w, about_engine("stats", engine), &e) : w->error.status;
    if (s == OD_OK) s = od_wire_read_stats(out, json_object_get(answer, "stats"), &e);
    if (s != OD_OK && w->pid > 0) od_worker_broken(w, "stats", &e);
    if (s != OD_OK) *out = (od_stats){.math_mode = "?", .device = "?"};
    w->untold = w->untold || (alive && w->pid <= 0);
    out->math_mode = keep(out->math_mode);
    out->device = keep(out->device);
    json_decref(answer);
}

enum od_status od_worker_recapture(od_engine *engine, od_error *e) {
    return od_worker_tell(engine->worker, about_engine("recapture", engine), e);
}

enum od_status od_worker_poison(od_engine *engine, od_error *e) {
    return od_worker_tell(engine->worker, about_engine("poison", engine), e);
}

enum od_status od_worker_scramble(od_engine *engine, od_error *e) {
    return od_worker_tell(engine->worker, about_engine("scramble_undeclared", engine), e);
}

void od_worker_calls(od_engine_api *api) {
    api->destroy = destroy;
    api->session_open = session_open;
    api->session_close = session_close;
    api->prefill = prefill;
    api->decode = decode;
    api->reset = reset;
    api->outputs = outputs;
    api->stats = stats;
}
