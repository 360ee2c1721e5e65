/* Plays a case in the ways of the relations (relations.h) and notes what each of them shows. */
#include <stdio.h>
#include <stdlib.h>

#include "oracles/evidence.h"

static enum od_status ignore(void *arg, const od_call_at *at, const od_outputs *out, od_error *e) {
    return OD_OK;
}

/* From new sessions or freshly reset ones, held against the first play. */
static enum od_status play_matched(od_evidence *ev, const od_relation *relation, const od_variant *v, od_player *p,
                                   od_related *out) {
    od_matching m = {
        .first = &ev->fast, .first_case = ev->script->c, .v = v, .contract = relation->contract, .out = out};
    const enum od_status s = od_player_play(p, od_relation_match, &m, &out->run.at, &out->run.error);
    od_matching_free(&m);
    return s;
}

static enum od_status play_on_new_engine(od_evidence *ev, const od_relation *relation, const od_variant *v,
                                         od_related *out) {
    od_player p;
    enum od_status s = od_player_open(&p, ev->setup->fast, &v->script, &v->c.options, &out->run.error);
    if (s != OD_OK) return s;
    s = play_matched(ev, relation, v, &p, out);
    od_player_close(&p);
    return s;
}

static enum od_status play_on_new_sessions(od_evidence *ev, const od_relation *relation, const od_variant *v,
                                           const od_player *fast, od_related *out) {
    od_player p;
    enum od_status s = od_player_join(&p, fast, &v->script, &out->run.error);
    if (s != OD_OK) return s;
    s = play_matched(ev, relation, v, &p, out);
    od_player_leave(&p);
    return s;
}

/* B of A-B-A on the sessions of A, which was played before, then A again. */
static enum od_status play_between(od_evidence *ev, const od_relation *relation, const od_variant *b, od_player *fast,
                                   od_related *out) {
    od_variant *a = calloc(1, sizeof *a);
    if (!a) return od_fail(&out->run.error, OD_NO_MEMORY, "no memory for a second play");
    enum od_status s = od_variant_create(a, NULL, ev->script, 0, &out->run.error);
    if (s == OD_OK) s = od_player_reset(fast, &out->run.error);
    fast->script = &b->script;
    if (s == OD_OK) s = od_player_play(fast, ignore, NULL, &out->run.at, &out->run.error);
    fast->script = ev->script;
    if (s == OD_OK) s = od_player_reset(fast, &out->run.error);
    if (s == OD_OK) s = play_matched(ev, relation, a, fast, out);
    od_variant_destroy(a);
    free(a);
    return s;
}

static enum od_status play(od_evidence *ev, const od_relation *relation, const od_variant *v, od_player *fast,
                           od_related *out) {
    char why[64] = "";
    const od_engine_api *api = ev->setup->fast;
    if (api->can && !api->can(&v->c, why, sizeof why)) {
        snprintf(out->outside, sizeof out->outside, "the engine cannot: %.60s", why);
        return OD_OK;
    }
    out->run.ran = true;
    switch (relation->on) {
    case OD_ON_NEW_ENGINE: return play_on_new_engine(ev, relation, v, out);
    case OD_ON_SAME_SESSIONS: return play_between(ev, relation, v, fast, out);
    case OD_ON_NEW_SESSIONS: break;
    }
    return play_on_new_sessions(ev, relation, v, fast, out);
}

static void relate(od_evidence *ev, const od_relation *relation, od_player *fast, od_related *out) {
    out->asked = true;
    const char *why = relation->outside(ev);
    if (why) {
        snprintf(out->outside, sizeof out->outside, "%s", why);
        return;
    }
    od_variant *v = calloc(1, sizeof *v);
    out->run.status = v ? OD_OK : od_fail(&out->run.error, OD_NO_MEMORY, "no memory for a second play");
    const unsigned n = relation->plays ? relation->plays(ev->script) : 1;
    for (unsigned i = 0; i < n && out->run.status == OD_OK && !out->broken && !out->outside[0]; i++) {
        out->play = i;
        out->run.status = od_variant_create(v, relation, ev->script, i, &out->run.error);
        if (out->run.status == OD_OK) out->run.status = play(ev, relation, v, fast, out);
        od_variant_destroy(v);
    }
    free(v);
    if (out->run.status != OD_UNSUPPORTED) return;
    snprintf(out->outside, sizeof out->outside, "the engine cannot: %.60s", out->run.error.text);
    out->run.status = OD_OK;
}

void od_evidence_relate(od_evidence *ev, od_player *fast) {
    for (unsigned i = 0; i < OD_RELATIONS; i++) {
        if (!(ev->setup->relations >> i & 1)) continue;
        relate(ev, od_relation_at(i), fast, &ev->related[i]);
        const enum od_status s = ev->related[i].run.status;
        if (s == OD_DEVICE_FAULT || s == OD_CRASHED || s == OD_HUNG) return; /* only closing may follow */
    }
}
