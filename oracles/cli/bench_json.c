/* bench's JSON Lines: a header, a line a side, a line a side and work, a line a ratio, an end. bench/peer_toto.py
 * writes the same kinds of line. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "model/file.h"
#include "model/json_memory.h"
#include "oracles/cli/bench.h"

enum { SEED = 1 };

static const double ms = 1e3;

void od_bench_mode(char *text, size_t size, const od_options *options) {
    char value[32];
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; od_options_name(i) && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s=%s", i ? " " : "", od_options_name(i),
                               od_options_value(options, i, value, sizeof value));
    if (options->last_head && at < size) snprintf(text + at, size - at, " head=last");
}

static json_t *card_json(const od_card *c) {
    if (!c->read) return json_pack("{s:b, s:s}", "read", 0, "why", c->why);
    return json_pack("{s:b, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f}", "read", 1, "name", c->name, "driver", c->driver,
                     "cuda", c->cuda, "sm_mhz", (int)c->sm_mhz, "sm_max_mhz", (int)c->sm_max_mhz, "memory_mhz",
                     (int)c->memory_mhz, "temperature_c", (int)c->temperature, "power_w", c->power_mw / 1e3);
}

/* Takes over `line`; false where it could not be made or written. */
static bool put(FILE *f, json_t *line) {
    bool ok = line && !od_json_short() && json_dumpf(line, f, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0 &&
              fputc('\n', f) != EOF;
    json_decref(line);
    return ok;
}

static json_t *header(const od_bench *b) {
    const od_environment *env = &b->environment;
    json_t *shape =
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "batch", (json_int_t)b->batch, "variates", (json_int_t)b->variates,
                  "context", (json_int_t)b->context, "steps", (json_int_t)b->steps, "rollout", (json_int_t)b->rollout);
    json_t *machine = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s}", "host", env->host, "os", env->os, "cpu",
                                env->cpu, "cores", (int)env->cores, "compiler", env->compiler, "build", env->build,
                                "toolkit", OD_CUDA_TOOLKIT, "fault", env->fault);
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:I, s:o, s:o, s:f, s:f}", "type", "bench", "format", 1, "tool",
                     "oracle-diff " OD_VERSION, "time", env->time, "model", b->model_name, "shape", shape, "pairs",
                     (json_int_t)b->n_pair, "machine", machine, "card", card_json(&b->before), "model_ms",
                     ms * b->model_seconds, "probe_ms", ms * b->probe_seconds);
}

static json_t *side_json(const od_bench_side *s) {
    char mode[256];
    const od_bench_first *f = &s->first;
    const od_stats *t = &s->stats;
    od_bench_mode(mode, sizeof mode, &s->options);
    json_t *first = json_pack("{s:f, s:f, s:f, s:f}", "create_ms", ms * f->create, "open_ms", ms * f->open,
                              "prefill_ms", ms * f->prefill, "decode_ms", ms * f->decode);
    json_t *further = !f->further ? json_null()
                                  : json_pack("{s:I, s:f, s:f, s:f}", "context", (json_int_t)f->further_context,
                                              "first_ms", ms * f->further_first, "again_ms", ms * f->further_again,
                                              "capture_ms", ms * (f->further_first - f->further_again));
    json_object_set_new(first, "further_bucket", further);
    json_t *warm = json_pack("{s:I, s:f, s:f}", "turns", (json_int_t)s->warm_turns, "total_ms", ms * s->warm_seconds,
                             "slowest_turn_ms", ms * s->warm_slowest);
    json_t *stats =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "captures", (json_int_t)t->captures, "replays",
                  (json_int_t)t->replays, "launches", (json_int_t)t->launches, "cache_hits", (json_int_t)t->cache_hits,
                  "fallbacks", (json_int_t)t->fallbacks, "replaced", (json_int_t)t->replaced, "device_live",
                  (json_int_t)t->device_live, "device_peak", (json_int_t)t->device_peak, "host_live",
                  (json_int_t)t->host_live, "host_peak", (json_int_t)t->host_peak);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "type", "side", "side", s->name, "engine",
                     s->api->name, "mode", mode, "device", t->device ? t->device : "", "math",
                     t->math_mode ? t->math_mode : "", "first", first, "warmup", warm, "stats", stats);
}

static bool put_timing(FILE *f, const od_bench *b, const od_bench_side *s, enum od_bench_work work, od_error *e) {
    od_summary t;
    char mode[256];
    if (od_summary_make(&t, s->seconds[work], b->n_pair * b->per_pair[work], e) != OD_OK) return false;
    od_bench_mode(mode, sizeof mode, &s->options);
    return put(f, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "type", "timing", "side",
                            s->name, "engine", s->api->name, "mode", mode, "work", od_bench_work_name(work), "n",
                            (json_int_t)t.n, "p50_ms", ms * t.p50, "p95_ms", ms * t.p95, "p99_ms", ms * t.p99, "min_ms",
                            ms * t.min, "max_ms", ms * t.max, "mean_ms", ms * t.mean));
}

static bool put_ratio(FILE *f, const od_bench *b, enum od_bench_work work, od_error *e) {
    od_ratio r;
    if (od_ratio_make(&r, b->side[0].seconds[work], b->side[1].seconds[work], b->n_pair, b->per_pair[work], SEED, e) !=
        OD_OK)
        return false;
    return put(f, json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:I}", "type", "ratio", "work",
                            od_bench_work_name(work), "of", b->side[0].name, "to", b->side[1].name, "ratio", r.ratio,
                            "low", r.low, "high", r.high, "pairs", (json_int_t)r.n_pair));
}

static bool put_all(FILE *f, const od_bench *b, od_error *e) {
    bool ok = put(f, header(b));
    for (size_t i = 0; ok && i < b->n_side; i++) ok = put(f, side_json(&b->side[i]));
    for (size_t w = 0; ok && w < OD_BENCH_WORKS; w++) {
        if (b->per_pair[w] == 0) continue;
        for (size_t i = 0; ok && i < b->n_side; i++) ok = put_timing(f, b, &b->side[i], w, e);
        if (ok && b->n_side == 2) ok = put_ratio(f, b, w, e);
    }
    json_t *load = b->load.n == 0
                       ? json_pack("{s:b}", "read", 0)
                       : json_pack("{s:b, s:s, s:I, s:f, s:f}", "read", 1, "source", "NVML utilization.gpu", "samples",
                                   (json_int_t)b->load.n, "mean", b->load.mean, "max", b->load.max);
    return ok && put(f, json_pack("{s:s, s:o, s:o}", "type", "end", "card", card_json(&b->after), "gpu_load", load));
}

enum od_status od_bench_write(const od_bench *b, const char *path, od_error *e) {
    FILE *f = fopen(path, "w");
    if (!f) return od_fail(e, OD_IO, "%s: %s", path, strerror(errno));
    bool ok = put_all(f, b, e);
    if (od_stream_close(f) && ok) return OD_OK;
    return e->status != OD_OK ? e->status : od_fail(e, OD_IO, "%s: could not be written", path);
}
