/* calibrate: healthy cases → an envelope (docs/envelope.md). */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oracles/calibration.h"
#include "oracles/cli/cli.h"
#include "oracles/tolerance.h"

enum { DEFAULT_CASES = 20000, MAX_CASES = 1000000, COLUMNS = 9 };

static volatile sig_atomic_t stopped;

static void stop(int signal_number) {
    stopped = 1;
}

typedef struct work {
    const od_args *args;
    od_batch *batch;
    od_judge *judge;
    od_calibration calibration;
    od_envelope envelope;
    od_verdict verdict;
    od_case c;
    size_t left_out; /* SKIPPED or KNOWN */
    bool unhealthy;  /* the error is a finding: exit 1 */
} work;

/* Judges w->c by the contract and keeps its comparisons. A finding ends it: what is broken has no envelope. */
static enum od_status take(work *w, const char *name, od_error *e) {
    od_verdict *v = &w->verdict;
    enum od_status s = od_batch_prepare(w->batch, &w->c, e);
    if (s != OD_OK) return s;
    od_judge_case(v, w->judge, &w->c);
    switch (v->outcome) {
    case OD_PASS: return od_calibration_add(&w->calibration, v->evidence, e);
    case OD_SKIPPED:
    case OD_KNOWN: w->left_out++; return OD_OK;
    case OD_ERROR: return od_fail(e, v->bad_input ? OD_BAD_INPUT : OD_IO, "%s: %.300s", name, v->reason);
    default:
        w->unhealthy = true;
        return od_fail(e, OD_BAD_INPUT,
                       "%.200s: %s, %.150s: only healthy engines have an envelope; nothing was written", name,
                       od_outcome_name(v->outcome), v->signature[0] ? v->signature : v->reason);
    }
}

static void show_progress(const work *w, const char *name) {
    if (w->args->quiet || !isatty(STDERR_FILENO) || w->calibration.cases % 64) return;
    fprintf(stderr, "\r\033[K%zu cases: %s", w->calibration.cases, name);
}

static enum od_status take_generated(work *w, enum od_profile profile, const char *profile_name, od_error *e) {
    const od_args *a = w->args;
    const uint64_t n = a->has_cases ? a->cases : DEFAULT_CASES;
    enum od_status s = OD_OK;
    for (uint64_t i = 0; s == OD_OK && i < n && !stopped; i++) {
        char name[128];
        snprintf(name, sizeof name, "seed %llu index %llu profile %s", (unsigned long long)a->seed,
                 (unsigned long long)i, profile_name);
        od_case_generate(&w->c, a->seed, i, profile);
        show_progress(w, name);
        s = take(w, name, e);
    }
    return s;
}

static enum od_status take_files(work *w, od_error *e) {
    od_path_list list = {0};
    enum od_status s = OD_OK;
    for (size_t i = 0; s == OD_OK && i < w->args->n_rest; i++) {
        const char *path = w->args->rest[i];
        struct stat st;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            s = od_cli_collect(&list, path, e);
            continue;
        }
        s = od_case_read(&w->c, path, e);
        if (s == OD_OK) s = take(w, path, e);
    }
    for (size_t i = 0; s == OD_OK && i < list.n && !stopped; i++) {
        show_progress(w, list.path[i]);
        s = od_case_read(&w->c, list.path[i], e);
        if (s == OD_OK) s = take(w, list.path[i], e);
    }
    od_path_list_free(&list);
    return s;
}

static enum od_status check_usage(const od_args *a, od_error *e) {
    enum od_profile unused;
    if (a->n_rest > 0 && (a->has_cases || a->has_seed || a->profile))
        return od_fail(e, OD_BAD_INPUT, "calibrate: either cases, or --cases, --seed and --profile");
    if (a->has_cases && (a->cases == 0 || a->cases > MAX_CASES))
        return od_fail(e, OD_BAD_INPUT, "--cases %llu: 1 to %d would be right", (unsigned long long)a->cases,
                       MAX_CASES);
    enum od_status s = a->profile ? od_profile_parse(&unused, a->profile, e) : OD_OK;
    return s == OD_OK && a->out ? od_cli_writable(a->out, false, e) : s;
}

