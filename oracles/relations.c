/* The table of relations: each one's domain, and how it turns a case into that of the second play. */
#include "oracles/relations.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/evidence.h"

enum { MAX_CHUNKS = 4 }; /* decode steps that take the place of a prefill's last patches */

/* ---- what a case is like ----------------------------------------------------------------------------------------- */

static int32_t group_of(const od_case *c, unsigned variate) {
    return c->n_group ? c->group[variate] : 0;
}

static size_t patches_of(const od_op *op, size_t patch) {
    return (op->steps + patch - 1) / patch;
}

/* Patches of the longest context. */
static size_t longest(const od_script *s) {
    size_t most = 0;
    for (unsigned i = 0; i < s->c->n_op; i++) {
        const od_op *op = &s->c->op[i];
        if (op->kind != OD_OP_PREFILL) continue;
        const size_t n = patches_of(op, s->model->config.patch);
        if (n > most) most = n;
    }
    return most;
}

/* The last variate that is not of the first one's group; 0 where all are. */
static unsigned stranger(const od_case *c) {
    for (unsigned v = c->variates; v-- > 1;)
        if (group_of(c, v) != group_of(c, 0)) return v;
    return 0;
}

/* Members of a variate's group. */
static unsigned group_size(const od_case *c, unsigned variate) {
    unsigned n = 0;
    for (unsigned v = 0; v < c->variates; v++) n += group_of(c, v) == group_of(c, variate);
    return n;
}

/* Another value of the same size wherever there is one, a value where there is none. Never NaN or infinite. */
static void change(od_series *s, size_t row, size_t from) {
    for (size_t i = row * s->n_step + from; i < (row + 1) * s->n_step; i++) {
        s->value[i] = 1 - s->value[i];
        s->mask[i] = 1;
    }
}

/* ---- bit by bit -------------------------------------------------------------------------------------------------- */

static const char *outside_graph(const od_evidence *ev) {
    if (!ev->setup->fast->recapture) return "the engine has no graphs";
    return ev->fast_stats.rolled_back ? "the engine is rolled back" : NULL;
}

static void vary_graph(od_variant *v, const od_script *first, unsigned play) {
    v->c.options.graph = !first->c->options.graph;
}

static const char *outside_cache(const od_evidence *ev) {
    const od_script *s = ev->script;
    if (s->c->options.cache == OD_CACHE_OFF) return "cache off";
    if (od_config_time_layers(&s->model->config) == 0) return "no time-wise layer";
    return s->has_decode ? NULL : "no decode step";
}

static void vary_cache(od_variant *v, const od_script *first, unsigned play) {
    v->c.options.cache = first->c->options.cache == OD_CACHE_FIXED ? OD_CACHE_DYNAMIC : OD_CACHE_FIXED;
}

static const char *outside_nothing(const od_evidence *ev) {
    return NULL;
}

/* B of A-B-A. */
static void vary_aba(od_variant *v, const od_script *first, unsigned play) {
    for (unsigned i = 0; i < v->script.n_session; i++)
        for (size_t row = 0; row < (size_t)v->c.batch * v->c.variates; row++) change(&v->script.series[i], row, 0);
}

static const char *outside_batch(const od_evidence *ev) {
    return ev->script->c->batch > 1 ? NULL : "batch 1";
}

static unsigned plays_batch(const od_script *first) {
    return first->c->batch;
}

static void vary_batch(od_variant *v, const od_script *first, unsigned play) {
    const size_t variates = v->c.variates;
    for (unsigned i = 0; i < v->script.n_session; i++) {
        od_series *s = &v->script.series[i];
        const size_t n = variates * s->n_step;
        memmove(s->value, s->value + play * n, n * sizeof *s->value);
        memmove(s->mask, s->mask + play * n, n * sizeof *s->mask);
        memmove(s->id, s->id + play * n, n * sizeof *s->id);
        s->batch = 1;
    }
    for (size_t row = 0; row < variates; row++) v->row[row] = (int)(play * variates + row);
    v->c.batch = 1;
}

static const char *outside_groups(const od_evidence *ev) {
    return stranger(ev->script->c) ? NULL : "one group";
}

/* The group of the first variate keeps its values, then that of the last one that is in another. */
static unsigned plays_groups(const od_script *first) {
    return 2;
}

