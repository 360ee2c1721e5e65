/* shrink: the smallest case with the same finding, and the nearest one that passes. The state is a file: the smallest
 * case so far, written with every step, from which the same command goes on. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "model/file.h"
#include "oracles/cli/cli.h"
#include "oracles/finding.h"
#include "oracles/shrink.h"
#include "oracles/signature.h"

enum { LEAST_RUNS = 4 }; /* two for the first candidate, one for the passing neighbour, one of those to spare */

static volatile sig_atomic_t stopped;

static void stop(int signal_number) {
    stopped = 1;
}

/* A command's work. */
typedef struct work {
    const od_args *args;
    od_batch *batch;
    od_environment env;
    od_case given, start; /* as read and prepared; what the search begins with */
    od_shrink result;
    char signature[OD_CASE_TEXT];
    char path[OD_CASE_PATH], passes_path[OD_CASE_PATH]; /* the two files */
    const od_shrink_move *move;                         /* kept steps that are not yet printed; NULL: none */
    od_case before, after;
    enum od_status status; /* of writing the state */
    od_error error;
} work;

/* ---- in words ---------------------------------------------------------------------------------------------------- */

static void put_number(FILE *f, const char *name, double a, double b) {
    if (a != b) fprintf(f, ", %s %.15g -> %.15g", name, a, b);
}

static void put_text(FILE *f, const char *name, const char *a, const char *b) {
    if (strcmp(a, b) != 0) fprintf(f, ", %s %s -> %s", name, a, b);
}

static const char *kinds(const od_shrink_size *s) {
    return s->time && s->space ? "time, space" : s->time ? "time" : "space";
}

static void put_model(FILE *f, const od_config *a, const od_config *b) {
    put_number(f, "heads", (double)a->n_head, (double)b->n_head);
    put_number(f, "MLP width", (double)a->d_mlp, (double)b->d_mlp);
    put_number(f, "patch size", (double)a->patch, (double)b->patch);
    put_text(f, "head", a->mixture ? "mixture" : "one Student-T", b->mixture ? "mixture" : "one Student-T");
    put_number(f, "components", (double)a->n_component, (double)b->n_component);
    put_text(f, "scaler", od_scaler_name(a->scaler), od_scaler_name(b->scaler));
    put_text(f, "clamp", a->stabilize ? "on" : "off", b->stabilize ? "on" : "off");
    put_text(f, "xPos centre", od_xpos_name(a->xpos), od_xpos_name(b->xpos));
}

static void put_series(FILE *f, const od_case *a, const od_case *b) {
    put_text(f, "values", od_generator_name(a->generator), od_generator_name(b->generator));
    put_number(f, "scale", a->scale, b->scale);
    put_number(f, "missing", a->missing, b->missing);
    put_number(f, "padding", a->left_padding, b->left_padding);
    put_number(f, "padded variate", a->padded_variate, b->padded_variate);
    put_text(f, "groups", a->n_group ? "several" : "one", b->n_group ? "several" : "one");
    put_number(f, "gain", a->gain, b->gain);
    put_number(f, "weight seed", (double)a->weight_seed, (double)b->weight_seed);
    put_number(f, "series seed", (double)a->series_seed, (double)b->series_seed);
}

static unsigned own_decodes(const od_case *c) {
    unsigned n = 0;
    for (unsigned i = 0; i < c->n_op; i++) n += c->op[i].kind == OD_OP_DECODE && c->op[i].own;
    return n;
}

