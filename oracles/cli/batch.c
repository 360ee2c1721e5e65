/* Many cases, one run: what run, replay and fuzz share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/file.h"
#include "oracles/cli/cli.h"
#include "oracles/finding.h"
#include "oracles/tolerance.h"

enum { MAX_NOT_CHECKED = 12, COMMAND = 4096 };

struct od_batch {
    const od_args *args;
    od_judge judge, again; /* again: buffers for rechecks */
    od_known known;
    od_envelope envelope;
    char envelope_name[OD_CASE_PATH]; /* "" = the contract alone */
    od_verdict verdict;
    od_environment env;
    bool fuzz;
    unsigned named;                                 /* oracles of --require */
    od_case_file model_config, model_weights;       /* --model: digests of its files */
    char model_folder[OD_CASE_PATH];                /* absolute; "" = none */
    char why[400], command[COMMAND], tail[COMMAND]; /* tail: the options that reproduce a case */
    char ref_device[160], ref_math[32], fast_device[160], fast_math[32];
    const char *not_checked[MAX_NOT_CHECKED];
    size_t n_not_checked;
    char not_asked[200], not_related[200];
    FILE *json;
    od_junit junit;
    od_tally tally;
    od_kinds kinds;
    od_table_row *rows;
    size_t n_row, cap_row;
    const od_engine_api *process; /* the fast path, a new process each time; NULL: it could not be started */
    bool has_process;             /* it was tried */
    uint64_t process_every;       /* cases; 0: none */
    char no_process[200];
    double start;
};

/* ---- arguments --------------------------------------------------------------------------------------------------- */

/* "accuracy", or one relation of the oracle of relations, as its signatures begin: "consistency/batch". */
static enum od_status add_oracle(unsigned *oracles, unsigned *relations, const char *word, od_error *e) {
    char name[64];
    unsigned number;
    const size_t n = strcspn(word, "/");
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), word);
    enum od_status s = od_oracle_find(&number, name, e);
    if (s != OD_OK) return s;
    if (word[n] && !relations) return od_fail(e, OD_BAD_INPUT, "--require %.60s: name the oracle alone", word);
    *oracles |= 1u << number;
    const bool related = od_oracle_at(number) == &od_oracle_consistency;
    if (!word[n]) {
        if (related && relations) *relations |= od_relations_default();
        return OD_OK;
    }
    if (!related) return od_fail(e, OD_BAD_INPUT, "%.60s: the oracle %s has no relations", word, name);
    s = od_relation_find(&number, word + n + 1, e);
    if (s == OD_OK) *relations |= 1u << number;
    return s;
}

static enum od_status choose_oracles(od_batch *b, od_error *e) {
    const od_args *a = b->args;
    unsigned only = 0, relations = 0;
    enum od_status s = OD_OK;
    for (size_t i = 0; s == OD_OK && i < a->n_only; i++) s = add_oracle(&only, &relations, a->only[i], e);
    for (size_t i = 0; s == OD_OK && i < a->n_require; i++) s = add_oracle(&b->named, NULL, a->require[i], e);
    if (s != OD_OK) return s;
    if (relations) b->judge.setup.relations = relations;
    b->judge.setup.oracles = (only ? only : b->fuzz ? od_oracles_fuzz() : od_oracles_all()) | b->named | 1u;
    b->judge.required = od_oracles_required() | b->named;
    b->judge.setup.watch_memory = (only | b->named) & od_oracle_bit(&od_oracle_memory);
    return OD_OK;
}

static enum od_status check_switches(const od_args *a, od_error *e) {
    od_options unused = od_options_default();
    for (size_t i = 0; i < a->n_set; i++) {
        enum od_status s = od_options_set(&unused, a->set[i], e);
        if (s != OD_OK) return od_error_prefix(e, "--set");
    }
    return OD_OK;
}

static enum od_status find_model(od_batch *b, od_error *e) {
    const char *dir = b->args->model;
    if (!dir) return OD_OK;
    char *whole = realpath(dir, NULL), path[OD_CASE_PATH + 32];
    if (!whole || strlen(whole) >= sizeof b->model_folder - 40) {
        free(whole);
        return od_fail(e, OD_BAD_INPUT, "--model %.300s: %s", dir,
                       errno == ENOENT ? "there is no such folder" : "no usable folder");
    }
    snprintf(b->model_folder, sizeof b->model_folder, "%s", whole);
    free(whole);
    snprintf(path, sizeof path, "%s/config.json", b->model_folder);
    enum od_status s = od_file_digest(&b->model_config.bytes, &b->model_config.xxh64, path, e);
    if (s != OD_OK) return s;
    snprintf(path, sizeof path, "%s/model.safetensors", b->model_folder);
    return od_file_digest(&b->model_weights.bytes, &b->model_weights.xxh64, path, e);
}

