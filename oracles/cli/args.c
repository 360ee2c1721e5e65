/* Words of the command line → od_args, by argp; what argp would say in two lines and exit 64 is one line and exit 2. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/cli/cli.h"
#include "oracles/shrink.h"

/* bench's largest sizes; engines have their own limits as well. */
enum { MAX_BATCH = 65536, MAX_DECODES = 4096, MAX_PAIRS = 100000 };

static const struct argp_option common_options[] = {
    {"ref", OD_KEY_REF, "ENGINE", 0, "Reference engine (default ref); also ./FILE.so or exec:COMMAND", 10},
    {"fast", OD_KEY_FAST, "ENGINE", 0, "Fast path (default gpu where a device is found, else twin)", 10},
    {"set", OD_KEY_SET, "NAME=VALUE", 0, "Put a switch over the cases' own; `list` shows them. Repeatable", 10},
    {"model", OD_KEY_MODEL, "DIR", 0, "Weights of config.json and model.safetensors instead of the cases' own", 10},
    {"policy", OD_KEY_POLICY, "NAME", 0, "contract, or envelope: judge by the tighter of both (docs/envelope.md)", 10},
    {"envelope", OD_KEY_ENVELOPE, "FILE", 0, "The envelope, made by `calibrate` (default: built in, for ref:twin)", 10},
    {"only", OD_KEY_ONLY, "ORACLE", 0, "Ask this oracle, or one relation (consistency/batch). Repeatable", 10},
    {"require", OD_KEY_REQUIRE, "ORACLE", 0, "Exit 4 unless this oracle came to a verdict. Repeatable", 10},
    {"arbiter", OD_KEY_ARBITER, 0, 0,
     "Ask ref64 in every case: the fast path may be little farther from it than the reference", 10},
    {"known", OD_KEY_KNOWN, "FILE", 0, "Known issues: their findings are KNOWN until the day that each names", 10},
    {"weights", OD_KEY_WEIGHTS, 0, 0, "Change every weight tensor in turn, once a model class: is it read at all?", 10},
    {"isolate", OD_KEY_ISOLATE, 0, 0, "Engines run in workers: a crash or a hang is a finding and ends no run", 10},
    {"timeout", OD_KEY_TIMEOUT, "SECONDS", 0, "What a worker may take for one call (default 120)", 10},
    {"process", OD_KEY_PROCESS, "N", 0,
     "Play every N-th case also in a fresh process, bit by bit; 0: none (default 1; on a GPU 16; for fuzz 0)", 10},
    {"json", OD_KEY_JSON, "FILE", 0, "Results as JSON Lines (oracles/result.schema.json)", 11},
    {"junit", OD_KEY_JUNIT, "FILE", 0, "Results as JUnit XML", 11},
    {"quiet", OD_KEY_QUIET, 0, 0, "Print only what is no PASS", 11},
    {"out", OD_KEY_OUT, "DIR", 0, "Write findings into DIR/findings", 11},
    {0}};

static const struct argp_option help_option[] = {{"help", OD_KEY_HELP, 0, 0, "Print this", -1}, {0}};

/* What the parser functions share. */
typedef struct parsing {
    od_args *args;
    od_error *error;
    bool help, begun;
    size_t cap_rest;
    int at; /* index of the word behind the one that was refused */
} parsing;

static bool number(uint64_t *out, const char *name, const char *text, uint64_t max, od_error *e) {
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && n <= max) {
        *out = n;
        return true;
    }
    od_fail(e, OD_BAD_INPUT, "--%s %.100s: a whole number from 0 to %llu would be right", name, text,
            (unsigned long long)max);
    return false;
}

static bool positive(double *out, const char *name, const char *text, double max, od_error *e) {
    char *end;
    double x = strtod(text, &end);
    if (end != text && *end == '\0' && x > 0 && x <= max) {
        *out = x;
        return true;
    }
    od_fail(e, OD_BAD_INPUT, "--%s %.100s: a number above 0, at most %g, would be right", name, text, max);
    return false;
}

static bool append(const char **list, size_t *n, size_t max, const char *name, const char *word, od_error *e) {
    if (*n < max) {
        list[(*n)++] = word;
        return true;
    }
    od_fail(e, OD_BAD_INPUT, "--%s may stand %zu times at most", name, max);
    return false;
}

