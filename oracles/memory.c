/* Fails when the fast path's peak exceeds the bound over the plain path's, when live bytes after a later request exceed
 * the bound over those after the second identical one, or when they creep up.
 *
 * Peaks: the device's, and host and device together less an allowance for the node lists of captured graphs. The
 * host's alone is not judged: beside a model on the device it is a few kilobytes, whose ratio says nothing of what
 * users run out of. Live bytes are judged on host and device separately, since a leak is a leak.
 *
 * An engine counts what it knows of. Witnesses that know nothing of engines (witness.h) find the rest, over a longer
 * series of requests: where memory is asked for by name, or where each request seems to take more. */
#include "oracles/oracle.h"
#include "oracles/tolerance.h"

static bool peak_exceeds(od_ruling *out, const char *what, double fast, double plain) {
    double ratio = plain > 0 ? fast / plain : 0;
    out->value = ratio > out->value ? ratio : out->value;
    if (plain > 0 ? od_within(ratio, od_bounds.memory_ratio) : fast == 0) return false;
    od_rule_finding(out, "peak", "-", ratio, od_bounds.memory_ratio,
                    "%s peak of %.0f bytes, plain path %.0f: more than %.3g times", what, fast, plain,
                    od_bounds.memory_ratio);
    return true;
}

/* Host bytes less what the node lists of graphs may take: as many as may be alive at once. */
static double host_peak(const od_stats *s, const od_options *o) {
    uint64_t graphs = s->captures < o->captures ? s->captures : o->captures;
    double allowed = (double)graphs * od_bounds.graph_bytes, bytes = (double)s->host_peak;
    return bytes > allowed ? bytes - allowed : 0;
}

static bool live_grows(od_ruling *out, const char *what, const size_t *live, size_t n) {
    size_t base = live[1];
    for (size_t i = 2; i < n; i++) {
        double ratio = base ? (double)live[i] / (double)base : 0;
        if (base == 0 ? live[i] == 0 : od_within(ratio, od_bounds.memory_ratio)) continue;
        od_rule_finding(out, "growth", "-", ratio, od_bounds.memory_ratio,
                        "%s bytes live after request %zu: %zu, after the second %zu: more than %.3g times", what, i + 1,
                        live[i], base, od_bounds.memory_ratio);
        return true;
    }
    const double per_request = od_slope_fit(live + 1, n - 1, 0).value;
    if (per_request > 0) {
        od_rule_finding(out, "slope", "-", per_request, 0, "%s bytes live grow by %.6g with each identical request",
                        what, per_request);
        return true;
    }
    return false;
}

/* What the engine's own counters do not know of. A series that was broken off, because one request added nothing, says
 * that nothing grows. */
static bool witness_grows(od_ruling *out, const od_witnessed *w) {
    static const char *const whose[OD_WITNESSES] = {
        [OD_WITNESS_DEVICE] = "; it counts what others take, too: OD_SHARED_DEVICE=1 where there are any"};
    for (int i = 0; i < OD_WITNESSES && w->n == OD_WITNESS_REPEAT; i++) {
        const size_t *y = w->bytes[i];
        const od_slope slope = od_slope_fit(y, w->n, od_bounds.witness_z);
        if (od_within(slope.low, od_bounds.witness_slope)) continue;
        od_rule_finding(out, "slope", "-", slope.low, od_bounds.witness_slope,
                        "%s: %.6g bytes more with each identical request, at least %.6g (99.9 %% confidence, %zu "
                        "requests, %zu to %zu), which the engine's own counters do not show%s",
                        od_witness_name((enum od_witness)i), slope.value, slope.low, w->n, y[0], y[w->n - 1],
                        whose[i] ? whose[i] : "");
        return true;
    }
    return false;
}

static void judge(od_ruling *out, const od_evidence *ev) {
    if (ev->n_live > 2 &&
        (live_grows(out, "host", ev->host_live, ev->n_live) || live_grows(out, "device", ev->device_live, ev->n_live)))
        return;
    if (witness_grows(out, &ev->witnessed)) return;
    const od_stats *f = &ev->fast_stats, *p = &ev->plain_stats;
    double f_device = (double)f->device_peak, p_device = (double)p->device_peak;
    if (ev->plain_run.ran && ev->plain_run.status == OD_OK &&
        (peak_exceeds(out, "device", f_device, p_device) ||
         peak_exceeds(out, "host and device", host_peak(f, &ev->script->c->options) + f_device,
                      (double)p->host_peak + p_device)))
        return;
    if (ev->n_live <= 2) {
        od_rule(out, OD_INCONCLUSIVE, "fewer than three requests on one engine");
    } else if (!ev->plain_run.ran) {
        od_rule(out, OD_PASS, "memory growth only: the case asks for the plain path itself");
    } else if (f->host_peak + f->device_peak == 0 || p->host_peak + p->device_peak == 0) {
        od_rule(out, OD_INCONCLUSIVE, "the engine counts no memory");
    } else {
        od_rule(out, OD_PASS, "%s", "");
        out->bound = od_bounds.memory_ratio;
    }
}

const od_oracle od_oracle_memory = {
    .name = "memory",
    .about = "peak bytes exceed 1.5 times the plain path's, or live bytes grow over identical requests, by the "
             "engine's counters or by witnesses",
    .in_fuzz = true,
    .required = true,
    .needs = OD_NEED_RERUN | OD_NEED_PLAIN | OD_NEED_WITNESSES,
    .judge = judge,
};