/* The words that make a case run as it did here, behind its path. */
static void make_tail(od_batch *b) {
    const od_args *a = b->args;
    size_t size = sizeof b->tail;
    od_append_word(b->tail, size, "--ref");
    od_append_word(b->tail, size, a->ref ? a->ref : b->judge.setup.ref->name);
    od_append_word(b->tail, size, "--fast");
    od_append_word(b->tail, size, a->fast ? a->fast : b->judge.setup.fast->name);
    if (a->isolate) od_append_word(b->tail, size, "--isolate");
    for (size_t i = 0; i < a->n_set; i++) {
        od_append_word(b->tail, size, "--set");
        od_append_word(b->tail, size, a->set[i]);
    }
    for (size_t i = 0; i < a->n_only; i++) {
        od_append_word(b->tail, size, "--only");
        od_append_word(b->tail, size, a->only[i]);
    }
    for (size_t i = 0; i < a->n_require; i++) {
        od_append_word(b->tail, size, "--require");
        od_append_word(b->tail, size, a->require[i]);
    }
    if (a->model) {
        od_append_word(b->tail, size, "--model");
        od_append_word(b->tail, size, a->model);
    }
    if (a->weights) od_append_word(b->tail, size, "--weights");
    if (a->arbiter) od_append_word(b->tail, size, "--arbiter");
    if (b->judge.setup.envelope) {
        od_append_word(b->tail, size, "--policy");
        od_append_word(b->tail, size, "envelope");
    }
    if (a->envelope) {
        od_append_word(b->tail, size, "--envelope");
        od_append_word(b->tail, size, a->envelope);
    }
    if (a->known) {
        od_append_word(b->tail, size, "--known");
        od_append_word(b->tail, size, a->known);
    }
    for (int i = 0; i < a->argc; i++) od_append_word(b->command, sizeof b->command, a->argv[i]);
}

/* The envelope is asked where accuracy is, or by its name; both need the policy. */
static enum od_status choose_policy(od_batch *b, od_error *e) {
    char pair[64];
    od_judge *j = &b->judge;
    const unsigned bit = od_oracle_bit(&od_oracle_envelope);
    snprintf(pair, sizeof pair, "%.20s:%.20s", j->setup.ref->name, j->setup.fast->name);
    enum od_status s = od_policy_load(&b->envelope, b->envelope_name, sizeof b->envelope_name, b->args, pair,
                                      b->ref_math, b->fast_math, e);
    if (s != OD_OK) return s;
    if (!b->envelope_name[0] && j->setup.oracles & bit)
        return od_fail(e, OD_BAD_INPUT, "the oracle envelope needs --policy envelope");
    if (!b->envelope_name[0]) return OD_OK;
    if (j->setup.oracles & od_oracle_bit(&od_oracle_accuracy)) j->setup.oracles |= bit;
    if (!(j->setup.oracles & bit))
        return od_fail(e, OD_BAD_INPUT, "--policy envelope: --only leaves out accuracy, which it is about");
    j->setup.measures = true;
    j->setup.envelope = b->tally.envelope = &b->envelope;
    return OD_OK;
}