static void vary_groups(od_variant *v, const od_script *first, unsigned play) {
    const od_case *c = first->c;
    const int32_t kept = group_of(c, play == 0 ? 0 : stranger(c));
    for (size_t row = 0; row < (size_t)c->batch * c->variates; row++) {
        if (group_of(c, (unsigned)(row % c->variates)) == kept) continue;
        for (unsigned i = 0; i < v->script.n_session; i++) change(&v->script.series[i], row, 0);
        v->row[row] = OD_NO_ROW;
    }
}

static const char *outside_sessions(const od_evidence *ev) {
    return ev->script->n_session > 1 ? NULL : "one session";
}

static unsigned plays_sessions(const od_script *first) {
    return first->n_session;
}

static void vary_sessions(od_variant *v, const od_script *first, unsigned play) {
    od_script *s = &v->script;
    const od_series kept = s->series[play];
    s->series[play] = s->series[0];
    s->series[0] = kept; /* the others are freed with the variant */
    s->limit[0] = s->limit[play];
    s->n_session = 1;
    v->c.n_op = 0;
    for (unsigned i = 0; i < first->c->n_op; i++) {
        od_op op = first->c->op[i];
        if (op.kind == OD_OP_RECAPTURE || op.session != play) continue;
        op.session = 0;
        v->place[v->c.n_op] = (od_place){.op = i};
        v->c.op[v->c.n_op++] = op;
    }
}

/* Streams, order and the limit of captures, all at once: a finding bisects to one of them. */
static void vary_switches(od_variant *v, const od_script *first, unsigned play) {
    od_options *o = &v->c.options;
    o->streams = o->streams > 1 ? 1 : 3;
    o->captures = o->captures > 1 ? 1 : 8;
    o->order = o->order ? 0 : 1;
}

/* ---- within the contract ----------------------------------------------------------------------------------------- */

static const char *outside_either_recompute(const od_evidence *ev) {
    const char *why = outside_cache(ev);
    if (why) return why;
    return ev->script->c->options.tf32 ? "tf32" : NULL;
}

static const char *outside_recompute(const od_evidence *ev) {
    const char *why = outside_either_recompute(ev);
    if (why) return why;
    return ev->script->model->config.xpos == OD_XPOS_ORIGIN ? NULL : "xpos_center call";
}

static const char *outside_recompute_call(const od_evidence *ev) {
    const char *why = outside_either_recompute(ev);
    if (why) return why;
    return ev->script->model->config.xpos == OD_XPOS_CALL ? NULL : "xpos_center origin";
}

static void vary_recompute(od_variant *v, const od_script *first, unsigned play) {
    v->c.options.cache = OD_CACHE_OFF;
}

/* Statistics of a step that know nothing of the steps behind it, nor where the context ends. */
static bool is_causal(const od_config *config) {
    return config->scaler != OD_SCALER_STD_MEAN && !config->stabilize;
}

static const char *outside_later(const od_evidence *ev) {
    if (!is_causal(&ev->script->model->config)) return "no unstabilised causal scaler";
    if (ev->script->c->options.tf32) return "tf32";
    return longest(ev->script) > 1 ? NULL : "contexts of one patch";
}

static const char *outside_chunks(const od_evidence *ev) {
    if (ev->script->model->config.xpos != OD_XPOS_ORIGIN) return "xpos_center call";
    if (ev->script->c->n_op == OD_CASE_MAX_OPS) return "no room in the schedule";
    return outside_later(ev);
}

static void add_op(od_variant *v, od_op op, od_place place) {
    v->place[v->c.n_op] = place;
    v->c.op[v->c.n_op++] = op;
}

/* The last patches of a context come one by one; the part of a patch that begins it stays in front. */
static void vary_chunks(od_variant *v, const od_script *first, unsigned play) {
    const od_case *c = first->c;
    const size_t patch = first->model->config.patch;
    v->c.n_op = 0;
    for (unsigned i = 0; i < c->n_op; i++) {
        od_op op = c->op[i];
        const size_t whole = patches_of(&op, patch), half = whole / 2, n = half < MAX_CHUNKS ? half : MAX_CHUNKS;
        const bool room = v->c.n_op + (c->n_op - i) < OD_CASE_MAX_OPS;
        if (op.kind != OD_OP_PREFILL || n == 0 || !room) {
            add_op(v, op, (od_place){.op = i});
            continue;
        }
        od_place place = {.op = i, .part = true, .n = (whole - n) * patch, .whole = whole * patch};
        op.steps -= (unsigned)(n * patch);
        add_op(v, op, place);
        place.from = place.n;
        place.n = patch;
        add_op(v, (od_op){.kind = OD_OP_DECODE, .session = op.session, .patches = (unsigned)n}, place);
    }
}

