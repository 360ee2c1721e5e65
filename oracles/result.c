#include "oracles/result.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "model/json_memory.h"
#include "oracles/tolerance.h"

/* JSON has no word for NaN and infinity: null. */
static json_t *number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

/* Text of any origin, none is "": bytes that are no UTF-8 become '?'. */
static json_t *text(const char *s) {
    if (!s) s = "";
    json_t *t = json_string(s);
    if (t) return t;
    char clean[1024];
    size_t n = 0;
    for (; s[n] && n < sizeof clean - 1; n++) clean[n] = (unsigned char)s[n] < 0x80 ? s[n] : '?';
    clean[n] = '\0';
    return json_string(clean);
}

static json_t *count(uint64_t n) {
    return json_integer((json_int_t)n);
}

static json_t *texts(const char *const *list, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, text(list[i]));
    return a;
}

static json_t *oracle_names(unsigned mask) {
    json_t *a = json_array();
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (mask >> i & 1) json_array_append_new(a, text(od_oracle_at(i)->name));
    return a;
}

static enum od_status put(FILE *out, json_t *line, od_error *e) {
    char *s = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (od_json_short() || !s) { /* a part of it is missing */
        free(s);
        return od_fail(e, OD_NO_MEMORY, "no memory for a result line");
    }
    bool ok = fputs(s, out) >= 0 && fputc('\n', out) != EOF && fflush(out) == 0;
    free(s);
    return ok ? OD_OK : od_fail(e, OD_IO, "a result line cannot be written: %s", strerror(errno));
}

static json_t *engine(const char *name, const char *device, const char *math) {
    return json_pack("{s:o,s:o,s:o}", "name", text(name), "device", text(device), "math_mode", text(math));
}

enum od_status od_result_run(FILE *out, const od_run_info *i, const od_judge *j, unsigned named, od_error *e) {
    char pair[64];
    const char *ref = j->setup.ref->name, *fast = j->setup.fast->name;
    snprintf(pair, sizeof pair, "%.20s:%.20s", ref, fast);
    json_t *line = json_pack("{s:s,s:i,s:o,s:o,s:o,s:o,s:o,s:s}", "type", "run", "format", 1, "version",
                             text(i->version), "command", text(i->command), "time", text(i->time), "pair", text(pair),
                             "why", text(i->why), "policy", i->envelope ? "envelope" : "contract");
    if (i->envelope) json_object_set_new(line, "envelope", text(i->envelope));
    json_object_set_new(line, "engines",
                        json_pack("{s:o,s:o}", "ref", engine(ref, i->ref_device, i->ref_math), "fast",
                                  engine(fast, i->fast_device, i->fast_math)));
    json_object_set_new(line, "environment",
                        json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "host", text(i->host), "os", text(i->os), "cpu",
                                  text(i->cpu), "cores", count(i->cores), "compiler", text(i->compiler), "build",
                                  text(i->build)));
    json_t *environment = json_object_get(line, "environment");
    json_object_set_new(environment, "card", text(i->card));
    json_object_set_new(environment, "driver", text(i->driver));
    json_object_set_new(environment, "toolkit", text(i->toolkit));
    json_object_set_new(line, "options", texts(i->option, i->n_option));
    json_object_set_new(line, "weights", text(i->weights));
    json_object_set_new(line, "seed", i->profile ? count(i->seed) : json_null());
    json_object_set_new(line, "profile", i->profile ? text(i->profile) : json_null());
    json_object_set_new(line, "fault", text(i->fault));
    json_object_set_new(line, "oracles", oracle_names(j->setup.oracles | 1u));
    json_object_set_new(line, "required", oracle_names(named));
    json_object_set_new(line, "not_checked", texts(i->not_checked, i->n_not_checked));
    return put(out, line, e);
}

static json_t *stats(const od_stats *s) {
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:b}", "host_live", count(s->host_live),
                     "host_peak", count(s->host_peak), "device_live", count(s->device_live), "device_peak",
                     count(s->device_peak), "launches", count(s->launches), "captures", count(s->captures), "replays",
                     count(s->replays), "cache_hits", count(s->cache_hits), "fallbacks", count(s->fallbacks),
                     "replaced", count(s->replaced), "math_mode", text(s->math_mode ? s->math_mode : ""), "device",
                     text(s->device ? s->device : ""), "rolled_back", s->rolled_back, "emulated", s->emulated);
}

