#include "oracles/evidence.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "faults/fault.h"

#include "oracles/tolerance.h"

/* Plays once and notes how it went. */
static bool play(od_attempt *run, od_player *p, od_sink sink, void *arg) {
    run->ran = true;
    run->status = od_player_play(p, sink, arg, &run->at, &run->error);
    return run->status == OD_OK;
}

static bool open_player(od_attempt *run, od_player *p, const od_engine_api *api, const od_script *script,
                        const od_options *options) {
    run->ran = true;
    run->status = od_player_open(p, api, script, options, &run->error);
    return run->status == OD_OK;
}

/* A whole life of an engine on the script, recorded. */
static bool play_life(od_attempt *run, od_trace *trace, od_stats *stats, const od_engine_api *api,
                      const od_script *script, const od_options *options) {
    od_player p;
    od_trace_clear(trace);
    if (!open_player(run, &p, api, script, options)) return false;
    const bool played = play(run, &p, od_trace_record, trace);
    if (played && stats) api->stats(p.engine, stats);
    od_player_close(&p);
    return played;
}

/* The reference and the arbiter never round to TF32. */
od_options od_exact_options(const od_script *script) {
    od_options options = script->c->options;
    options.tf32 = false;
    return options;
}

static void note_live(od_evidence *ev, od_player *p) {
    od_witnessed *w = &ev->witnessed;
    p->api->stats(p->engine, &ev->fast_end);
    ev->n_played++;
    if (ev->n_live < OD_MAX_REPEAT) {
        const bool once = OD_FAULT_WHEN(LIVE_ONCE, ev->n_live > 1);
        ev->host_live[ev->n_live] = once ? ev->host_live[1] : ev->fast_end.host_live;
        ev->device_live[ev->n_live] = once ? ev->device_live[1] : ev->fast_end.device_live;
        ev->waits[ev->n_live] = ev->fast_end.waits;
        ev->copied[ev->n_live] = ev->fast_end.copied;
        ev->n_live++;
    }
    if (ev->n_live < 2 || w->n == OD_WITNESS_REPEAT) return;
    w->bytes[OD_WITNESS_MALLOC][w->n] = ev->setup->crowded ? 0 : od_witness_malloc();
    w->bytes[OD_WITNESS_RSS][w->n] = ev->setup->crowded ? 0 : od_witness_rss();
    w->bytes[OD_WITNESS_DEVICE][w->n] = ev->fast_end.device_used;
    w->n++;
}

static bool reset_and_note(od_evidence *ev, od_player *p, od_attempt *run) {
    run->status = od_player_reset(p, &run->error);
    if (run->status == OD_OK) note_live(ev, p);
    return run->status == OD_OK;
}

/* Growth between the second request and the third: a few more tell a leak from a buffer that found its size. Their
 * sessions are new ones, as the third's were, for what a session leaves behind when it is closed. */
static bool grew(const od_evidence *ev) {
    return ev->n_live == 3 && (ev->host_live[2] > ev->host_live[1] || ev->device_live[2] > ev->device_live[1]);
}

/* Witnesses carry noise and are judged over a whole series: on request, or for as long as each request adds much to
 * one. */
static bool is_to_be_watched(const od_evidence *ev) {
    const od_witnessed *w = &ev->witnessed;
    if (w->n == OD_WITNESS_REPEAT) return false;
    return ev->setup->watch_memory || od_witnessed_grew(w, w->n - 1, od_bounds.witness_step, od_bounds.witness_pages);
}

static bool rerun_same_engine(od_evidence *ev, od_player *p, unsigned needs) {
    od_attempt *run = &ev->rerun[OD_RERUN_RESET];
    run->ran = true;
    if (!reset_and_note(ev, p, run)) return false;
    if (!play(run, p, od_trace_match, &ev->difference[OD_RERUN_RESET])) return false;
    if (!reset_and_note(ev, p, run)) return false;

    run = &ev->rerun[OD_RERUN_REOPEN];
    run->ran = true;
    run->status = od_player_poison(p, &run->error);
    if (run->status == OD_OK) run->status = od_player_reopen(p, &run->error);
    if (run->status != OD_OK) return false;
    p->scrambles = true;
    const bool played = play(run, p, od_trace_match, &ev->difference[OD_RERUN_REOPEN]);
    p->scrambles = false;
    if (!played) return false;
    if (!reset_and_note(ev, p, run)) return false;
    const bool growing = grew(ev);
    while (growing && ev->n_live < OD_MAX_REPEAT) {
        run->status = od_player_reopen(p, &run->error);
        if (run->status != OD_OK || !play(run, p, NULL, NULL) || !reset_and_note(ev, p, run)) return false;
    }
    while (needs & OD_NEED_WITNESSES && is_to_be_watched(ev))
        if (!play(run, p, NULL, NULL) || !reset_and_note(ev, p, run)) return false;
    return true;
}