static const char *outside_variates(const od_evidence *ev) {
    const od_case *c = ev->script->c;
    if (c->options.tf32) return "tf32";
    for (unsigned v = 0; v < c->variates; v++)
        if (group_size(c, v) > 1) return NULL;
    return "one variate a group";
}

/* Variate v's place among those of its group, counted from the other end. */
static unsigned mirrored(const od_case *c, unsigned variate) {
    unsigned before = 0;
    for (unsigned v = 0; v < variate; v++) before += group_of(c, v) == group_of(c, variate);
    for (unsigned v = c->variates; v-- > 0;)
        if (group_of(c, v) == group_of(c, variate) && before-- == 0) return v;
    return variate;
}

static void vary_variates(od_variant *v, const od_script *first, unsigned play) {
    const od_case *c = first->c;
    for (size_t row = 0; row < (size_t)c->batch * c->variates; row++) {
        const unsigned variate = (unsigned)(row % c->variates);
        const size_t from = row - variate + mirrored(c, variate);
        for (unsigned i = 0; i < v->script.n_session; i++) {
            const od_series *was = &first->series[i];
            od_series *s = &v->script.series[i];
            memcpy(s->value + row * s->n_step, was->value + from * s->n_step, s->n_step * sizeof *s->value);
            memcpy(s->mask + row * s->n_step, was->mask + from * s->n_step, s->n_step * sizeof *s->mask);
        }
        v->row[row] = (int)from;
    }
}

/* Where a session's longest context is cut in half, between two of its patches; all of it where that is one patch. */
static size_t cut_of(const od_script *s, unsigned session) {
    const size_t patch = s->model->config.patch;
    const od_op *most = NULL;
    for (unsigned i = 0; i < s->c->n_op; i++) {
        const od_op *op = &s->c->op[i];
        if (op->kind == OD_OP_PREFILL && op->session == session && (!most || op->steps > most->steps)) most = op;
    }
    assert(most);
    const size_t whole = patches_of(most, patch);
    return most->steps - (whole - whole / 2) % whole * patch;
}

