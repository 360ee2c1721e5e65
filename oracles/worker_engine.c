/* The engine interface over workers (worker.h). Its functions carry no closure, so each of the engines there can be
 * at a time has its own set of those that are called before there is an od_engine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/worker.h"
#include "oracles/worker_calls.h"

enum { MOST_WORDS = 16 };

/* One engine of od_worker_engine. */
typedef struct place {
    bool used, fresh, has_can, has_recapture, has_poison, has_scramble;
    char name[24], word[104], about[120];
    char *argv[MOST_WORDS + 1];
    double timeout;
    od_engine_api api;
    od_worker *worker; /* that new engines go to; NULL: the next one starts it */
    od_error pending;  /* from a call that has no status */
} place;

static place places[OD_WORKERS];

/* ---- workers ----------------------------------------------------------------------------------------------------- */

/* A dead worker is let go, and what was not told of it is. */
static enum od_status take_pending(place *p, od_error *e) {
    if (p->worker && p->worker->pid <= 0) {
        od_worker_release(p->worker, &p->pending);
        p->worker = NULL;
    }
    const enum od_status s = p->pending.status;
    if (s != OD_OK && e) *e = p->pending;
    p->pending = (od_error){0};
    return s;
}

/* Who is it? Its name and what it has go into the place at the first time. */
static enum od_status read_hello(place *p, const json_t *o, bool first, od_error *e) {
    size_t protocol = 0, abi = 0;
    const char *name = NULL, *about = NULL;
    enum od_status s = od_wire_size(&protocol, o, "protocol", UINT32_MAX, e);
    if (s == OD_OK) s = od_wire_size(&abi, o, "abi", UINT32_MAX, e);
    if (s == OD_OK && (protocol != OD_WIRE_PROTOCOL || abi != OD_ENGINE_ABI))
        s = od_fail(e, OD_BAD_INPUT, "protocol %zu, engine ABI %zu; %d and %d would be right", protocol, abi,
                    OD_WIRE_PROTOCOL, OD_ENGINE_ABI);
    if (s == OD_OK) s = od_wire_text(&name, o, "name", e);
    if (s == OD_OK) s = od_wire_text(&about, o, "about", e);
    if (s != OD_OK || !first) return s;
    const size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    if (n == 0 || n > 20 || name[n])
        return od_fail(e, OD_BAD_INPUT, "\"name\" is '%.60s'; up to 20 letters, digits and _-. would be right", name);
    if (!p->name[0]) snprintf(p->name, sizeof p->name, "%s", name);
    snprintf(p->about, sizeof p->about, "%s", about);
    const json_t *has = json_object_get(o, "has");
    for (size_t i = 0; i < json_array_size(has); i++) {
        const char *what = json_string_value(json_array_get(has, i));
        p->has_can = p->has_can || (what && strcmp(what, "can") == 0);
        p->has_recapture = p->has_recapture || (what && strcmp(what, "recapture") == 0);
        p->has_poison = p->has_poison || (what && strcmp(what, "poison") == 0);
        p->has_scramble = p->has_scramble || (what && strcmp(what, "scramble_undeclared") == 0);
    }
    return OD_OK;
}

static enum od_status hello(place *p, od_worker *w, bool first, od_error *e) {
    json_t *answer;
    enum od_status s = od_worker_ask(
        &answer, w, json_pack("{s:s,s:i,s:i}", "do", "hello", "protocol", OD_WIRE_PROTOCOL, "abi", OD_ENGINE_ABI), e);
    if (s != OD_OK) return s;
    s = read_hello(p, answer, first, e);
    json_decref(answer);
    return s == OD_OK || !e ? s : od_error_prefix(e, "%.60s", p->word);
}

/* The place's worker, alive: a new one where there is none, or the old one died. */
static enum od_status ready(place *p, bool first, od_error *e) {
    if (p->worker && p->worker->pid > 0) return OD_OK;
    od_worker_release(p->worker, &p->pending);
    p->worker = NULL;
    od_worker *w;
    enum od_status s = od_worker_start(&w, p->name[0] ? p->name : p->word, (const char *const *)p->argv, p->timeout, e);
    if (s != OD_OK) return s;
    s = hello(p, w, first, e);
    if (s != OD_OK) {
        od_worker_end(w, NULL);
        return s;
    }
    snprintf(w->name, sizeof w->name, "%s", p->name);
    w->users = 1;
    p->worker = w;
    return OD_OK;
}

/* ---- before there is an engine ----------------------------------------------------------------------------------- */