bool od_timing_is_void(const od_evidence *ev) {
    return ev->fast_stats.emulated && ev->script->c->options.fused;
}

static void play_plain(od_evidence *ev, od_player *fast, unsigned needs) {
    od_options plain = od_options_plain(&ev->script->c->options);
    od_player p;
    if (ev->plain_is_fast || !open_player(&ev->plain_run, &p, fast->api, ev->script, &plain)) return;
    if (play(&ev->plain_run, &p, NULL, NULL)) {
        p.api->stats(p.engine, &ev->plain_stats);
        if (needs & OD_NEED_TIME && !od_timing_is_void(ev))
            ev->plain_run.status = od_evidence_time(ev, fast, &p, &ev->plain_run.error);
    }
    od_player_close(&p);
}

/* On a fresh engine of this process sessions are opened as they come, so that one meets what the engine captured for
 * those before it, and may need more room than they did. */
static void play_fresh(od_evidence *ev, enum od_rerun which, const od_engine_api *api) {
    od_attempt *run = &ev->rerun[which];
    const od_options *options = &ev->script->c->options;
    od_player p;
    run->ran = true;
    run->status = which == OD_RERUN_FRESH ? od_player_open_late(&p, api, ev->script, options, &run->error)
                                          : od_player_open(&p, api, ev->script, options, &run->error);
    if (run->status != OD_OK) return;
    play(run, &p, od_trace_match, &ev->difference[which]);
    od_player_close(&p);
}

/* What went wrong while an engine of a worker was closed, which has no status of its own. */
static void ask_after(od_attempt *run, const od_engine_api *api) {
    if (run->status != OD_OK || !api->probe) return;
    run->ran = true;
    run->status = api->probe(&run->error);
    run->closing = run->status != OD_OK;
}

static double mae_against(const od_trace *truth, const od_trace *other, size_t index, const od_row *row) {
    od_tensor a = od_trace_view(truth, row->tensor), b = od_trace_view(other, index);
    od_comparison cmp;
    if (strcmp(a.name, b.name) != 0 || od_compare(&cmp, &a, &b, row->unit, false, NULL) != OD_OK) return NAN;
    return cmp.mae;
}

/* Who is nearer to float64, on the tensor that uses most of the contract? */
static void arbitrate(od_evidence *ev, const od_row *row) {
    const od_options options = od_exact_options(ev->script);
    od_arbitration *a = &ev->arbitration;
    if (!play_life(&ev->arbiter_run, &ev->third, NULL, ev->setup->arbiter, ev->script, &options)) return;
    if (ev->third.n_tensor != ev->ref.n_tensor) return;
    a->ran = true;
    a->cls = row->cls;
    a->step = row->step;
    a->ref_mae = mae_against(&ev->third, &ev->ref, row->tensor, row);
    a->fast_mae = mae_against(&ev->third, &ev->fast, row->fast_tensor, row);
    if (isnan(a->ref_mae) || isnan(a->fast_mae))
        a->nearer = isnan(a->fast_mae) && !isnan(a->ref_mae) ? "ref" : "unknown";
    else
        a->nearer = a->ref_mae < a->fast_mae ? "ref" : a->fast_mae < a->ref_mae ? "fast" : "equal";
}

/* Who is nearer, on every tensor? All three play again, with hidden states, into the traces, which rows then no longer
 * belong to. Whichever fails, it is the arbitration that failed. */
