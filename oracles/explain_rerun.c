/* The first tensor that differs between two plays of one engine (explain.h): a pass that keeps hashes, then one that
 * keeps the tensor which they name. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "oracles/explain.h"

/* One pass: what the first play left behind, and where the second stands. */
typedef struct pass {
    od_rerun_parting *r;
    const od_script *script;
    uint64_t *hash; /* of every tensor, call by call */
    size_t n_hash, cap, next;
    char *window; /* second pass: the tensor as it was */
    size_t window_bytes;
} pass;

static enum od_status keep_hashes(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    pass *p = arg;
    for (size_t i = 0; i < out->n_tensor; i++) {
        if (p->n_hash == p->cap) {
            const size_t cap = p->cap ? p->cap * 2 : 1024;
            uint64_t *hash = realloc(p->hash, cap * sizeof *hash);
            if (!hash) return od_fail(e, OD_NO_MEMORY, "no memory for %zu hashes", cap);
            p->hash = hash;
            p->cap = cap;
        }
        p->hash[p->n_hash++] = XXH64(out->tensor[i].data, od_tensor_bytes(&out->tensor[i]), 0);
    }
    return OD_OK;
}

static enum od_status match_hashes(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    pass *p = arg;
    od_rerun_parting *r = p->r;
    const bool found = r->found; /* in an earlier call */
    for (size_t i = 0; i < out->n_tensor; i++, p->next++) {
        const od_tensor *t = &out->tensor[i];
        if (found || (p->next < p->n_hash && p->hash[p->next] == XXH64(t->data, od_tensor_bytes(t), 0))) continue;
        const size_t stage = od_stage_of(t->name, p->script->model->config.n_layer);
        if (r->found && r->stage <= stage) continue;
        *r = (od_rerun_parting){
            .found = true, .place = od_call_place_of(p->script, at), .stage = stage, .row = SIZE_MAX};
        memcpy(r->name, t->name, sizeof r->name);
    }
    return OD_OK;
}

/* The tensor that the first pass named, where this is its call. */
static const od_tensor *named(const pass *p, const od_call_at *at, const od_outputs *out) {
    const od_call_at *of = &p->r->place.at;
    if (at->op != of->op || at->call != of->call) return NULL;
    for (size_t i = 0; i < out->n_tensor; i++)
        if (strcmp(out->tensor[i].name, p->r->name) == 0) return &out->tensor[i];
    return NULL;
}

static enum od_status keep_window(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    pass *p = arg;
    const od_tensor *t = named(p, at, out);
    if (!t) return OD_OK;
    p->window_bytes = od_tensor_bytes(t);
    p->window = malloc(p->window_bytes ? p->window_bytes : 1);
    if (!p->window) return od_fail(e, OD_NO_MEMORY, "no %zu bytes to keep %s", p->window_bytes, t->name);
    memcpy(p->window, t->data, p->window_bytes);
    return OD_OK;
}

static enum od_status match_window(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    pass *p = arg;
    const od_tensor *is = named(p, at, out);
    if (!is || !p->window || od_tensor_bytes(is) != p->window_bytes) return OD_OK;
    od_tensor was = *is;
    was.data = p->window;
    const size_t size = od_dtype_size(is->dtype), n = od_tensor_size(is);
    for (size_t i = 0; i < n && !p->r->again; i++) {
        if (memcmp(p->window + i * size, (const char *)is->data + i * size, size) == 0) continue;
        p->r->again = true;
        p->r->index = i;
        p->r->was = od_tensor_at(&was, i);
        p->r->is = od_tensor_at(is, i);
    }
    return OD_OK;
}

/* The same lives as those of the evidence (evidence.c); `api` is that of the second one. */
static enum od_status live_again(od_player *p, enum od_rerun which, const od_engine_api *api, const od_script *script,
                                 const od_options *options, od_error *e) {
    if (which == OD_RERUN_FRESH || which == OD_RERUN_PROCESS) {
        od_player_close(p);
        return which == OD_RERUN_FRESH ? od_player_open_late(p, api, script, options, e)
                                       : od_player_open(p, api, script, options, e);
    }
    enum od_status s = od_player_reset(p, e);
    if (which == OD_RERUN_RESET || s != OD_OK) return s;
    s = od_player_play(p, NULL, NULL, NULL, e);
    if (s == OD_OK) s = od_player_reset(p, e);
    if (s == OD_OK && api->poison) s = api->poison(p->engine, e);
    p->scrambles = true;
    return s == OD_OK ? od_player_reopen(p, e) : s;
}

static enum od_status play_twice(pass *p, const od_engine_api *api, const od_engine_api *process, enum od_rerun which,
                                 bool hidden, od_sink first, od_sink second, od_error *e) {
    od_options options = p->script->c->options;
    options.hidden = hidden;
    od_player player;
    enum od_status s = od_player_open(&player, api, p->script, &options, e);
    if (s == OD_OK) s = od_player_play(&player, first, p, NULL, e);
    if (s == OD_OK) s = live_again(&player, which, which == OD_RERUN_PROCESS ? process : api, p->script, &options, e);
    if (s == OD_OK) s = od_player_play(&player, second, p, NULL, e);
    od_player_close(&player);
    return s;
}

enum od_status od_explain_rerun(od_rerun_parting *r, const od_script *script, const od_engine_api *fast,
                                const od_engine_api *process, enum od_rerun which, bool hidden, od_error *e) {
    *r = (od_rerun_parting){0};
    pass p = {.r = r, .script = script};
    enum od_status s = play_twice(&p, fast, process, which, hidden, keep_hashes, match_hashes, e);
    if (s == OD_OK && r->found) s = play_twice(&p, fast, process, which, hidden, keep_window, match_window, e);
    free(p.hash);
    free(p.window);
    return s;
}