/* Cases named, or --cases of one profile, or of each. */
static enum od_status gather(work *w, od_error *e) {
    const od_args *a = w->args;
    enum od_profile profile = OD_PROFILE_DEFAULT;
    if (a->n_rest > 0) return take_files(w, e);
    if (a->profile) {
        enum od_status s = od_profile_parse(&profile, a->profile, e);
        return s == OD_OK ? take_generated(w, profile, a->profile, e) : s;
    }
    enum od_status s = take_generated(w, OD_PROFILE_RATE, "rate", e);
    return s == OD_OK ? take_generated(w, OD_PROFILE_DEFAULT, "default", e) : s;
}

static enum od_status describe(work *w, od_error *e) {
    od_envelope *x = &w->envelope;
    const od_setup *setup = &w->judge->setup;
    od_environment env;
    char command[2048] = "oracle-diff";
    enum od_status s =
        od_cli_device(x->ref_device, sizeof x->ref_device, x->ref_math, sizeof x->ref_math, setup->ref, e);
    if (s == OD_OK)
        s = od_cli_device(x->fast_device, sizeof x->fast_device, x->fast_math, sizeof x->fast_math, setup->fast, e);
    od_environment_fill(&env);
    snprintf(x->pair, sizeof x->pair, "%.20s:%.20s", setup->ref->name, setup->fast->name);
    snprintf(x->version, sizeof x->version, "oracle-diff %.15s", OD_VERSION);
    snprintf(x->time, sizeof x->time, "%.31s", env.time);
    for (int i = 1; i < w->args->argc; i++) od_append_word(command, sizeof command, w->args->argv[i]);
    snprintf(x->command, sizeof x->command, "%.500s", command);
    return s;
}

/* ---- table ------------------------------------------------------------------------------------------------------- */

static char *figure(const char *format, double x) {
    char *text = NULL;
    return asprintf(&text, format, x) < 0 ? NULL : text;
}

static void fill(const char **cell, const od_envelope *x, int cls, int step, unsigned size) {
    const od_envelope_key *k = &x->key[cls][step][size];
    size_t lo, hi;
    char *values = NULL;
    od_envelope_range(&lo, &hi, size);
    if (asprintf(&values, hi ? "%zu-%zu" : "%zu-", lo, hi) < 0) values = NULL;
    const od_envelope_bound b = od_envelope_bound_of(x, (enum od_tensor_class)cls, (enum od_step_class)step, lo);
    cell[0] = figure(od_tensor_class_name((enum od_tensor_class)cls), 0);
    cell[1] = figure(od_step_class_name((enum od_step_class)step), 0);
    cell[2] = values;
    cell[3] = figure("%.0f", (double)k->n);
    cell[4] = figure("%.2e", k->mae_p50);
    cell[5] = figure("%.2e", k->mae_p999);
    cell[6] = figure(b.mae_key == k ? "%.2e" : b.mae_key ? "%.2e (of fewer)" : "%.2e (contract)", b.mae);
    cell[7] = figure("%.0f", 100 * b.mae / od_bounds.mae);
    cell[8] = figure(b.max_key == k ? "%.2e" : b.max_key ? "%.2e (of more)" : "%.2e (contract)", b.max_abs);
}

static bool print_keys(const od_envelope *x) {
    static const char *const columns[COLUMNS] = {"CLASS", "STEP",  "VALUES",        "N",        "MAE P50",
                                                 "P99.9", "BOUND", "% OF CONTRACT", "ANY VALUE"};
    const char *cells[OD_TENSORS * OD_STEPS * OD_ENVELOPE_SIZES * COLUMNS] = {0};
    size_t n = 0;
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++)
            for (unsigned i = 0; i < OD_ENVELOPE_SIZES; i++)
                if (x->key[t][s][i].n) fill(&cells[COLUMNS * n++], x, t, s, i);
    const bool ok = od_grid_print(columns, COLUMNS, 0x1f8, cells, n);
    for (size_t i = 0; i < COLUMNS * n; i++) free((void *)(uintptr_t)cells[i]);
    return ok;
}