static void list_not_checked(od_batch *b) {
    const char *fast = b->judge.setup.fast->name;
    if (strcmp(fast, "twin") == 0)
        b->not_checked[b->n_not_checked++] =
            "races within a warp, tensor cores, TF32, cuBLAS: the twin runs on the CPU";
    b->not_checked[b->n_not_checked++] = "sampled forecasts, variate labels";
    if (b->no_process[0]) b->not_checked[b->n_not_checked++] = b->no_process;
    if (b->args->isolate || (b->args->fast && od_cli_is_foreign(b->args->fast)))
        b->not_checked[b->n_not_checked++] = "memory that the fast path takes in its worker and does not count";
    if (!b->args->weights || !(b->judge.setup.oracles & od_oracle_bit(&od_oracle_vacuity)))
        b->not_checked[b->n_not_checked++] = "that every weight tensor is read (vacuity with --weights)";
    if (!b->judge.setup.watch_memory)
        b->not_checked[b->n_not_checked++] =
            "small leaks beside an engine's counters, under 4 KiB a request (--require memory)";
    if (!b->judge.setup.envelope) b->not_checked[b->n_not_checked++] = "faults below the contract (--policy envelope)";
    const unsigned left = od_oracles_all() & ~b->judge.setup.oracles;
    const unsigned relations = od_relations_default() & ~b->judge.setup.relations;
    if (relations) {
        snprintf(b->not_related, sizeof b->not_related, "relations that were not asked:");
        for (unsigned i = 0; i < OD_RELATIONS; i++)
            if (relations >> i & 1) od_append_word(b->not_related, sizeof b->not_related, od_relation_at(i)->name);
        b->not_checked[b->n_not_checked++] = b->not_related;
    }
    if (left == 0) return;
    snprintf(b->not_asked, sizeof b->not_asked, "oracles that were not asked:");
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (left >> i & 1) od_append_word(b->not_asked, sizeof b->not_asked, od_oracle_at(i)->name);
    b->not_checked[b->n_not_checked++] = b->not_asked;
}

/* The rerun in a fresh process: for whom it is played, and why not for all. A machine that starts no processes runs all
 * the same. */
static void choose_process(od_batch *b) {
    const od_args *a = b->args;
    od_error e = {0};
    const bool costly = strcmp(b->judge.setup.fast->name, "gpu") == 0; /* a process takes CUDA's start, each time */
    b->process_every = a->has_process ? a->process : b->fuzz ? 0 : costly ? 16 : 1;
    const bool asked = b->judge.setup.oracles & od_oracle_bit(&od_oracle_determinism);
    if (!asked) b->process_every = 0;
    b->has_process = b->process_every > 0;
    const char *name = a->fast ? a->fast : b->judge.setup.fast->name;
    if (b->process_every == 0) {
        snprintf(b->no_process, sizeof b->no_process, "reruns in a fresh process%s", asked ? " (--process 1)" : "");
    } else if (od_cli_worker(&b->process, name, true, a->timeout, &e) != OD_OK) {
        b->process_every = 0;
        snprintf(b->no_process, sizeof b->no_process, "reruns in a fresh process: %.150s", e.text);
    } else if (b->process_every > 1) {
        snprintf(b->no_process, sizeof b->no_process, "reruns in a fresh process, but for one case of %llu",
                 (unsigned long long)b->process_every);
    }
    b->judge.setup.process = b->process;
}

enum od_status od_batch_create(od_batch **out, const od_args *args, bool fuzz, od_error *e) {
    *out = NULL;
    od_batch *b = calloc(1, sizeof *b);
    if (!b) return od_fail(e, OD_NO_MEMORY, "no memory for a run");
    b->args = args;
    b->fuzz = fuzz;
    b->start = od_seconds();
    od_tally_init(&b->tally);
    const od_engine_api *ref = NULL, *fast = NULL;
    enum od_status s = check_switches(args, e);
    if (s == OD_OK) s = od_cli_pair(&ref, &fast, b->why, sizeof b->why, args, e);
    if (s == OD_OK) {
        od_judge_init(&b->judge, ref, fast);
        s = choose_oracles(b, e);
    }
    if (s == OD_OK) s = find_model(b, e);
    if (s == OD_OK && args->known) s = od_known_read(&b->known, args->known, NULL, e);
    b->judge.known = &b->known;
    b->tally.expired = b->known.n_expired;
    if (s == OD_OK) s = od_cli_device(b->ref_device, sizeof b->ref_device, b->ref_math, sizeof b->ref_math, ref, e);
    if (s == OD_OK)
        s = od_cli_device(b->fast_device, sizeof b->fast_device, b->fast_math, sizeof b->fast_math, fast, e);
    if (s == OD_OK) s = choose_policy(b, e);
    if (s != OD_OK) {
        od_batch_destroy(b);
        return s;
    }
    if (od_cli_find_engine(&b->judge.setup.arbiter, "ref64", NULL) != OD_OK) b->judge.setup.arbiter = NULL;
    b->judge.setup.always_arbiter = args->arbiter;
    b->judge.weights = args->weights;
    b->judge.setup.isolated =
        args->isolate || (args->ref && od_cli_is_foreign(args->ref)) || (args->fast && od_cli_is_foreign(args->fast));
    choose_process(b);
    b->judge.setup.detail = args->json != NULL;
    od_environment_fill(&b->env);
    if (args->json) od_environment_card(&b->env);
    make_tail(b);
    list_not_checked(b);
    *out = b;
    return OD_OK;
}