static json_t *row(const od_row *r) {
    const od_comparison *w = &r->worst;
    json_t *o = json_pack("{s:s,s:s,s:b,s:o,s:o,s:o,s:o,s:o,s:o}", "tensor", od_tensor_class_name(r->cls), "step",
                          od_step_class_name(r->step), "contract", r->contract, "compared", count(r->compared), "n",
                          count(w->n), "mae", number(w->mae), "max_abs", number(w->max_abs), "rmse", number(w->rmse),
                          "nmse", number(w->nmse));
    json_object_set_new(
        o, "ulp",
        json_pack("{s:o,s:o,s:o}", "p50", number(w->ulp_p50), "p99", number(w->ulp_p99), "max", number(w->ulp_max)));
    json_object_set_new(o, "share", number(r->share));
    json_object_set_new(o, "most_mae", number(r->most_mae));
    json_object_set_new(o, "most_abs", number(r->most_abs));
    json_object_set_new(o, "at",
                        json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "name", text(r->name), "op", count(r->at.op), "call",
                                  count(r->at.call), "session", count(r->at.session), "index", count(w->worst), "ref",
                                  number(w->ref_worst), "fast", number(w->fast_worst)));
    json_object_set_new(
        o, "nonfinite",
        json_pack("{s:o,s:o}", "ref", count(w->ref_nan + w->ref_inf), "fast", count(w->fast_nan + w->fast_inf)));
    return o;
}

static json_t *rows(const od_evidence *ev) {
    json_t *a = json_array();
    for (int t = 0; ev && t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++)
            for (int k = 1; k >= 0; k--)
                if (ev->row[t][s][k].compared) json_array_append_new(a, row(&ev->row[t][s][k]));
    return a;
}

static json_t *hex(uint64_t hash) {
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    return json_string(text);
}

/* A side that gave no such tensor: "". */
static json_t *digests(const od_evidence *ev) {
    json_t *a = json_array();
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++) {
            const od_digest *ref = &ev->ref_digests.of[t][s], *fast = &ev->fast_digests.of[t][s];
            if (ref->n + fast->n == 0) continue;
            json_array_append_new(a, json_pack("{s:s,s:s,s:o,s:o,s:o}", "tensor", od_tensor_class_name(t), "step",
                                               od_step_class_name(s), "n", count(fast->n ? fast->n : ref->n), "ref",
                                               ref->n ? hex(ref->hash) : text(""), "fast",
                                               fast->n ? hex(fast->hash) : text("")));
        }
    return a;
}

static json_t *rulings(const od_verdict *v) {
    json_t *a = json_array();
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        const od_ruling *r = &v->ruling[i];
        if (!(v->asked >> i & 1)) continue;
        json_array_append_new(a, json_pack("{s:s,s:s,s:o,s:o,s:o,s:o}", "oracle", od_oracle_at(i)->name, "verdict",
                                           od_outcome_name(r->outcome), "signature", text(r->signature), "reason",
                                           text(r->reason), "value", number(r->value), "bound", number(r->bound)));
    }
    return a;
}

/* The decode steps of a relation that is held to the contract. */
static json_t *steps(const od_related *r) {
    json_t *a = json_array();
    for (size_t i = 0; i < r->n_step; i++) {
        const od_related_step *s = &r->step[i];
        json_array_append_new(a, json_pack("{s:o,s:o,s:o,s:o,s:o}", "op", count(s->at.op), "call", count(s->at.call),
                                           "session", count(s->at.session), "mae", number(s->mae), "max_abs",
                                           number(s->max_abs)));
    }
    return a;
}

/* What each relation that was asked came to; share: of the contract, where the relation is held to it. */
static json_t *relations(const od_evidence *ev) {
    json_t *a = json_array();
    for (unsigned i = 0; ev && i < OD_RELATIONS; i++) {
        const od_related *r = &ev->related[i];
        if (!r->asked) continue;
        json_array_append_new(a,
                              json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "relation", od_relation_at(i)->name, "held",
                                        od_relation_at(i)->contract ? "contract" : "bits", "verdict",
                                        od_outcome_name(od_related_outcome(r)), "outside", text(r->outside), "compared",
                                        count(r->compared), "share", number(r->most_share), "steps", steps(r)));
    }
    return a;
}

static json_t *engines(const od_evidence *ev) {
    json_t *o = json_object();
    if (!ev) return o;
    if (ev->ref_run.ran && ev->ref_run.status == OD_OK) json_object_set_new(o, "ref", stats(&ev->ref_stats));
    if (ev->fast_run.ran && ev->fast_run.status == OD_OK) json_object_set_new(o, "fast", stats(&ev->fast_end));
    if (ev->plain_run.ran && ev->plain_run.status == OD_OK) json_object_set_new(o, "plain", stats(&ev->plain_stats));
    return o;
}