static bool append_rest(parsing *p, const char *word) {
    od_args *a = p->args;
    if (a->n_rest == p->cap_rest) {
        size_t cap = p->cap_rest ? p->cap_rest * 2 : 16;
        const char **rest = realloc(a->rest, cap * sizeof *rest);
        if (!rest) {
            od_fail(p->error, OD_NO_MEMORY, "no memory for %zu arguments", cap);
            return false;
        }
        a->rest = rest;
        p->cap_rest = cap;
    }
    a->rest[a->n_rest++] = word;
    return true;
}

static const char **text_slot(od_args *a, int key) {
    switch (key) {
    case OD_KEY_REF: return &a->ref;
    case OD_KEY_FAST: return &a->fast;
    case OD_KEY_POLICY: return &a->policy;
    case OD_KEY_ENVELOPE: return &a->envelope;
    case OD_KEY_JSON: return &a->json;
    case OD_KEY_JUNIT: return &a->junit;
    case OD_KEY_OUT: return &a->out;
    case OD_KEY_MODEL: return &a->model;
    case OD_KEY_KNOWN: return &a->known;
    case OD_KEY_PROFILE: return &a->profile;
    case OD_KEY_ENGINE: return &a->engine;
    case OD_KEY_CASE: return &a->case_path;
    case OD_KEY_XPOS: return &a->xpos;
    case OD_KEY_SHARD: return &a->shard;
    case OD_KEY_RECORD: return &a->record;
    case OD_KEY_PRESET: return &a->preset;
    case OD_KEY_HEAD: return &a->head;
    default: return NULL;
    }
}

static bool *flag_slot(od_args *a, int key) {
    switch (key) {
    case OD_KEY_QUIET: return &a->quiet;
    case OD_KEY_ARBITER: return &a->arbiter;
    case OD_KEY_WEIGHTS: return &a->weights;
    case OD_KEY_ISOLATE: return &a->isolate;
    case OD_KEY_ORACLES: return &a->list_oracles;
    case OD_KEY_ENGINES: return &a->list_engines;
    case OD_KEY_PRESETS: return &a->list_presets;
    case OD_KEY_ONLY_FAST: return &a->only_fast;
    case OD_KEY_FIRST: return &a->first;
    case OD_KEY_RELATE: return &a->relate;
    default: return NULL;
    }
}

/* Lanes that share a process would share a crash: more than one mean workers. */
static bool lanes(od_args *a, const char *text, od_error *e) {
    od_error unused;
    if (number(&a->lanes, "jobs", text, OD_LANES, &unused) && a->lanes >= 1) {
        a->isolate = a->isolate || a->lanes > 1;
        return true;
    }
    od_fail(e, OD_BAD_INPUT, "-j %.100s: a number of lanes from 1 to %d would be right", text, OD_LANES);
    return false;
}

static bool numbers(parsing *p, int key, const char *arg, bool *ours) {
    od_args *a = p->args;
    od_error *e = p->error;
    *ours = true;
    switch (key) {
    case OD_KEY_SEED: return a->has_seed = number(&a->seed, "seed", arg, INT64_MAX, e);
    case OD_KEY_INDEX: return a->has_index = number(&a->index, "index", arg, INT64_MAX, e);
    case OD_KEY_CASES: return a->has_cases = number(&a->cases, "cases", arg, INT64_MAX, e);
    case OD_KEY_CONTEXT: return a->has_context = number(&a->context, "context", arg, OD_CASE_MAX_STEPS, e);
    case OD_KEY_BATCH: return number(&a->batch, "batch", arg, MAX_BATCH, e);
    case OD_KEY_VARIATES: return number(&a->variates, "variates", arg, MAX_BATCH, e);
    case OD_KEY_STEPS: return number(&a->steps, "steps", arg, MAX_DECODES, e);
    case OD_KEY_ROLLOUT: return number(&a->rollout, "rollout", arg, OD_CASE_MAX_STEPS, e);
    case OD_KEY_RUNS: return a->has_runs = number(&a->runs, "runs", arg, INT64_MAX, e);
    case OD_KEY_PROCESS: return a->has_process = number(&a->process, "process", arg, INT64_MAX, e);
    case OD_KEY_TIMEOUT: return a->has_timeout = positive(&a->timeout, "timeout", arg, 1e6, e);
    case OD_KEY_JOBS: return lanes(a, arg, e);
    case OD_KEY_PAIRS: return number(&a->pairs, "pairs", arg, MAX_PAIRS, e);
    case OD_KEY_REF_SET: return append(a->ref_set, &a->n_ref_set, OD_ARGS_LIST, "ref-set", arg, e);
    case OD_KEY_SECONDS: return a->has_seconds = positive(&a->seconds, "seconds", arg, 1e7, e);
    case OD_KEY_RELATIVE: return positive(&a->relative, "relative", arg, 1, e);
    case OD_KEY_SET: return append(a->set, &a->n_set, OD_ARGS_LIST, "set", arg, e);
    case OD_KEY_ONLY: return append(a->only, &a->n_only, OD_ARGS_LIST, "only", arg, e);
    case OD_KEY_REQUIRE: return append(a->require, &a->n_require, OD_ARGS_LIST, "require", arg, e);
    default: *ours = false; return true;
    }
}

