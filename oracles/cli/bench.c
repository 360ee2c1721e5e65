/* bench: how long the same work takes on two engines, or on two settings of one, in turn. It measures and judges
 * nothing: whether a fast path is too slow is the oracle `speed`'s to say. */
#include "oracles/cli/bench.h"

#include <stdlib.h>
#include <string.h>

#include "oracles/evidence.h"

enum { COLUMNS = 9, MAX_ROWS = 2 * OD_BENCH_WORKS, CELL = 40, SEED = 1 };

const char *od_bench_work_name(enum od_bench_work work) {
    static const char *const names[] = {"prefill", "decode", "rollout"};
    return names[work];
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static enum od_status switches(od_options *options, const char *const *set, size_t n, const char *what, od_error *e) {
    *options = od_options_default();
    for (size_t i = 0; i < n; i++)
        if (od_options_set(options, set[i], e) != OD_OK) return od_error_prefix(e, "%s", what);
    return OD_OK;
}

static enum od_status check_arguments(const od_args *a, od_error *e) {
    if (a->n_rest > 0) return od_fail(e, OD_BAD_INPUT, "bench: '%.200s' is one word too many", a->rest[0]);
    if (a->preset && a->model) return od_fail(e, OD_BAD_INPUT, "--preset or --model, not both");
    if (a->only_fast && (a->ref || a->n_ref_set > 0))
        return od_fail(e, OD_BAD_INPUT, "--only-fast leaves the reference out: --ref and --ref-set do not fit it");
    if (a->head && strcmp(a->head, "all") != 0 && strcmp(a->head, "last") != 0)
        return od_fail(e, OD_BAD_INPUT, "--head %.60s: all or last would be right", a->head);
    if (a->batch == 0 || a->variates == 0 || a->pairs == 0 || (a->has_context && a->context == 0))
        return od_fail(e, OD_BAD_INPUT, "--batch, --variates, --context and --pairs must be at least 1");
    return a->json ? od_cli_writable(a->json, false, e) : OD_OK;
}

static enum od_status choose_engines(od_bench *b, od_error *e) {
    const od_args *a = b->args;
    od_args asked = *a;
    const od_engine_api *fast = NULL, *ref = NULL;
    double start = od_seconds();
    enum od_status s = od_cli_pair(&ref, &fast, b->why, sizeof b->why, &asked, e);
    b->probe_seconds = od_seconds() - start;
    b->side[0] = (od_bench_side){.name = "fast", .api = fast};
    b->side[1] = (od_bench_side){.name = "ref", .api = ref};
    b->n_side = a->only_fast ? 1 : 2;
    if (s == OD_OK) s = switches(&b->side[0].options, a->set, a->n_set, "--set", e);
    if (s == OD_OK) s = switches(&b->side[1].options, a->ref_set, a->n_ref_set, "--ref-set", e);
    for (size_t i = 0; i < b->n_side; i++) b->side[i].options.last_head = a->head && strcmp(a->head, "last") == 0;
    return s;
}

static enum od_status make_model(od_bench *b, od_error *e) {
    const od_args *a = b->args;
    const char *preset = a->preset ? a->preset : "seed-tiny";
    char warning[256] = "";
    od_config config;
    enum od_status s;
    double start = od_seconds();
    if (a->model) {
        s = od_model_load(&b->model, a->model, OD_XPOS_CALL, warning, sizeof warning, e);
        snprintf(b->model_name, sizeof b->model_name, "%s", a->model);
    } else {
        s = od_config_preset(&config, preset, e);
        if (s == OD_OK) s = od_model_create(&b->model, &config, e);
        if (s == OD_OK) od_model_generate(b->model, SEED, 1, 1);
        snprintf(b->model_name, sizeof b->model_name, "%s", preset);
    }
    b->model_seconds = od_seconds() - start;
    if (warning[0]) fprintf(stderr, "oracle-diff: warning: %s\n", warning);
    return s;
}

static enum od_status make_work(od_bench *b, od_error *e) {
    const od_args *a = b->args;
    b->batch = a->batch;
    b->variates = a->variates;
    b->steps = a->steps;
    b->rollout = a->rollout;
    b->n_pair = a->pairs;
    b->context = a->has_context ? a->context : 16 * b->model->config.patch;
    enum od_status s = od_series_alloc(&b->series, b->batch, b->variates, b->context, e);
    if (s == OD_OK) od_series_generate(&b->series, OD_GEN_SEASON, SEED, 1);
    return s;
}

/* ---- what is printed --------------------------------------------------------------------------------------------- */

static void print_head(const od_bench *b) {
    char mode[256];
    printf("%s, %s: batch %zu, variates %zu, context %zu; %zu pairs of a prefill and %zu decode steps",
           b->environment.line, b->model_name, b->batch, b->variates, b->context, b->n_pair, b->steps);
    if (b->rollout) printf(", and a rollout of %zu steps", b->rollout);
    printf("\n");
    for (size_t i = 0; i < b->n_side; i++) {
        od_bench_mode(mode, sizeof mode, &b->side[i].options);
        printf("%-4s %s: %s%s%s%s\n", b->side[i].name, b->side[i].api->name, mode, i == 0 ? " (" : "",
               i == 0 ? b->why : "", i == 0 ? ")" : "");
    }
    fflush(stdout);
}

static enum od_status print_timings(const od_bench *b, od_error *e) {
    static const char *const columns[] = {"WORK",   "SIDE",   "ENGINE", "N",       "P50 ms",
                                          "P95 ms", "P99 ms", "MIN ms", "FIRST ms"};
    static char text[MAX_ROWS][COLUMNS][CELL];
    const char *cells[MAX_ROWS * COLUMNS];
    size_t row = 0;
    for (size_t w = 0; w < OD_BENCH_WORKS; w++)
        for (size_t i = 0; i < b->n_side && b->per_pair[w]; i++, row++) {
            const od_bench_side *s = &b->side[i];
            od_summary t;
            if (od_summary_make(&t, s->seconds[w], b->n_pair * b->per_pair[w], e) != OD_OK) return e->status;
            const double first = w == OD_BENCH_PREFILL ? s->first.prefill : s->first.decode;
            const double value[] = {t.p50, t.p95, t.p99, t.min, first};
            snprintf(text[row][0], CELL, "%s", od_bench_work_name(w));
            snprintf(text[row][1], CELL, "%s", s->name);
            snprintf(text[row][2], CELL, "%s", s->api->name);
            snprintf(text[row][3], CELL, "%zu", t.n);
            for (size_t k = 0; k < 5; k++) snprintf(text[row][4 + k], CELL, "%.4g", 1e3 * value[k]);
            if (w == OD_BENCH_ROLLOUT) text[row][8][0] = '\0';
            for (size_t k = 0; k < COLUMNS; k++) cells[row * COLUMNS + k] = text[row][k];
        }
    if (!od_grid_print(columns, COLUMNS, 0x1f8, cells, row)) return od_fail(e, OD_NO_MEMORY, "no memory for a table");
    return OD_OK;
}

static enum od_status print_ratios(const od_bench *b, od_error *e) {
    for (size_t w = 0; w < OD_BENCH_WORKS && b->n_side == 2; w++) {
        od_ratio r;
        if (b->per_pair[w] == 0) continue;
        if (od_ratio_make(&r, b->side[0].seconds[w], b->side[1].seconds[w], b->n_pair, b->per_pair[w], SEED, e) !=
            OD_OK)
            return e->status;
        printf("%-8s fast/ref %.4g (%.4g to %.4g, 95 %% of resampled pairs): the fast path is %.3g times as fast\n",
               od_bench_work_name(w), r.ratio, r.low, r.high, 1 / r.ratio);
    }
    return OD_OK;
}

static void print_rest(const od_bench *b) {
    for (size_t i = 0; i < b->n_side; i++) {
        const od_bench_side *s = &b->side[i];
        const od_bench_first *f = &s->first;
        const od_stats *t = &s->stats;
        printf("%-4s first: create %.4g ms, open %.4g, prefill %.4g, decode %.4g", s->name, 1e3 * f->create,
               1e3 * f->open, 1e3 * f->prefill, 1e3 * f->decode);
        if (f->further)
            printf("; a further bucket (context %zu) %.4g, then %.4g", f->further_context, 1e3 * f->further_first,
                   1e3 * f->further_again);
        printf(". Warm-up: %zu turns, %.4g ms\n", s->warm_turns, 1e3 * s->warm_seconds);
        printf("     after: %s, %s; captures %llu, replays %llu, launches %llu, fallbacks %llu; device bytes %zu, peak "
               "%zu\n",
               t->device ? t->device : "?", t->math_mode ? t->math_mode : "?", (unsigned long long)t->captures,
               (unsigned long long)t->replays, (unsigned long long)t->launches, (unsigned long long)t->fallbacks,
               t->device_live, t->device_peak);
    }
    if (b->before.read)
        printf("card: %s, driver %s, CUDA %s; SM %u MHz before, %u after (of %u), memory %u MHz, %u C; load %.0f %% "
               "(NVML, "
               "%zu samples, most %.0f %%)\n",
               b->before.name, b->before.driver, b->before.cuda, b->before.sm_mhz, b->after.sm_mhz, b->after.sm_max_mhz,
               b->after.memory_mhz, b->after.temperature, b->load.mean, b->load.n, b->load.max);
    else
        printf("card: not read (%s)\n", b->before.why);
    printf("probe %.4g ms, weights %.4g ms\n", 1e3 * b->probe_seconds, 1e3 * b->model_seconds);
}

static int run(const od_args *a) {
    static od_bench b;
    od_error e = {0};
    b = (od_bench){.args = a};
    od_environment_fill(&b.environment);
    enum od_status s = check_arguments(a, &e);
    if (s == OD_OK) s = choose_engines(&b, &e);
    if (s == OD_OK) s = make_model(&b, &e);
    if (s == OD_OK) s = make_work(&b, &e);
    if (s == OD_OK && !a->quiet) print_head(&b);
    if (s == OD_OK) s = od_bench_measure(&b, &e);
    if (s == OD_OK) s = print_timings(&b, &e);
    if (s == OD_OK) s = print_ratios(&b, &e);
    if (s == OD_OK && !a->quiet) print_rest(&b);
    if (s == OD_OK && a->json) s = od_bench_write(&b, a->json, &e);
    od_bench_close(&b);
    return s == OD_OK ? OD_EXIT_PASS : od_complain(&e);
}

static const struct argp_option options[] = {
    {"ref", OD_KEY_REF, "ENGINE", 0, "Reference engine (default ref)", 0},
    {"fast", OD_KEY_FAST, "ENGINE", 0, "Fast path (default gpu where a device is found, else twin)", 0},
    {"only-fast", OD_KEY_ONLY_FAST, 0, 0, "Time the fast path alone", 0},
    {"set", OD_KEY_SET, "NAME=VALUE", 0, "A switch of the fast path; `list` shows them. Repeatable", 0},
    {"ref-set", OD_KEY_REF_SET, "NAME=VALUE", 0, "A switch of the reference. Repeatable", 0},
    {"preset", OD_KEY_PRESET, "NAME", 0, "Generated weights of this shape (default seed-tiny)", 1},
    {"model", OD_KEY_MODEL, "DIR", 0, "Weights of config.json and model.safetensors", 1},
    {"batch", OD_KEY_BATCH, "N", 0, "Batch (default 1)", 1},
    {"variates", OD_KEY_VARIATES, "N", 0, "Variates (default 1)", 1},
    {"context", OD_KEY_CONTEXT, "T", 0, "Steps of context (default 16 patches)", 1},
    {"steps", OD_KEY_STEPS, "N", 0, "Decode steps (patches) behind each prefill (default 8)", 1},
    {"rollout", OD_KEY_ROLLOUT, "N", 0, "Time forecasts of N raw steps as one as well (default 0: none)", 1},
    {"head", OD_KEY_HEAD, "WHICH", 0, "Patches that a prefill answers for: all (default) or last", 1},
    {"pairs", OD_KEY_PAIRS, "N", 0, "Turns of either side (default 30)", 2},
    {"json", OD_KEY_JSON, "FILE", 0, "Results as JSON Lines (bench/bench.schema.json)", 2},
    {"quiet", OD_KEY_QUIET, 0, 0, "Print timings and ratios only", 2},
    {0}};

const od_command od_cmd_bench = {.name = "bench",
                                 .usage = "",
                                 .about = "Time the same work on two engines, in turn",
                                 .options = options,
                                 .run = run};