/* What differs from a to b, in one line without its end. */
static void put_difference(FILE *f, const od_case *a, const od_case *b) {
    char *text = NULL, of_a[64], of_b[64];
    size_t size;
    od_shrink_size x = od_shrink_measure(a), y = od_shrink_measure(b);
    FILE *line = open_memstream(&text, &size);
    if (!line) return;
    put_number(line, "entries", (double)x.entries, (double)y.entries);
    put_number(line, "sessions", (double)x.sessions, (double)y.sessions);
    put_number(line, "batch", (double)x.batch, (double)y.batch);
    put_number(line, "variates", (double)x.variates, (double)y.variates);
    put_number(line, "patches", (double)x.patches, (double)y.patches);
    put_number(line, "free-running decodes", own_decodes(a), own_decodes(b));
    put_number(line, "layers", (double)x.layers, (double)y.layers);
    put_text(line, "kinds", kinds(&x), kinds(&y));
    put_number(line, "width", (double)x.width, (double)y.width);
    put_model(line, &a->config, &b->config);
    put_series(line, a, b);
    for (size_t i = 0; od_options_name(i); i++)
        put_text(line, od_options_name(i), od_options_value(&a->options, i, of_a, sizeof of_a),
                 od_options_value(&b->options, i, of_b, sizeof of_b));
    if (od_text_close(line, &text)) fputs(size > 2 ? text + 2 : "lengths within the schedule", f);
    free(text);
}