/* The word of a key, of the command's own options or else of the common ones. */
static const char *option_name(const struct argp_option *own, int key) {
    for (const struct argp_option *o = own; o && o->name; o++)
        if (o->key == key) return o->name;
    for (const struct argp_option *o = common_options; o->name; o++)
        if (o->key == key) return o->name;
    return "?";
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    parsing *p = state->input;
    if (key == ARGP_KEY_INIT) { /* the command's own parser comes first and passes the state on */
        if (p->begun) return 0;
        p->begun = true;
        for (size_t i = 0; state->root_argp->children && state->root_argp->children[i].argp; i++)
            state->child_inputs[i] = p;
        return 0;
    }
    const char **slot = text_slot(p->args, key);
    bool *flag = flag_slot(p->args, key), ours;
    if (slot) {
        *slot = arg;
        if (arg[0]) return 0;
        od_fail(p->error, OD_BAD_INPUT, "--%s has an empty value", option_name(state->root_argp->options, key));
        return EINVAL;
    }
    if (flag) {
        *flag = true;
        return 0;
    }
    if (key == ARGP_KEY_ERROR) p->at = state->next;
    if (key == OD_KEY_HELP) {
        p->help = true;
        return 0;
    }
    if (key == ARGP_KEY_ARG) return append_rest(p, arg) ? 0 : EINVAL;
    if (!numbers(p, key, arg, &ours)) return EINVAL;
    return ours ? 0 : ARGP_ERR_UNKNOWN;
}

enum od_status od_args_parse(od_args *args, const od_command *command, int argc, char **argv, bool *helped,
                             od_error *e) {
    *args = (od_args){.program = argv[0],
                      .argv = argv,
                      .argc = argc,
                      .relative = -1,
                      .timeout = 120,
                      .lanes = 1,
                      .batch = 1,
                      .variates = 1,
                      .steps = 8,
                      .pairs = 30,
                      .runs = OD_SHRINK_RUNS};
    struct argp common = {.options = common_options, .parser = parse};
    struct argp help = {.options = help_option, .parser = parse};
    struct argp_child children[] = {{&help, 0, NULL, 0}, {command->common ? &common : NULL, 0, NULL, 0}, {0}};
    struct argp argp = {.options = command->options,
                        .parser = parse,
                        .args_doc = command->usage,
                        .doc = command->about,
                        .children = children};
    parsing p = {.args = args, .error = e};
    *e = (od_error){0};
    error_t error =
        argp_parse(&argp, argc - 1, argv + 1, ARGP_NO_HELP | ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_IN_ORDER, NULL, &p);
    if (p.help) {
        char name[64];
        snprintf(name, sizeof name, "oracle-diff %s", command->name);
        argp_help(&argp, stdout, ARGP_HELP_USAGE | ARGP_HELP_DOC | ARGP_HELP_LONG, name);
        *helped = true;
        return OD_OK;
    }
    if (!error) return OD_OK;
    if (e->status != OD_OK) return e->status;
    if (error == ENOMEM) return od_fail(e, OD_NO_MEMORY, "no memory to read the command line");
    const char *word = p.at >= 1 && p.at < argc ? argv[p.at] : argv[argc - 1];
    return od_fail(e, OD_BAD_INPUT,
                   "%s: '%.200s' is no option of this command, is ambiguous or lacks its value (see "
                   "oracle-diff %s --help)",
                   command->name, word, command->name);
}