static enum od_status probe(place *p, od_error *e) {
    enum od_status s = take_pending(p, e);
    if (s == OD_OK) s = ready(p, false, e);
    return s == OD_OK ? od_worker_tell(p->worker, json_pack("{s:s}", "do", "probe"), e) : s;
}

static enum od_status ask_can(place *p, const od_case *c, bool *yes, char *why, size_t size, od_error *e) {
    char *text = NULL;
    size_t n;
    json_t *answer;
    enum od_status s = ready(p, false, e);
    if (s == OD_OK) s = od_case_format(&text, &n, c, NULL, e);
    if (s != OD_OK) return s;
    json_t *request = json_pack("{s:s,s:o,s:o,s:o,s:o}", "do", "can", "case", od_wire_words(text, n), "path",
                                od_wire_words(c->path, strlen(c->path)), "config", od_wire_config(&c->config),
                                "options", od_wire_options(&c->options));
    free(text);
    s = od_worker_ask(&answer, p->worker, request, e);
    if (s != OD_OK) return s;
    const char *reason = "";
    s = od_wire_flag(yes, answer, "can", e);
    if (s == OD_OK && !*yes) s = od_wire_text(&reason, answer, "why", e);
    if (s != OD_OK) s = od_worker_broken(p->worker, "can", e);
    snprintf(why, size, "%s", s == OD_OK ? reason : "");
    json_decref(answer);
    return s;
}

/* What goes wrong is told by the create that follows. */
static bool can(place *p, const od_case *c, char *why, size_t size) {
    bool yes = true;
    od_error e = {0};
    if (ask_can(p, c, &yes, why, size, &e) == OD_OK) return yes;
    if (p->pending.status == OD_OK) p->pending = e;
    return true;
}

static json_t *weights(const od_model *model) {
    json_t *list = json_array();
    for (size_t i = 0; i < model->n_weight; i++) {
        const od_weight_spec *spec = &model->weights[i];
        od_tensor t;
        od_tensor_set(&t, spec->name, OD_F32, spec->rank, spec->shape, NULL);
        json_array_append_new(list, od_wire_tensor(&t, spec->offset * sizeof(float)));
    }
    return list;
}

static enum od_status send_create(size_t *number, od_worker *w, const od_model *model, const od_options *options,
                                  od_error *e) {
    const size_t bytes = model->n_data * sizeof(float);
    json_t *answer;
    enum od_status s = od_wire_room(&w->wire, bytes, e);
    if (s != OD_OK) return s;
    memcpy(w->wire.map, model->data, bytes);
    s = od_worker_ask(&answer, w,
                      json_pack("{s:s,s:o,s:o,s:o}", "do", "create", "config", od_wire_config(&model->config),
                                "options", od_wire_options(options), "weights", weights(model)),
                      e);
    if (s != OD_OK) return s;
    s = od_wire_size(number, answer, "engine", UINT32_MAX, e);
    json_decref(answer);
    return s == OD_OK ? s : od_worker_broken(w, "create", e);
}

static enum od_status create(place *p, od_engine **out, const od_model *model, const od_options *options, od_error *e) {
    *out = NULL;
    enum od_status s = take_pending(p, e);
    if (s == OD_OK) s = ready(p, false, e);
    if (s != OD_OK) return s;
    od_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return od_fail(e, OD_NO_MEMORY, "no memory for an engine in a worker");
    engine->pending = &p->pending;
    engine->worker = p->worker;
    s = send_create(&engine->number, engine->worker, model, options, e);
    if (s != OD_OK) {
        free(engine);
        return s;
    }
    if (p->fresh)
        p->worker = NULL; /* the engine is its only user */
    else
        engine->worker->users++;
    *out = engine;
    return OD_OK;
}

/* ---- the engines ------------------------------------------------------------------------------------------------- */

#define OD_PLACE(i)                                                                                                    \
    static enum od_status probe_##i(od_error *e) {                                                                     \
        return probe(&places[i], e);                                                                                   \
    }                                                                                                                  \
    static bool can_##i(const struct od_case *c, char *why, size_t size) {                                             \
        return can(&places[i], c, why, size);                                                                          \
    }                                                                                                                  \
    static enum od_status create_##i(od_engine **out, const od_model *model, const od_options *options, od_error *e) { \
        return create(&places[i], out, model, options, e);                                                             \
    }