static bool print_sizes(const od_case *before, const od_case *after) {
    static const char *const columns[] = {"",        "ENTRIES", "SESSIONS", "BATCH", "VARIATES",
                                          "PATCHES", "LAYERS",  "KINDS",    "WIDTH"};
    enum { N = sizeof columns / sizeof columns[0] };
    char text[2][N][24];
    const char *cells[2 * N];
    for (int row = 0; row < 2; row++) {
        od_shrink_size s = od_shrink_measure(row ? after : before);
        const size_t numbers[] = {0, s.entries, s.sessions, s.batch, s.variates, s.patches, s.layers, 0, s.width};
        for (int i = 0; i < N; i++) {
            snprintf(text[row][i], sizeof text[row][i], "%zu", numbers[i]);
            cells[row * N + i] = text[row][i];
        }
        cells[row * N] = row ? "shrunk" : "given";
        cells[row * N + 7] = kinds(&s);
    }
    return od_grid_print(columns, N, 0x17e, cells, 2);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* DIR/shrunk/<XXH64 of signature>-<XXH64 of the given case>.json: the name of the finding's own file. */
static enum od_status name_files(work *w, uint64_t hash, od_error *e) {
    char folder[OD_CASE_PATH];
    const char *out = w->args->out ? w->args->out : "out";
    int n = snprintf(folder, sizeof folder, "%s/shrunk", out);
    if (n < 0 || (size_t)n + 64 >= sizeof folder) return od_fail(e, OD_BAD_INPUT, "--out %.200s…: is too long", out);
    snprintf(w->path, sizeof w->path, "%.440s/%016llx-%016llx.json", folder,
             (unsigned long long)XXH64(w->signature, strlen(w->signature), 0), (unsigned long long)hash);
    snprintf(w->passes_path, sizeof w->passes_path, "%.*s-passes.json", (int)strlen(w->path) - 5, w->path);
    return od_make_folder(folder, e);
}

static enum od_status write_best(work *w, const od_case *c, const od_ruling *r, od_error *e) {
    static od_case found;
    found = *c;
    const char *pair = strrchr(r->signature, '/');
    snprintf(found.note, sizeof found.note, "shrunk from %016llx", (unsigned long long)od_case_hash(&w->given));
    snprintf(found.found_verdict, sizeof found.found_verdict, "%s", od_outcome_name(OD_FINDING));
    snprintf(found.found_signature, sizeof found.found_signature, "%s", r->signature);
    snprintf(found.found_pair, sizeof found.found_pair, "%s", pair ? pair + 1 : "");
    snprintf(found.found_environment, sizeof found.found_environment, "%s", w->env.line);
    found.found_value = r->value;
    found.found_bound = r->bound;
    return od_case_write(&found, w->path, e);
}

static enum od_status write_passes(work *w, od_error *e) {
    od_shrink *r = &w->result;
    if (!r->has_passes) {
        if (unlink(w->passes_path) != 0 && errno != ENOENT) /* of an earlier search */
            return od_fail(e, OD_IO, "%s: cannot be removed: %s", w->passes_path, strerror(errno));
        return OD_OK;
    }
    snprintf(r->passes.note, sizeof r->passes.note, "passes, next to the case shrunk from %016llx",
             (unsigned long long)od_case_hash(&w->given));
    return od_case_write(&r->passes, w->passes_path, e);
}

/* ---- the search -------------------------------------------------------------------------------------------------- */

static void print_kept(work *w) {
    if (!w->move) return;
    if (!w->args->quiet) {
        printf("  %-13s ", w->move->name);
        put_difference(stdout, &w->before, &w->after);
        printf("\n");
    }
    w->move = NULL;
}

static bool pin(od_case *c, void *arg) {
    const work *w = arg;
    return od_batch_prepare(w->batch, c, NULL) == OD_OK;
}

static bool step(const od_shrink_step *s, void *arg) {
    work *w = arg;
    bool progress = !w->args->quiet && isatty(STDERR_FILENO);
    if (progress) fprintf(stderr, "\r\033[K%u of at most %llu runs", s->runs, (unsigned long long)w->args->runs);
    if (!s->ruling) return !stopped;
    if (progress) fputs("\r\033[K", stderr);
    if (w->move != s->move) {
        print_kept(w);
        w->before = *s->before;
    }
    w->move = s->move;
    w->after = *s->after;
    w->status = write_best(w, s->after, s->ruling, &w->error);
    return !stopped && w->status == OD_OK;
}

/* Where an earlier search left off, if its file is there and about this finding. */
static bool goes_on(work *w) {
    if (access(w->path, R_OK) != 0 || od_case_read(&w->start, w->path, NULL) != OD_OK) return false;
    if (!od_signature_same_kind(w->start.found_signature, w->signature)) return false;
    if (od_batch_prepare(w->batch, &w->start, NULL) != OD_OK) return false;
    if (!w->start.model_folder[0]) return true;
    enum od_xpos_center xpos = w->start.config.xpos;
    w->start.config = w->given.config; /* the folder was read with the given case */
    w->start.config.xpos = xpos;
    return true;
}

static enum od_status search(work *w, od_error *e) {
    od_judge *j = od_batch_judge(w->batch);
    od_shrink_options o = {.runs = (unsigned)w->args->runs, .arg = w, .pin = pin, .step = step};
    bool again = goes_on(w);
    if (again && !w->args->quiet) printf("goes on from %s\n", w->path);
    if (!again) w->start = w->given;
    enum od_status s = od_shrink_case(&w->result, j, &w->start, w->signature, &o, e);
    if (s == OD_OK && again && w->result.end == OD_SHRINK_LOST)
        s = od_shrink_case(&w->result, j, &w->given, w->signature, &o, e);
    print_kept(w);
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    if (s == OD_OK && w->status != OD_OK) {
        *e = w->error;
        s = w->status;
    }
    return s;
}

static void print_end(const work *w) {
    const od_shrink *r = &w->result;
    static const char *const ends[] = {"", "no single move is left that shows it", "the limit is reached",
                                       "interrupted"};
    printf("%u runs, %u steps kept: %s%s\n", r->runs, r->taken, ends[r->end],
           r->end == OD_SHRINK_MINIMAL ? "" : " (the same command goes on from here)");
    if (!print_sizes(&w->given, &r->best)) fprintf(stderr, "oracle-diff: no memory for the table\n");
    printf("shrunk: %s\n", w->path);
    if (!r->has_passes) {
        printf("no candidate one move away passes\n");
        return;
    }
    printf("passes: %s (", w->passes_path);
    put_difference(stdout, &r->best, &r->passes);
    printf(")\n");
}

/* Searches, judges the result as `run` would, writes both files. */
static enum od_status shrink(work *w, const od_verdict *first, od_error *e) {
    if (!w->args->quiet) printf("finding: %s\n", w->signature);
    if (!od_case_in_domain(&w->given))
        printf("outside the contract's domain: rounding alone may cause it, in the given case and in smaller ones\n");
    enum od_status s = name_files(w, first->hash, e);
    if (s == OD_OK) s = search(w, e);
    if (s != OD_OK) return s;
    if (w->result.end == OD_SHRINK_LOST) {
        printf("flaky: the finding came once and not again; nothing is written\n");
        return OD_OK;
    }
    s = od_batch_case(w->batch, &w->result.best, w->path, e);
    if (s != OD_OK) return s;
    const od_ruling *r = od_verdict_of_kind(od_batch_verdict(w->batch), w->signature);
    if (r) s = write_best(w, &w->result.best, r, e);
    if (s == OD_OK) s = write_passes(w, e);
    if (s != OD_OK) return s;
    if (!r) printf("flaky: the finding did not come when the result was judged once more\n");
    print_end(w);
    return OD_OK;
}

/* The signature to hold on to: the file's own where it came, else what did come. False: there is none. */
static bool choose_signature(work *w, const od_verdict *v) {
    const char *said = w->given.found_signature;
    const od_ruling *r = od_verdict_of_kind(v, said);
    if (!r) r = od_verdict_of_kind(v, v->signature);
    if (!r) return false;
    if (said[0] && !od_signature_same_kind(said, r->signature)) printf("the file's finding did not come: %s\n", said);
    snprintf(w->signature, sizeof w->signature, "%s", r->signature);
    return true;
}

static enum od_status begin(work *w, const od_args *own, od_error *e) {
    const od_args *a = w->args;
    if (a->n_rest != 1) return od_fail(e, OD_BAD_INPUT, "shrink: takes the path of one case");
    if (a->runs < LEAST_RUNS || a->runs > OD_SHRINK_MAX_RUNS)
        return od_fail(e, OD_BAD_INPUT, "--runs %llu: a whole number from %d to %d would be right",
                       (unsigned long long)a->runs, LEAST_RUNS, OD_SHRINK_MAX_RUNS);
    enum od_status s = od_batch_create(&w->batch, own, false, e);
    if (s == OD_OK) s = od_case_read(&w->given, a->rest[0], e);
    if (s == OD_OK) s = od_batch_prepare(w->batch, &w->given, e);
    if (s == OD_OK) s = od_cli_writable(a->out ? a->out : "out", true, e);
    return s == OD_OK ? od_batch_begin(w->batch, e) : s;
}

static int run(const od_args *args) {
    static work w;
    static od_verdict first;
    od_error e = {0};
    od_args own = *args;
    own.out = NULL; /* the result has a folder of its own */
    w.args = args;
    od_environment_fill(&w.env);
    enum od_status s = begin(&w, &own, &e);
    if (s != OD_OK) {
        od_batch_destroy(w.batch);
        return od_complain(&e);
    }
    struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    od_judge_case(&first, od_batch_judge(w.batch), &w.given);
    bool found = choose_signature(&w, &first);
    if (od_signature_needs_weights(w.signature)) od_batch_judge(w.batch)->weights = true;
    if (!od_signature_needs_process(w.signature)) od_batch_judge(w.batch)->setup.process = NULL;
    if (found)
        s = shrink(&w, &first, &e);
    else
        s = od_batch_case(w.batch, &w.given, args->rest[0], &e);
    if (!found && first.outcome == OD_FINDING) printf("not shrunk: a finding that is missed has no smaller case\n");
    int code = od_batch_end(w.batch, stopped);
    if (found && code != OD_EXIT_FINDING) {
        printf("exit 1: the finding was seen, if only once\n");
        code = OD_EXIT_FINDING;
    }
    if (s != OD_OK) {
        int failed = od_complain(&e);
        if (code != OD_EXIT_FINDING) code = failed;
    }
    od_batch_destroy(w.batch);
    return code;
}

static const struct argp_option options[] = {
    {"runs", OD_KEY_RUNS, "N", 0, "Judge at most so many candidates (default 500)", 0}, {0}};

const od_command od_cmd_shrink = {.name = "shrink",
                                  .usage = "CASE",
                                  .about = "Make a case with a finding smaller; the result goes to --out (default out)",
                                  .options = options,
                                  .common = true,
                                  .run = run};
