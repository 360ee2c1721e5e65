/* Fails when the fast path's peak exceeds the bound over the plain path's, when live bytes after a later request exceed
 * the bound over those after the second identical one, or when they creep up.
 *
 * Peaks: the device's, and host and device together less an allowance for the node lists of captured graphs. The
 * host's alone is not judged: beside a model on the device it is a few kilobytes, whose ratio says nothing of what
 * users run out of. Live bytes are judged on host and device separately, since a leak is a leak. */
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

/* Median of the slopes between all pairs of points (Theil and Sen): a single step that then stays has slope 0. */
static double slope(const size_t *y, size_t n) {
    double s[OD_MAX_REPEAT * OD_MAX_REPEAT];
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            double d = ((double)y[j] - (double)y[i]) / (double)(j - i);
            size_t at = k++;
            for (; at > 0 && s[at - 1] > d; at--) s[at] = s[at - 1];
            s[at] = d;
        }
    return k == 0 ? 0 : (s[(k - 1) / 2] + s[k / 2]) / 2;
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
    double per_request = slope(live + 1, n - 1);
    if (per_request > 0) {
        od_rule_finding(out, "slope", "-", per_request, 0, "%s bytes live grow by %.6g with each identical request",
                        what, per_request);
        return true;
    }
    return false;
}

static void judge(od_ruling *out, const od_evidence *ev) {
    if (ev->n_live > 2 &&
        (live_grows(out, "host", ev->host_live, ev->n_live) || live_grows(out, "device", ev->device_live, ev->n_live)))
        return;
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
    .about = "peak bytes exceed 1.5 times the plain path's, or live bytes grow over identical requests",
    .in_fuzz = true,
    .required = true,
    .needs = OD_NEED_RERUN | OD_NEED_PLAIN,
    .judge = judge,
};