/* X(0000) … X(0177): octal, so that digits put together make the next number. */
#define OD_EIGHT(X, n)                                                                                                 \
    X(n##0)                                                                                                            \
    X(n##1)                                                                                                            \
    X(n##2)                                                                                                            \
    X(n##3)                                                                                                            \
    X(n##4)                                                                                                            \
    X(n##5)                                                                                                            \
    X(n##6)                                                                                                            \
    X(n##7)
#define OD_PLACES(X)                                                                                                   \
    OD_EIGHT(X, 000)                                                                                                   \
    OD_EIGHT(X, 001)                                                                                                   \
    OD_EIGHT(X, 002)                                                                                                   \
    OD_EIGHT(X, 003)                                                                                                   \
    OD_EIGHT(X, 004)                                                                                                   \
    OD_EIGHT(X, 005)                                                                                                   \
    OD_EIGHT(X, 006)                                                                                                   \
    OD_EIGHT(X, 007)                                                                                                   \
    OD_EIGHT(X, 010)                                                                                                   \
    OD_EIGHT(X, 011)                                                                                                   \
    OD_EIGHT(X, 012)                                                                                                   \
    OD_EIGHT(X, 013)                                                                                                   \
    OD_EIGHT(X, 014)                                                                                                   \
    OD_EIGHT(X, 015)                                                                                                   \
    OD_EIGHT(X, 016)                                                                                                   \
    OD_EIGHT(X, 017)
OD_PLACES(OD_PLACE)

#define OD_ENTRY(i) {probe_##i, can_##i, create_##i},
static const struct entry {
    enum od_status (*probe)(od_error *e);
    bool (*can)(const struct od_case *c, char *why, size_t size);
    enum od_status (*create)(od_engine **out, const od_model *model, const od_options *options, od_error *e);
} entries[] = {OD_PLACES(OD_ENTRY)};
_Static_assert(sizeof entries / sizeof entries[0] == OD_WORKERS, "an entry for each place");

static void fill_api(place *p, const struct entry *entry) {
    p->api = (od_engine_api){.abi = OD_ENGINE_ABI,
                             .name = p->name,
                             .about = p->about,
                             .probe = entry->probe,
                             .can = p->has_can ? entry->can : NULL,
                             .create = entry->create,
                             .recapture = p->has_recapture ? od_worker_recapture : NULL,
                             .poison = p->has_poison ? od_worker_poison : NULL,
                             .scramble_undeclared = p->has_scramble ? od_worker_scramble : NULL};
    od_worker_calls(&p->api);
}

static void empty(place *p) {
    od_worker_release(p->worker, &p->pending);
    for (int i = 0; p->argv[i]; i++) free(p->argv[i]);
    *p = (place){0};
}

enum od_status od_worker_engine(const od_engine_api **out, const od_worker_terms *terms, od_error *e) {
    size_t n = 0;
    while (n < OD_WORKERS && places[n].used) n++;
    if (n == OD_WORKERS) return od_fail(e, OD_NO_MEMORY, "more than %d engines in workers", OD_WORKERS);
    place *p = &places[n];
    *p = (place){.used = true, .fresh = terms->fresh, .timeout = terms->timeout};
    enum od_status s = OD_OK;
    for (size_t i = 0; s == OD_OK && terms->argv[i]; i++) {
        if (i < MOST_WORDS) p->argv[i] = strdup(terms->argv[i]);
        if (i == MOST_WORDS || !p->argv[i]) s = od_fail(e, OD_NO_MEMORY, "no memory for a worker's command");
    }
    snprintf(p->word, sizeof p->word, "%s", terms->word ? terms->word : terms->argv[0]);
    if (terms->name) snprintf(p->name, sizeof p->name, "%s", terms->name);
    if (s == OD_OK) s = ready(p, true, e);
    if (s != OD_OK) {
        empty(p);
        return s;
    }
    fill_api(p, &entries[n]);
    *out = &p->api;
    return OD_OK;
}

void od_worker_engine_rest(const od_engine_api *api) {
    for (size_t i = 0; i < OD_WORKERS; i++) {
        if (&places[i].api != api) continue;
        od_worker_release(places[i].worker, &places[i].pending);
        places[i].worker = NULL;
    }
}

enum od_status od_worker_engines_end(od_error *e) {
    od_error first = {0};
    for (size_t i = 0; i < OD_WORKERS; i++) {
        if (!places[i].used) continue;
        od_worker_release(places[i].worker, &places[i].pending);
        places[i].worker = NULL;
        if (first.status == OD_OK) first = places[i].pending;
        empty(&places[i]);
    }
    od_worker_texts_free();
    if (e) *e = first;
    return first.status;
}