/* Contexts alone: what follows one depends on all of it. */
static void vary_later(od_variant *v, const od_script *first, unsigned play) {
    const od_case *c = first->c;
    const size_t patch = first->model->config.patch;
    v->c.n_op = 0;
    for (unsigned i = 0; i < c->n_op; i++) {
        const od_op op = c->op[i];
        if (op.kind == OD_OP_DECODE || op.kind == OD_OP_RECAPTURE) continue;
        od_place place = {.op = i, .part = true};
        if (op.kind == OD_OP_PREFILL) {
            const size_t cut = cut_of(first, op.session);
            place.whole = patches_of(&op, patch) * patch;
            place.n = (cut + place.whole - op.steps) / patch * patch;
            if (place.n > place.whole) place.n = place.whole;
        }
        add_op(v, op, place);
    }
    for (unsigned i = 0; i < v->script.n_session; i++)
        for (size_t row = 0; row < (size_t)c->batch * c->variates; row++)
            change(&v->script.series[i], row, cut_of(first, i));
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const od_relation list[OD_RELATIONS] = {
    {"graph", "captured graphs answer as plain launches do", "engines with graphs", false, false, OD_ON_NEW_ENGINE,
     outside_graph, NULL, vary_graph},
    {"cache", "a fixed cache answers as a dynamic one does", "decode steps that use a cache", false, false,
     OD_ON_NEW_ENGINE, outside_cache, NULL, vary_cache},
    {"aba", "series A, other values B, A again: the same answers", "every case", false, false, OD_ON_SAME_SESSIONS,
     outside_nothing, NULL, vary_aba},
    {"batch", "each row of a batch alone answers as within it", "batch above 1", false, false, OD_ON_NEW_SESSIONS,
     outside_batch, plays_batch, vary_batch},
    {"groups", "other groups' values change nothing", "two groups or more", false, false, OD_ON_NEW_SESSIONS,
     outside_groups, plays_groups, vary_groups},
    {"sessions", "interleaved sessions answer as separate ones do", "two sessions or more", false, false,
     OD_ON_NEW_SESSIONS, outside_sessions, plays_sessions, vary_sessions},
    {"switches", "other streams, launch order and limit of captures: the same answers", "every case", false, false,
     OD_ON_NEW_ENGINE, outside_nothing, NULL, vary_switches},
    {"recompute", "decode steps with a cache answer as full recomputation does",
     "xpos_center origin, decode steps that use a cache", true, false, OD_ON_NEW_ENGINE, outside_recompute, NULL,
     vary_recompute},
    {"chunks", "a context whose last patches are decode steps answers as one prefill",
     "xpos_center origin, unstabilised causal scaler, contexts of two patches or more", true, false, OD_ON_NEW_SESSIONS,
     outside_chunks, NULL, vary_chunks},
    {"variates", "variates permuted within their group: answers permuted alike", "a group of two variates or more",
     true, false, OD_ON_NEW_SESSIONS, outside_variates, NULL, vary_variates},
    {"later", "later context changes no earlier patch", "unstabilised causal scaler, contexts of two patches or more",
     true, false, OD_ON_NEW_SESSIONS, outside_later, NULL, vary_later},
    {"recompute-call", "as recompute, where the official code's own cache does not (docs/consistency.md); by name only",
     "xpos_center call, decode steps that use a cache", true, true, OD_ON_NEW_ENGINE, outside_recompute_call, NULL,
     vary_recompute},
};

const od_relation *od_relation_at(unsigned i) {
    assert(i < OD_RELATIONS);
    return &list[i];
}

enum od_status od_relation_find(unsigned *number, const char *name, od_error *e) {
    char names[200] = "";
    for (unsigned i = 0; i < OD_RELATIONS; i++) {
        if (strcmp(list[i].name, name) == 0) {
            *number = i;
            return OD_OK;
        }
        const size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", list[i].name);
    }
    return od_fail(e, OD_BAD_INPUT, "no relation is called '%s' (there are %s)", name, names);
}

unsigned od_relations_default(void) {
    unsigned all = 0;
    for (unsigned i = 0; i < OD_RELATIONS; i++) all |= (unsigned)!list[i].by_name << i;
    return all;
}

unsigned od_relations_turn(unsigned set, uint64_t turn) {
    assert(set);
    for (unsigned before = (unsigned)(turn % (unsigned)__builtin_popcount(set)); before > 0; before--) set &= set - 1;
    return set & -set;
}

/* ---- variants ---------------------------------------------------------------------------------------------------- */

static enum od_status copy_series(od_series *s, const od_series *from, od_error *e) {
    const enum od_status status = od_series_alloc(s, from->batch, from->variates, from->n_step, e);
    if (status != OD_OK) return status;
    const size_t n = from->batch * from->variates * from->n_step;
    if (n == 0) return OD_OK;
    memcpy(s->value, from->value, n * sizeof *s->value);
    memcpy(s->mask, from->mask, n * sizeof *s->mask);
    memcpy(s->id, from->id, n * sizeof *s->id);
    return OD_OK;
}

enum od_status od_variant_create(od_variant *v, const od_relation *relation, const od_script *first, unsigned play,
                                 od_error *e) {
    v->c = *first->c;
    v->script = *first;
    v->script.c = &v->c;
    memset(v->script.series, 0, sizeof v->script.series);
    for (unsigned i = 0; i < first->n_session; i++) {
        const enum od_status s = copy_series(&v->script.series[i], &first->series[i], e);
        if (s != OD_OK) {
            od_variant_destroy(v);
            return s;
        }
    }
    for (unsigned i = 0; i < v->c.n_op; i++) v->place[i] = (od_place){.op = i};
    for (int i = 0; i < (int)(v->c.batch * v->c.variates); i++) v->row[i] = i;
    if (relation) relation->vary(v, first, play);
    return OD_OK;
}

void od_variant_destroy(od_variant *v) {
    for (unsigned i = 0; i < OD_CASE_MAX_SESSIONS; i++) od_series_free(&v->script.series[i]);
    *v = (od_variant){0};
}