void od_batch_destroy(od_batch *b) {
    if (!b) return;
    if (b->json) fclose(b->json);
    od_junit_free(&b->junit);
    for (size_t i = 0; i < b->n_row; i++) od_table_row_free(&b->rows[i]);
    free(b->rows);
    od_judge_free(&b->judge);
    od_judge_free(&b->again);
    od_known_free(&b->known);
    free(b);
}

enum od_status od_batch_prepare(const od_batch *b, od_case *c, od_error *e) {
    for (size_t i = 0; i < b->args->n_set; i++) {
        enum od_status s = od_options_set(&c->options, b->args->set[i], e);
        if (s != OD_OK) return s;
    }
    if (!b->model_folder[0]) return OD_OK;
    c->preset[0] = '\0';
    c->gain = 1;
    c->weight_seed = 0;
    snprintf(c->model_folder, sizeof c->model_folder, "%s", b->model_folder);
    c->model_config = b->model_config;
    c->model_weights = b->model_weights;
    return OD_OK;
}

/* ---- run --------------------------------------------------------------------------------------------------------- */

/* A run of hours must not learn at its end that its results have nowhere to go. */
static enum od_status check_outputs(const od_args *a, od_error *e) {
    enum od_status s = OD_OK;
    if (a->json) s = od_cli_writable(a->json, false, e);
    if (s == OD_OK && a->junit) s = od_cli_writable(a->junit, false, e);
    if (s == OD_OK && a->out) s = od_cli_writable(a->out, true, e);
    return s;
}

enum od_status od_batch_begin(od_batch *b, od_error *e) {
    const od_args *a = b->args;
    enum od_status s = check_outputs(a, e);
    if (s != OD_OK) return s;
    if (a->json) b->json = fopen(a->json, "w");
    if (a->json && !b->json) return od_fail(e, OD_IO, "%s: cannot be written: %s", a->json, strerror(errno));
    printf("%s against %s: %s\n", b->judge.setup.ref->name, b->judge.setup.fast->name, b->why);
    if (b->env.fault[0]) printf("planted fault: %s\n", b->env.fault);
    fflush(stdout);
    if (!a->json) return OD_OK;
    od_run_info info = {.version = OD_VERSION,
                        .command = b->command,
                        .time = b->env.time,
                        .why = b->why,
                        .ref_device = b->ref_device,
                        .ref_math = b->ref_math,
                        .fast_device = b->fast_device,
                        .fast_math = b->fast_math,
                        .host = b->env.host,
                        .os = b->env.os,
                        .cpu = b->env.cpu,
                        .compiler = b->env.compiler,
                        .build = b->env.build,
                        .card = b->env.card,
                        .driver = b->env.driver,
                        .toolkit = b->env.toolkit,
                        .cores = b->env.cores,
                        .weights = b->model_folder[0] ? b->model_folder : "by case",
                        .envelope = b->envelope_name[0] ? b->envelope_name : NULL,
                        .fault = b->env.fault,
                        .profile = b->fuzz ? (a->profile ? a->profile : "default") : NULL,
                        .seed = a->seed,
                        .option = a->set,
                        .n_option = a->n_set,
                        .not_checked = b->not_checked,
                        .n_not_checked = b->n_not_checked};
    return od_result_run(b->json, &info, &b->judge, b->named, e);
}

static void reproduce(char *text, size_t size, const od_batch *b, const char *path, const char *finding) {
    const char *program = b->args->program;
    char fault[64] = "";
    if (b->env.fault[0]) snprintf(fault, sizeof fault, "OD_FAULT=%s ", b->env.fault);
    text[0] = '\0';
    if (b->fuzz && !finding[0]) {
        unsigned long long seed, index;
        char profile[32] = "";
        if (sscanf(path, "seed %llu index %llu profile %31s", &seed, &index, profile) == 3)
            snprintf(text, size, "%s new --seed %llu --index %llu --profile %s > case.json && %s%s run case.json",
                     program, seed, index, profile, fault, program);
    } else {
        snprintf(text, size, "%.*s", (int)strcspn(fault, " "), fault);
        od_append_word(text, size, program);
        od_append_word(text, size, "run");
        od_append_word(text, size, finding[0] ? finding : path);
    }
    size_t at = strlen(text);
    snprintf(text + at, size - at, " %s", b->tail);
}