static json_t *bytes_of(const size_t *live, size_t n, size_t peak, const size_t *plain_peak) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, count(live[i]));
    const double slope = n > 2 ? od_slope_fit(live + 1, n - 1, 0).value : (double)NAN;
    return json_pack("{s:o,s:o,s:o,s:o}", "live", list, "peak", count(peak), "plain_peak",
                     plain_peak ? count(*plain_peak) : json_null(), "slope", number(slope));
}

/* Live bytes after each request, peaks, and what grows with a request, by the engine's counters and by witnesses. */
static json_t *memory(const od_evidence *ev) {
    const od_stats *f = &ev->fast_stats, *p = &ev->plain_stats;
    const bool plain = ev->plain_run.ran && ev->plain_run.status == OD_OK;
    json_t *list = json_array();
    for (int i = 0; i < OD_WITNESSES; i++) {
        const size_t n = ev->witnessed.n, *y = ev->witnessed.bytes[i];
        if (n == 0 || y[0] == 0) continue; /* it does not know */
        const od_slope slope = od_slope_fit(y, n, od_bounds.witness_z);
        json_array_append_new(list,
                              json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "witness", od_witness_name((enum od_witness)i),
                                        "readings", count(n), "first", count(y[0]), "last", count(y[n - 1]), "slope",
                                        number(n > 1 ? slope.value : (double)NAN), "low", number(slope.low)));
    }
    return json_pack("{s:o,s:o,s:o}", "host",
                     bytes_of(ev->host_live, ev->n_live, f->host_peak, plain ? &p->host_peak : NULL), "device",
                     bytes_of(ev->device_live, ev->n_live, f->device_peak, plain ? &p->device_peak : NULL), "witnesses",
                     list);
}

static json_t *place(const char *name, const od_call_at *at) {
    return json_pack("{s:o,s:o,s:o,s:o}", "name", text(name), "op", count(at->op), "call", count(at->call), "session",
                     count(at->session));
}

/* Distances from float64, by class; empty where the arbiter was asked about the worst tensor alone. */
static json_t *classes(const od_arbitration *a) {
    json_t *list = json_array();
    for (int i = 0; i < OD_TENSORS; i++) {
        const od_nearness *near = &a->near[i];
        if (near->n == 0) continue;
        json_array_append_new(
            list, json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "tensor", od_tensor_class_name(i), "n",
                            count(near->n), "far", count(near->n_far), "values", count(near->values), "log_ratio",
                            number(near->log_ratio), "use", number(near->use), "ratio", number(near->ratio), "ref_mae",
                            number(near->ref), "fast_mae", number(near->fast), "at", place(near->name, &near->at)));
    }
    return list;
}

static json_t *spent(const od_spent *s) {
    return json_pack("{s:o,s:o,s:o,s:o}", "engines", number(s->engines), "arbiter", number(s->arbiter), "judging",
                     number(s->judging), "generation", number(s->generation));
}

enum od_status od_result_case(FILE *out, const od_case_info *i, const od_case *c, const od_verdict *v, od_error *e) {
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)v->hash);
    const od_row *worst = v->evidence ? od_evidence_worst(v->evidence, false) : NULL;
    json_t *line = json_pack("{s:s,s:o,s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:s,s:o,s:o,s:o,s:o}", "type", "case", "case",
                             text(i->path), "name", text(i->name), "note", text(c->note), "hash", hash, "pair",
                             text(v->pair), "shape", text(v->shape), "gain", number(c->gain), "weights",
                             text(c->model_folder[0] ? c->model_folder : "random"), "verdict",
                             od_outcome_name(v->outcome), "signature", text(v->signature), "reason", text(v->reason),
                             "share", number(worst ? worst->share : 0), "seconds", number(v->seconds));
    json_object_set_new(line, "spent", spent(&v->spent));
    json_object_set_new(line, "oracles", rulings(v));
    json_object_set_new(line, "relations", relations(v->evidence));
    json_object_set_new(line, "tensors", rows(v->evidence));
    if (v->evidence && v->evidence->setup->detail) json_object_set_new(line, "digests", digests(v->evidence));
    double mae, max_abs;
    if (v->evidence && od_evidence_needed(&mae, &max_abs, v->evidence))
        json_object_set_new(line, "needed", json_pack("{s:o,s:o}", "mae", number(mae), "max_abs", number(max_abs)));
    json_object_set_new(line, "engines", engines(v->evidence));
    if (v->evidence && v->evidence->n_live > 0) json_object_set_new(line, "memory", memory(v->evidence));
    if (v->evidence && v->evidence->arbitration.ran) {
        const od_arbitration *a = &v->evidence->arbitration;
        json_object_set_new(line, "arbiter",
                            json_pack("{s:s,s:s,s:o,s:o,s:s,s:o}", "tensor", od_tensor_class_name(a->cls), "step",
                                      od_step_class_name(a->step), "ref_mae", number(a->ref_mae), "fast_mae",
                                      number(a->fast_mae), "nearer", a->nearer, "classes", classes(a)));
    }
    const od_recheck *again = &v->recheck;
    if (again->judged)
        json_object_set_new(line, "recheck",
                            json_pack("{s:o,s:o,s:o,s:o,s:b}", "judged", count(again->judged), "shown",
                                      count(again->shown), "process_judged", count(again->process_judged),
                                      "process_shown", count(again->process_shown), "flaky",
                                      od_recheck_is_flaky(again)));
    json_object_set_new(line, "finding", text(i->finding));
    json_object_set_new(line, "command", text(i->command));
    return put(out, line, e);
}

