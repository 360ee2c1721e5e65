/* Guards against verdicts that say nothing: a fast path that was not taken, numbers that are all zero, weights that are
 * not read, nothing compared. With the option graph each call replays a graph or counts as a fallback. An engine
 * without `recapture` has no graphs: asking it for one is not vacuous. */
#include <stdio.h>
#include <string.h>

#include "oracles/oracle.h"

/* Asked for graphs, and calls that ran otherwise. */
static bool graphs_are_left(od_ruling *out, const od_evidence *ev) {
    const od_stats *f = &ev->fast_end;
    if (!ev->script->c->options.graph || !ev->setup->fast->recapture) return false;
    if (f->replays == 0) {
        od_rule_finding(out, "graph", "-", 0, 1, "graphs were asked for, none was replayed (%llu captured)",
                        (unsigned long long)f->captures);
        return true;
    }
    const od_stats *first = &ev->fast_stats;
    const uint64_t told = first->replays + first->fallbacks;
    if (told < ev->fast.n_call) {
        od_rule_finding(out, "graph", "-", (double)told, (double)ev->fast.n_call,
                        "of %zu calls %llu replayed a graph and %llu are said to have fallen back: the others left the "
                        "fast path in silence",
                        ev->fast.n_call, (unsigned long long)first->replays, (unsigned long long)first->fallbacks);
        return true;
    }
    return false;
}

static void judge(od_ruling *out, const od_evidence *ev) {
    const od_options *o = &ev->script->c->options;
    const od_stats *f = &ev->fast_end;
    if (ev->n_compared == 0) {
        od_rule(out, OD_INCONCLUSIVE, "nothing was compared");
        return;
    }
    if (ev->all_zero) {
        od_rule_finding(out, "zero", "-", 0, 0, "every value compared is zero on both sides");
        return;
    }
    if (ev->script->c->only_scaler) {
        od_rule_finding(out, "scaler", "-", 0, (double)ev->script->model->n_weight,
                        "only the scaler's loc and scale are compared, which are statistics of the series: none of the "
                        "model's %zu weight tensors has a say in them",
                        ev->script->model->n_weight);
        return;
    }
    if (f->rolled_back && (o->graph || o->fused || o->autotune)) {
        od_rule(out, OD_INCONCLUSIVE, "OD_DISABLE_FAST rolled the engine back: what the case asks for was not run");
        return;
    }
    if (f->math_mode && strcmp(f->math_mode, "?") == 0) {
        od_rule(out, OD_INCONCLUSIVE, "what the fast path counted could not be asked");
        return;
    }
    if (graphs_are_left(out, ev)) return;
    bool caches = o->cache != OD_CACHE_OFF && od_config_time_layers(&ev->script->model->config) > 0;
    if (caches && ev->script->has_decode && f->cache_hits == 0) {
        od_rule_finding(out, "cache", "-", 0, 1, "a %s cache was asked for, no decode call used it",
                        od_cache_name(o->cache));
        return;
    }
    if (ev->probe.n_dead > 0) {
        od_rule_finding(
            out, "weights", "-", 0, 1,
            "%.100s is not read: changed, it moves the reference's answers by %.3g contracts, the fast path's by "
            "no bit (%zu of %zu tensors are like that)",
            ev->probe.dead, ev->probe.share, ev->probe.n_dead, ev->probe.n);
        return;
    }
    if (ev->probe.status != OD_OK) {
        od_rule(out, OD_INCONCLUSIVE, "weights were not all probed: %.250s", ev->probe.error.text);
        return;
    }
    od_rule(out, OD_PASS, "%s", "");
    if (f->fallbacks > 0)
        od_rule(out, OD_PASS, "%llu calls fell back: they left the fast path that the options ask for",
                (unsigned long long)f->fallbacks);
}

const od_oracle od_oracle_vacuity = {
    .name = "vacuity",
    .about = "the fast path was not taken (graph, cache), all is zero, a weight is not read (--weights), nothing was "
             "compared, or the scaler alone",
    .in_fuzz = true,
    .required = true,
    .needs = 0,
    .judge = judge,
};