/* A finding is judged again before it is told; here, and in a fresh process where one can be started. */
static void recheck(od_batch *b, od_case *c) {
    if (b->verdict.outcome != OD_FINDING) return;
    const char *name = b->args->fast ? b->args->fast : b->judge.setup.fast->name;
    od_error e;
    if (!b->has_process && od_cli_worker(&b->process, name, true, b->args->timeout, &e) != OD_OK) b->process = NULL;
    b->has_process = true;
    od_recheck_finding(&b->verdict, &b->again, &b->judge, c, b->process);
}

static enum od_status add_row(od_batch *b, const char *name, const char *finding, const char *command, od_error *e) {
    if (b->fuzz && b->verdict.outcome <= OD_PASS) return OD_OK; /* thousands of them: only the counts */
    if (b->n_row == b->cap_row) {
        size_t cap = b->cap_row ? b->cap_row * 2 : 64;
        od_table_row *rows = realloc(b->rows, cap * sizeof *rows);
        if (!rows) return od_fail(e, OD_NO_MEMORY, "no memory for %zu table rows", cap);
        b->rows = rows;
        b->cap_row = cap;
    }
    od_table_row_fill(&b->rows[b->n_row++], name, &b->verdict, b->judge.required, finding, command);
    return OD_OK;
}

enum od_status od_batch_case(od_batch *b, od_case *c, const char *path, od_error *e) {
    od_verdict *v = &b->verdict;
    char name[OD_CASE_PATH], finding[OD_CASE_PATH * 2] = "", command[COMMAND + 2048];
    b->judge.setup.process = b->process_every && b->tally.cases % b->process_every == 0 ? b->process : NULL;
    od_judge_case(v, &b->judge, c);
    recheck(b, c);
    od_cli_stem(name, sizeof name, path);
    od_tally_add(&b->tally, v, name);
    od_kinds_add(&b->kinds, v, name);
    const char *out = b->args->out ? b->args->out : b->fuzz ? "out" : NULL;
    if (v->outcome == OD_FINDING && out) {
        enum od_status s = od_finding_write(finding, sizeof finding, out, c, v, b->env.line, e);
        if (s != OD_OK) return s;
    }
    reproduce(command, sizeof command, b, path, finding);
    enum od_status s = OD_OK;
    if (b->json) {
        od_case_info info = {.path = path, .name = name, .finding = finding, .command = command};
        s = od_result_case(b->json, &info, c, v, e);
    }
    if (v->bad_input)
        fprintf(stderr, "%soracle-diff: %s: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", path, v->reason);
    if (s == OD_OK && b->args->junit && !od_junit_case(&b->junit, name, v, command))
        s = od_fail(e, OD_NO_MEMORY, "no memory for the JUnit report");
    return s == OD_OK ? add_row(b, name, finding, command, e) : s;
}

od_judge *od_batch_judge(od_batch *b) {
    return &b->judge;
}

const od_verdict *od_batch_verdict(const od_batch *b) {
    return &b->verdict;
}

const od_tally *od_batch_tally(const od_batch *b) {
    return &b->tally;
}

void od_batch_drawn(od_batch *b, double seconds) {
    b->tally.spent.generation += seconds;
}

void od_batch_command(char *text, size_t size, const od_batch *b, const char *path) {
    reproduce(text, size, b, path, "");
}

/* Oracles that could not say in some cases and need not: a line each, not a note in every row. */
static void print_open(const od_batch *b) {
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        const od_oracle *oracle = od_oracle_at(i);
        unsigned long long open = b->tally.open[i], asked = open + b->tally.ruled[i];
        if (open && !(b->judge.required >> i & 1))
            printf("%s: INCONCLUSIVE in %llu of %llu cases (%s)\n", oracle->name, open, asked, oracle->doubt);
    }
}

static void print_envelope(const od_batch *b) {
    const od_envelope *x = &b->envelope;
    if (!b->envelope_name[0]) return;
    printf("envelope: %s: %zu cases by %s, %s; at most %g false alarms a case expected\n", b->envelope_name, x->cases,
           x->version, x->time, od_bounds.envelope_alarms);
    if (strcmp(x->ref_device, b->ref_device) != 0 || strcmp(x->fast_device, b->fast_device) != 0)
        printf("envelope: measured on another device: %s against %s\n", x->ref_device, x->fast_device);
}