static enum od_status finish(work *w, od_error *e) {
    const od_args *a = w->args;
    size_t measured = 0;
    od_calibration_make(&w->envelope, &w->calibration);
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++)
            for (int i = 0; i < OD_ENVELOPE_SIZES; i++) measured += od_envelope_is_measured(&w->envelope.key[t][s][i]);
    if (measured == 0)
        return od_fail(e, OD_BAD_INPUT,
                       "calibrate: in %zu cases no kind of tensor was compared %zu times; more cases "
                       "would be right",
                       w->calibration.cases, od_bounds.envelope_least);
    if (!a->quiet && !print_keys(&w->envelope)) return od_fail(e, OD_NO_MEMORY, "no memory for a table");
    enum od_status s = describe(w, e);
    if (s == OD_OK && a->out) s = od_envelope_write(&w->envelope, a->out, e);
    if (s != OD_OK) return s;
    printf("%zu cases, %zu left out (skipped, known, or of a gain above %g); %zu keys have their percentile\n",
           w->calibration.cases, w->left_out + w->calibration.wide, od_bounds.envelope_gain, measured);
    printf("bounds: p99.9 times %g (MAE) and %g (any value), at least %g and %g, at most the contract\n",
           od_bounds.envelope_mae, od_bounds.envelope_max, od_bounds.envelope_mae_floor, od_bounds.envelope_max_floor);
    printf(a->out ? "written: %s\n" : "nothing is written without --out FILE%s\n", a->out ? a->out : "");
    return OD_OK;
}

static int run(const od_args *args) {
    od_error e = {0};
    char why[400];
    work *w = calloc(1, sizeof *w);
    enum od_status s = w ? OD_OK : od_fail(&e, OD_NO_MEMORY, "no memory for a calibration");
    const od_engine_api *ref, *fast;
    if (s == OD_OK) s = check_usage(args, &e);
    if (s == OD_OK) s = od_cli_pair(&ref, &fast, why, sizeof why, args, &e);
    if (s == OD_OK) s = od_batch_create(&w->batch, args, false, &e);
    if (s != OD_OK) goto out;
    w->args = args;
    w->judge = od_batch_judge(w->batch);
    w->judge->setup.oracles = 1u | od_oracle_bit(&od_oracle_accuracy) | od_oracle_bit(&od_oracle_finite);
    w->judge->setup.arbiter = NULL;
    w->judge->setup.measures = true;
    printf("%s against %s: %s\n", w->judge->setup.ref->name, w->judge->setup.fast->name, why);
    fflush(stdout);
    struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    s = gather(w, &e);
    if (!args->quiet && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    if (s == OD_OK && stopped)
        s = od_fail(&e, OD_IO, "calibrate: interrupted after %zu cases; nothing was written", w->calibration.cases);
    if (s == OD_OK) s = finish(w, &e);
out:;
    int code = s == OD_OK ? OD_EXIT_PASS : od_complain(&e);
    if (w && w->unhealthy) code = OD_EXIT_FINDING;
    if (w) {
        od_calibration_free(&w->calibration);
        od_batch_destroy(w->batch);
    }
    free(w);
    return code;
}

static const struct argp_option options[] = {
    {"cases", OD_KEY_CASES, "N", 0, "So many generated cases (default 20000) of the profile, or of each", 0},
    {"seed", OD_KEY_SEED, "S", 0, "Their seed (default 0)", 0},
    {"profile", OD_KEY_PROFILE, "NAME", 0, "default or rate (default: both)", 0},
    {"ref", OD_KEY_REF, "ENGINE", 0, "Reference engine (default ref)", 0},
    {"fast", OD_KEY_FAST, "ENGINE", 0, "Fast path (default gpu where a device is found, else twin)", 0},
    {"set", OD_KEY_SET, "NAME=VALUE", 0, "Put a switch over the cases' own; `list` shows them. Repeatable", 0},
    {"model", OD_KEY_MODEL, "DIR", 0, "Weights of config.json and model.safetensors instead of the cases' own", 0},
    {"out", OD_KEY_OUT, "FILE", 0, "The envelope (oracles/envelope.schema.json)", 0},
    {"quiet", OD_KEY_QUIET, 0, 0, "No table", 0},
    {0}};

const od_command od_cmd_calibrate = {.name = "calibrate",
                                     .usage = "[CASE|DIR…]",
                                     .about = "Measure how far healthy engines are apart, for --policy envelope",
                                     .options = options,
                                     .run = run};