static void arbitrate_all(od_evidence *ev) {
    const od_setup *setup = ev->setup;
    od_options plain = od_exact_options(ev->script), fast = ev->script->c->options;
    plain.hidden = fast.hidden = true;
    if (play_life(&ev->arbiter_run, &ev->third, NULL, setup->arbiter, ev->script, &plain) &&
        play_life(&ev->arbiter_run, &ev->ref, NULL, setup->ref, ev->script, &plain) &&
        play_life(&ev->arbiter_run, &ev->fast, NULL, setup->fast, ev->script, &fast))
        od_evidence_near(ev);
}

static void ask_arbiter(od_evidence *ev) {
    /* A NaN in one engine alone is a finding wherever it stands, also beyond the contract's reach. */
    const od_row *row = ev->mismatch ? &ev->mismatch_row : od_evidence_worst(ev, false);
    const od_setup *setup = ev->setup;
    if (!row || !setup->arbiter) return;
    if (setup->always_arbiter || !od_within(row->share, od_bounds.arbiter_share)) arbitrate(ev, row);
    if (setup->always_arbiter && ev->arbiter_run.status == OD_OK) arbitrate_all(ev);
}

/* What it takes stands apart from the two engines' own time, whoever plays for it. */
static void ask_arbiter_apart(od_evidence *ev) {
    od_spent *spent = ev->script->spent;
    const double began = od_seconds(), engines = spent ? spent->engines : 0;
    ask_arbiter(ev);
    if (!spent || !ev->arbiter_run.ran) return;
    spent->engines = engines;
    spent->arbiter += od_seconds() - began;
}

static void forget(od_evidence *ev, const od_script *script, const od_setup *setup) {
    od_trace ref = ev->ref, fast = ev->fast, third = ev->third;
    od_measure *measure = ev->measure;
    const size_t cap = ev->cap_measure;
    *ev = (od_evidence){.script = script, .setup = setup, .ref = ref, .fast = fast, .third = third};
    ev->measure = measure;
    ev->cap_measure = cap;
    od_trace_clear(&ev->fast);
    for (int i = 0; i < OD_RERUNS; i++) ev->difference[i].trace = &ev->fast;
    const od_options *o = &script->c->options;
    ev->plain_is_fast = !o->graph && !o->autotune && !o->fused;
}

void od_evidence_gather(od_evidence *ev, const od_script *script, const od_setup *setup, unsigned needs) {
    forget(ev, script, setup);
    const od_options options = od_exact_options(script);
    play_life(&ev->ref_run, &ev->ref, &ev->ref_stats, setup->ref, script, &options);
    if (ev->ref_run.status != OD_OK && ev->ref_run.status != OD_BAD_INPUT) return;
    od_player p;
    if (!open_player(&ev->fast_run, &p, setup->fast, script, &script->c->options)) return;
    if (play(&ev->fast_run, &p, od_trace_record, &ev->fast) && ev->ref_run.status == OD_OK) {
        p.api->stats(p.engine, &ev->fast_stats);
        ev->fast_end = ev->fast_stats;
        od_evidence_compare(ev);
        bool sound = !(needs & OD_NEED_RERUN) || rerun_same_engine(ev, &p, needs);
        if (sound && (needs & (OD_NEED_PLAIN | OD_NEED_TIME))) play_plain(ev, &p, needs);
        if (sound && (needs & OD_NEED_RELATIONS)) od_evidence_relate(ev, &p);
    }
    od_player_close(&p);
    if (ev->fast_run.status != OD_OK || ev->ref_run.status != OD_OK) return;
    if (needs & OD_NEED_FRESH) play_fresh(ev, OD_RERUN_FRESH, setup->fast);
    if (needs & OD_NEED_FRESH && setup->process) {
        play_fresh(ev, OD_RERUN_PROCESS, setup->process);
        ask_after(&ev->rerun[OD_RERUN_PROCESS], setup->process);
    }
    if (needs & OD_NEED_PROBE) od_evidence_probe(ev);
    ask_arbiter_apart(ev);
    if (!setup->isolated) return;
    ask_after(&ev->ref_end, setup->ref);
    ask_after(&ev->fast_end_run, setup->fast);
}

void od_evidence_free(od_evidence *ev) {
    od_trace_free(&ev->ref);
    od_trace_free(&ev->fast);
    od_trace_free(&ev->third);
    free(ev->measure);
    *ev = (od_evidence){0};
}
