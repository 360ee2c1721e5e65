/* Scripts and players (trace.h): the only place that walks a case's schedule. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/trace.h"

enum od_status od_script_create(od_script *s, od_case *c, od_error *e) {
    *s = (od_script){.c = c};
    enum od_status status = od_case_model(&s->model, c, e);
    if (status != OD_OK) return status;
    unsigned n = od_case_sessions(c);
    assert(n <= OD_CASE_MAX_SESSIONS);
    for (unsigned i = 0; i < n; i++) {
        status = od_case_series(&s->series[i], c, i, e);
        if (status != OD_OK) {
            od_script_destroy(s);
            return status;
        }
        s->n_session = i + 1;
        s->limit[i] = od_case_limit(c, i);
    }
    for (unsigned i = 0; i < c->n_op; i++) s->has_decode = s->has_decode || c->op[i].kind == OD_OP_DECODE;
    return OD_OK;
}

void od_script_destroy(od_script *s) {
    for (unsigned i = 0; i < OD_CASE_MAX_SESSIONS; i++) od_series_free(&s->series[i]);
    od_model_destroy(s->model);
    *s = (od_script){0};
}

/* Calls of an engine stand between these two. A clock read takes some 25 ns, the shortest call thousands. */
static double call_begins(const od_script *s) {
    return s->spent ? od_seconds() : 0;
}

static void call_ends(const od_script *s, double began) {
    if (s->spent) s->spent->engines += od_seconds() - began;
}

static void close_sessions(od_player *p) {
    const double began = call_begins(p->script);
    for (unsigned i = 0; i < OD_CASE_MAX_SESSIONS; i++) {
        if (p->session[i]) p->api->session_close(p->session[i]);
        p->session[i] = NULL;
    }
    call_ends(p->script, began);
}

static enum od_status open_session(od_player *p, unsigned i, od_error *e) {
    const od_case *c = p->script->c;
    const double began = call_begins(p->script);
    enum od_status s = p->api->session_open(&p->session[i], p->engine, c->batch, c->variates, p->script->limit[i], e);
    call_ends(p->script, began);
    if (s == OD_OK) return s;
    p->session[i] = NULL;
    od_error_prefix(e, "open of session %u", i);
    return s;
}

static enum od_status open_sessions(od_player *p, od_error *e) {
    enum od_status s = OD_OK;
    for (unsigned i = 0; s == OD_OK && i < p->script->n_session; i++) s = open_session(p, i, e);
    return s;
}

static enum od_status create_engine(od_player *p, const od_engine_api *api, const od_script *script,
                                    const od_options *options, od_error *e) {
    *p = (od_player){.api = api, .script = script};
    const double began = call_begins(script);
    enum od_status s = api->create(&p->engine, script->model, options, e);
    call_ends(script, began);
    if (s != OD_OK) *p = (od_player){0};
    return s;
}

enum od_status od_player_open(od_player *p, const od_engine_api *api, const od_script *script,
                              const od_options *options, od_error *e) {
    enum od_status s = create_engine(p, api, script, options, e);
    if (s != OD_OK) return s;
    s = open_sessions(p, e);
    if (s != OD_OK) od_player_close(p);
    return s;
}

enum od_status od_player_open_late(od_player *p, const od_engine_api *api, const od_script *script,
                                   const od_options *options, od_error *e) {
    enum od_status s = create_engine(p, api, script, options, e);
    p->late = s == OD_OK;
    return s;
}

void od_player_close(od_player *p) {
    if (p->engine) {
        close_sessions(p);
        const double began = call_begins(p->script);
        p->api->destroy(p->engine);
        call_ends(p->script, began);
    }
    *p = (od_player){0};
}

enum od_status od_player_join(od_player *p, const od_player *host, const od_script *script, od_error *e) {
    *p = (od_player){.api = host->api, .script = script, .engine = host->engine};
    enum od_status s = open_sessions(p, e);
    if (s != OD_OK) od_player_leave(p);
    return s;
}

void od_player_leave(od_player *p) {
    if (p->engine) close_sessions(p);
    *p = (od_player){0};
}

enum od_status od_player_reset(od_player *p, od_error *e) {
    for (unsigned i = 0; i < p->script->n_session; i++) {
        const double began = call_begins(p->script);
        enum od_status s = p->api->reset(p->session[i], e);
        call_ends(p->script, began);
        if (s != OD_OK) {
            od_error_prefix(e, "reset of session %u", i);
            return s;
        }
    }
    return OD_OK;
}

