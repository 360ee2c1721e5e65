/* Many cases, one run: what run, replay and fuzz share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracles/cli/batch.h"
#include "oracles/finding.h"
#include "oracles/tolerance.h"

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
    const enum od_status told = od_result_run(b->json, &info, &b->judge, b->named, e);
    return told == OD_OK ? OD_OK : od_error_prefix(e, "%s", a->json);
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

/* The first findings of a kind are judged again before they are told; here, and in a fresh process where one can be
 * started. A fault that breaks every case of a corpus is not tried a hundred times. */
static void recheck(od_batch *b, od_verdict *v, od_case *c) {
    if (v->outcome != OD_FINDING || od_kinds_count(&b->kinds, v) >= OD_RECHECK_KIND) return;
    const char *name = b->args->fast ? b->args->fast : b->judge.setup.fast->name;
    od_error e;
    if (!b->has_process && od_cli_worker(&b->process, name, true, b->args->timeout, &e) != OD_OK) {
        b->process = NULL;
        fprintf(stderr, "%soracle-diff: findings are not judged again in a fresh process: %s\n",
                isatty(STDERR_FILENO) ? "\r\033[K" : "", e.text);
    }
    b->has_process = true;
    od_recheck_finding(v, &b->again, &b->judge, c, b->process);
}

static enum od_status add_row(od_batch *b, const od_verdict *v, const char *name, const char *finding,
                              const char *command, od_error *e) {
    if (b->fuzz && v->outcome <= OD_PASS) return OD_OK; /* thousands of them: only the counts */
    if (b->n_row == b->cap_row) {
        size_t cap = b->cap_row ? b->cap_row * 2 : 64;
        od_table_row *rows = realloc(b->rows, cap * sizeof *rows);
        if (!rows) return od_fail(e, OD_NO_MEMORY, "no memory for %zu table rows", cap);
        b->rows = rows;
        b->cap_row = cap;
    }
    if (od_table_row_fill(&b->rows[b->n_row++], name, v, b->judge.required, finding, command)) return OD_OK;
    return od_fail(e, OD_NO_MEMORY, "no memory for a row of the table");
}

bool od_batch_in_process(const od_batch *b, size_t number) {
    return b->process_every && number % b->process_every == 0;
}

enum od_status od_batch_case(od_batch *b, od_case *c, const char *path, od_error *e) {
    b->judge.setup.process = od_batch_in_process(b, b->tally.cases) ? b->process : NULL;
    od_judge_case(&b->verdict, &b->judge, c);
    return od_batch_tell(b, &b->verdict, c, path, e);
}

enum od_status od_batch_tell(od_batch *b, od_verdict *v, od_case *c, const char *path, od_error *e) {
    char name[OD_CASE_PATH], finding[OD_CASE_PATH * 2] = "", command[OD_BATCH_COMMAND + 2048];
    recheck(b, v, c);
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
        if (s != OD_OK) od_error_prefix(e, "%s", b->args->json);
    }
    if (v->bad_input || v->outcome == OD_ERROR) { /* also there: a table may find no memory for its cells */
        char shown[OD_CASE_PATH];
        od_cli_show(shown, sizeof shown, path);
        fprintf(stderr, "%soracle-diff: %s: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", shown, v->reason);
    }
    if (s == OD_OK && b->args->junit && !od_junit_case(&b->junit, name, v, command))
        s = od_fail(e, OD_NO_MEMORY, "no memory for the JUnit report");
    return s == OD_OK ? add_row(b, v, name, finding, command, e) : s;
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

/* A part of what was to be told is missing: no green for it. */
static void untold(int *code, const char *what) {
    od_error e;
    od_fail(&e, OD_NO_MEMORY, "no memory for %s", what);
    const int failed = od_complain(&e);
    if (*code != OD_EXIT_FINDING) *code = failed;
}

static void print_summary(const od_batch *b, double seconds, bool interrupted, int *code) {
    const od_tally *t = &b->tally;
    unsigned accuracy = 0;
    while (od_oracle_at(accuracy) != &od_oracle_accuracy) accuracy++;
    bool judged = b->judge.setup.oracles >> accuracy & 1;
    printf("%s%llu cases in %.1f s (%.0f a second), %llu tensors %s\n", interrupted ? "interrupted: " : "",
           (unsigned long long)t->cases, seconds, seconds > 0 ? (double)t->cases / seconds : 0,
           (unsigned long long)t->compared, judged ? "held to the contract" : "compared, but not held to the contract");
    char mae_case[OD_CASE_PATH], share_case[OD_CASE_PATH];
    od_cli_show(mae_case, sizeof mae_case, t->worst_mae_case);
    od_cli_show(share_case, sizeof share_case, t->worst_share_case);
    if (t->worst_share >= 0)
        printf("worst MAE %.2e (%s/%s of %s)\nworst use of the contract %.1f %% (%s/%s of %s)\n", t->worst_mae,
               od_tensor_class_name(t->worst_mae_cls), od_step_class_name(t->worst_mae_step), mae_case,
               100 * t->worst_share, od_tensor_class_name(t->worst_share_cls), od_step_class_name(t->worst_share_step),
               share_case);
    if (!od_nearness_print(t)) untold(code, "the arbiter's table");
    if (!od_kinds_print(&b->kinds)) untold(code, "the table of kinds");
    od_spent_print(&t->spent);
    print_open(b);
    if (!od_policy_print(t, b->args->quiet)) untold(code, "the table of mean shifts");
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
    const bool unjudged = interrupted && !b->fuzz; /* named cases were left: no green for what nobody looked at */
    if (unjudged && code == OD_EXIT_PASS) code = OD_EXIT_NOTHING;
    if (!od_table_print(b->rows, b->n_row, b->args->quiet || b->fuzz)) untold(&code, "the table");
    print_summary(b, seconds, interrupted, &code);
    static const enum od_outcome order[] = {OD_PASS, OD_FINDING, OD_KNOWN, OD_SKIPPED, OD_INCONCLUSIVE, OD_ERROR};
    for (int i = 0; i < OD_OUTCOMES; i++)
        printf("%s %llu%s", od_outcome_name(order[i]), (unsigned long long)t->outcome[order[i]],
               i + 1 < OD_OUTCOMES ? ", " : "");
    printf(" (%s against %s, exit %d%s)\n", b->judge.setup.ref->name, b->judge.setup.fast->name, code,
           t->expired               ? ": an expired known issue"
           : !od_tally_is_near(t)   ? ": too far from float64"
           : !od_tally_is_steady(t) ? ": a mean shift"
           : unjudged               ? ": interrupted"
                                    : "");
    fflush(stdout);
    od_error e = {0};
    enum od_status s = OD_OK;
    if (b->json) s = od_result_summary(b->json, t, &b->kinds, seconds, interrupted, code, &e);
    if (s != OD_OK) od_error_prefix(&e, "%s", b->args->json);
    if (s == OD_OK && b->args->junit) s = od_junit_write(&b->junit, b->args->junit, t, seconds, &e);
    if (s != OD_OK) {
        int failed = od_complain(&e);
        if (code != OD_EXIT_FINDING) code = failed;
    }
    return code;
}