static json_t *worst_of(double value, const char *name, enum od_tensor_class cls, enum od_step_class step) {
    bool none = value == -1;
    return json_pack("{s:o,s:o,s:s,s:s}", "value", none ? json_null() : number(value), "case", text(name), "tensor",
                     none ? "" : od_tensor_class_name(cls), "step", none ? "" : od_step_class_name(step));
}

static json_t *kinds(const od_kinds *k) {
    json_t *a = json_array();
    for (size_t i = 0; i < k->n; i++)
        json_array_append_new(a, json_pack("{s:o,s:o,s:o}", "kind", text(k->kind[i].pattern), "findings",
                                           count(k->kind[i].n), "first", text(k->kind[i].first)));
    return a;
}

/* Mean shifts, a class each; healthy: the envelope's mean. */
static json_t *shifts(const od_tally *t) {
    static const char *const states[] = {"NOT ASKED", "PASS", "FINDING"};
    json_t *a = json_array();
    for (int i = 0; i < OD_TENSORS; i++)
        for (int k = 0; k < OD_STEPS; k++) {
            const od_shift_test s = od_shift_judge(&t->shifts.of[i][k], &t->envelope->shift[i][k]);
            if (s.seen.cases == 0) continue;
            json_array_append_new(
                a, json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:s}", "tensor", od_tensor_class_name((enum od_tensor_class)i),
                             "step", od_step_class_name((enum od_step_class)k), "cases", count(s.seen.cases), "mean",
                             number(s.seen.mean), "healthy", number(t->envelope->shift[i][k].mean), "z", number(s.z),
                             "verdict", states[s.state]));
        }
    return a;
}

enum od_status od_result_summary(FILE *out, const od_tally *t, const od_kinds *found, double seconds, bool interrupted,
                                 int exit_code, od_error *e) {
    json_t *line = json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "type", "summary", "cases", count(t->cases),
                             "pass", count(t->outcome[OD_PASS]), "finding", count(t->outcome[OD_FINDING]), "known",
                             count(t->outcome[OD_KNOWN]), "skipped", count(t->outcome[OD_SKIPPED]), "inconclusive",
                             count(t->outcome[OD_INCONCLUSIVE]), "error", count(t->outcome[OD_ERROR]), "compared",
                             count(t->compared));
    json_object_set_new(line, "kinds", kinds(found));
    json_object_set_new(line, "expired", count(t->expired));
    if (t->probed)
        json_object_set_new(line, "weights",
                            json_pack("{s:o,s:o,s:o}", "classes", count(t->probed), "tensors", count(t->n_weight),
                                      "idle", count(t->n_idle)));
    json_object_set_new(line, "worst_mae",
                        worst_of(t->worst_mae, t->worst_mae_case, t->worst_mae_cls, t->worst_mae_step));
    json_object_set_new(line, "worst_share",
                        worst_of(t->worst_share, t->worst_share_case, t->worst_share_cls, t->worst_share_step));
    if (t->envelope) {
        json_object_set_new(line, "outside", count(t->outside));
        json_object_set_new(line, "shifts", shifts(t));
    }
    json_object_set_new(line, "seconds", number(seconds));
    json_object_set_new(line, "spent", spent(&t->spent));
    json_object_set_new(line, "interrupted", json_boolean(interrupted));
    json_object_set_new(line, "exit", json_integer(exit_code));
    return put(out, line, e);
}