enum od_status od_player_reopen(od_player *p, od_error *e) {
    close_sessions(p);
    return open_sessions(p, e);
}

enum od_status od_player_poison(od_player *p, od_error *e) {
    const double began = call_begins(p->script);
    const enum od_status s = p->api->poison ? p->api->poison(p->engine, e) : OD_OK;
    call_ends(p->script, began);
    return s;
}

static od_window window_at(const od_series *s, size_t from, size_t n) {
    assert(from + n <= s->n_step);
    return (od_window){
        .n_step = n, .stride = s->n_step, .value = s->value + from, .mask = s->mask + from, .id = s->id + from};
}

static enum od_status one_call(od_player *p, const od_op *op, struct od_cursor *at, od_call_at *where, od_error *e) {
    const od_series *series = &p->script->series[op->session];
    size_t patch = p->script->model->config.patch;
    od_window w;
    if (p->scrambles && p->api->scramble_undeclared) {
        const enum od_status s = p->api->scramble_undeclared(p->engine, e);
        if (s != OD_OK) return s;
    }
    if (op->kind == OD_OP_PREFILL) {
        *at = (struct od_cursor){.step = op->steps};
        where->step = OD_STEP_PREFILL;
        where->n_own = 0;
        w = window_at(series, 0, op->steps);
        return p->api->prefill(p->session[op->session], &w, e);
    }
    where->step = op->own ? OD_STEP_OWN : OD_STEP_DECODE;
    at->n_own += op->own;
    where->n_own = at->n_own;
    if (!op->own) w = window_at(series, at->step, patch);
    at->step += patch;
    return p->api->decode(p->session[op->session], op->own ? NULL : &w, e);
}

static enum od_status at_call(od_error *e, const od_call_at *where) {
    return od_error_prefix(e, "op %u call %u (%s of session %u)", where->op, where->call,
                           od_step_class_name(where->step), where->session);
}

enum od_status od_player_step(od_player *p, od_progress *at, od_call_at *where, od_outputs *out, bool *more,
                              od_error *e) {
    const od_case *c = p->script->c;
    for (; at->op < c->n_op; at->op++, at->call = 0) {
        const od_op *op = &c->op[at->op];
        enum od_status s = OD_OK;
        if (p->late && !p->session[op->session] && op->kind != OD_OP_RECAPTURE) s = open_session(p, op->session, e);
        if (s != OD_OK) return s;
        const double began = call_begins(p->script);
        if (op->kind == OD_OP_RECAPTURE) {
            if (p->api->recapture) s = p->api->recapture(p->engine, e);
        } else if (op->kind == OD_OP_RESET) {
            s = p->api->reset(p->session[op->session], e);
        } else if (at->call < (op->kind == OD_OP_DECODE ? op->patches : 1)) {
            *where = (od_call_at){.op = at->op, .call = at->call++, .session = op->session};
            s = one_call(p, op, &at->session[op->session], where, e);
            if (s == OD_OK && out) s = p->api->outputs(p->session[op->session], out, e);
            call_ends(p->script, began);
            *more = true;
            return s == OD_OK ? s : at_call(e, where);
        }
        call_ends(p->script, began);
        if (s != OD_OK) return s;
    }
    *more = false;
    return OD_OK;
}

enum od_status od_player_play(od_player *p, od_sink sink, void *arg, od_call_at *last, od_error *e) {
    od_progress at = {0};
    od_call_at unused, *where = last ? last : &unused;
    for (bool more = true;;) {
        od_outputs out = {0};
        enum od_status s = od_player_step(p, &at, where, sink ? &out : NULL, &more, e);
        if (s != OD_OK || !more) return s;
        if (sink) s = sink(arg, where, &out, e);
        if (s != OD_OK) return at_call(e, where);
    }
}

enum od_status od_player_once(const od_engine_api *api, const od_script *script, const od_options *options,
                              od_sink sink, void *arg, od_error *e) {
    od_player p;
    enum od_status s = od_player_open(&p, api, script, options, e);
    if (s == OD_OK) s = od_player_play(&p, sink, arg, NULL, e);
    od_player_close(&p);
    return s;
}