static void print_summary(const od_batch *b, double seconds, bool interrupted) {
    const od_tally *t = &b->tally;
    unsigned accuracy = 0;
    while (od_oracle_at(accuracy) != &od_oracle_accuracy) accuracy++;
    bool judged = b->judge.setup.oracles >> accuracy & 1;
    printf("%s%llu cases in %.1f s (%.0f a second), %llu tensors %s\n", interrupted ? "interrupted: " : "",
           (unsigned long long)t->cases, seconds, seconds > 0 ? (double)t->cases / seconds : 0,
           (unsigned long long)t->compared, judged ? "held to the contract" : "compared, but not held to the contract");
    if (t->worst_share >= 0)
        printf("worst MAE %.2e (%s/%s of %s)\nworst use of the contract %.1f %% (%s/%s of %s)\n", t->worst_mae,
               od_tensor_class_name(t->worst_mae_cls), od_step_class_name(t->worst_mae_step), t->worst_mae_case,
               100 * t->worst_share, od_tensor_class_name(t->worst_share_cls), od_step_class_name(t->worst_share_step),
               t->worst_share_case);
    if (!od_nearness_print(t)) fprintf(stderr, "oracle-diff: no memory for the arbiter's table\n");
    if (!od_kinds_print(&b->kinds)) fprintf(stderr, "oracle-diff: no memory for the table of kinds\n");
    od_spent_print(&t->spent);
    print_open(b);
    if (!od_policy_print(t, b->args->quiet)) fprintf(stderr, "oracle-diff: no memory for the table of mean shifts\n");
    for (size_t i = 0; i < b->known.n; i++)
        if (b->known.issue[i].expired)
            printf("expired on %s: known issue %s (%s): fix it, or look again and give it another day\n",
                   b->known.issue[i].expires, b->known.issue[i].signature, b->known.issue[i].link);
    if (t->probed)
        printf("weights: %llu tensors of %llu model classes changed in turn, %llu without a say in their case\n",
               (unsigned long long)t->n_weight, (unsigned long long)t->probed, (unsigned long long)t->n_idle);
    if (t->flaky)
        printf("flaky: %llu of %llu findings did not come each time they were judged\n", (unsigned long long)t->flaky,
               (unsigned long long)t->outcome[OD_FINDING]);
    if (t->fallbacks)
        printf("left the fast path: %llu calls of %llu cases ran as plain launches, beyond their limit of captures\n",
               (unsigned long long)t->fallbacks, (unsigned long long)t->fell_back);
    if (b->args->quiet) return;
    printf("contract: MAE at most %g, any difference at most %g, in model space\n", od_bounds.mae, od_bounds.max_abs);
    print_envelope(b);
    if (b->model_folder[0])
        printf("weights: %s\n", b->model_folder);
    else
        printf("weights: random, drawn from each case's seed, unless the case names a folder\n");
    for (size_t i = 0; i < b->n_not_checked; i++) printf("not checked: %s\n", b->not_checked[i]);
}

int od_batch_end(od_batch *b, bool interrupted) {
    double seconds = od_seconds() - b->start;
    const od_tally *t = &b->tally;
    int code = od_tally_exit(t, b->judge.required, b->named);
    if (!od_table_print(b->rows, b->n_row, b->args->quiet || b->fuzz))
        fprintf(stderr, "oracle-diff: no memory for the table\n");
    print_summary(b, seconds, interrupted);
    static const enum od_outcome order[] = {OD_PASS, OD_FINDING, OD_KNOWN, OD_SKIPPED, OD_INCONCLUSIVE, OD_ERROR};
    for (int i = 0; i < OD_OUTCOMES; i++)
        printf("%s %llu%s", od_outcome_name(order[i]), (unsigned long long)t->outcome[order[i]],
               i + 1 < OD_OUTCOMES ? ", " : "");
    printf(" (%s against %s, exit %d%s)\n", b->judge.setup.ref->name, b->judge.setup.fast->name, code,
           t->expired               ? ": an expired known issue"
           : !od_tally_is_near(t)   ? ": too far from float64"
           : !od_tally_is_steady(t) ? ": a mean shift"
                                    : "");
    fflush(stdout);
    od_error e = {0};
    enum od_status s = OD_OK;
    if (b->json) s = od_result_summary(b->json, t, &b->kinds, seconds, interrupted, code, &e);
    if (s == OD_OK && b->args->junit) s = od_junit_write(&b->junit, b->args->junit, t, seconds, &e);
    if (s != OD_OK) {
        int failed = od_complain(&e);
        if (code != OD_EXIT_FINDING) code = failed;
    }
    return code;
}
