#include "oracles/report.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/file.h"
#include "oracles/report_read.h"

/* The eleven tests of the validation report, by number; `oracle` is the one whose PASS the test is about. */
static const struct test {
    const char *group, *name, *oracle;
} tests[] = {
    {"Correctness", "Single Forward Pass", "accuracy"},
    {"Correctness", "Autoregressive (8 steps)", "accuracy"},
    {"Correctness", "Varying Sequence Length (16)", "accuracy"},
    {"Correctness", "Varying Sequence Length (32)", "accuracy"},
    {"Correctness", "Varying Sequence Length (48)", "accuracy"},
    {"Correctness", "Varying Sequence Length (64)", "accuracy"},
    {"Performance", "Inference Speed", "speed"},
    {"Performance", "Memory Overhead", "memory"},
    {"Stability", "KVCache Implementation", "vacuity"},
    {"Stability", "No Crashes on Varying Inputs", "accuracy"},
    {"Production Readiness", "Determinism", "determinism"},
};
enum { TESTS = sizeof tests / sizeof tests[0] };

/* In order of gravity; the first two hold for tests only. */
static const char *const verdicts[] = {"PASS", "KNOWN", "SKIPPED", "NOT RUN", "INCONCLUSIVE", "ERROR", "FINDING"};
enum { VERDICTS = sizeof verdicts / sizeof verdicts[0], PASS = 0, KNOWN = 1, SKIPPED = 2, NOT_RUN = 3, FINDING = 6 };

static int gravity(const char *verdict) {
    for (int i = 0; i < VERDICTS; i++)
        if (strcmp(verdicts[i], verdict) == 0) return i;
    return VERDICTS - 2; /* an unknown word counts as ERROR */
}

void od_report_put_cell(FILE *f, const char *s) {
    for (; *s; s++) {
        if (*s == '|' || *s == '<' || *s == '*' || *s == '_' || *s == '`' || *s == '\\') fputc('\\', f);
        fputc((unsigned char)*s < ' ' ? ' ' : *s, f);
    }
}

/* Inside code spans a backtick cannot be escaped; a bar must be, in tables. */
static void put_code(FILE *f, const char *s) {
    fputc('`', f);
    for (; *s; s++) {
        if (*s == '|') fputc('\\', f);
        fputc(*s == '`' ? '\'' : (unsigned char)*s < ' ' ? ' ' : *s, f);
    }
    fputc('`', f);
}

static void put_number(FILE *f, double x) {
    if (isnan(x))
        fputs("no number", f);
    else
        fprintf(f, "%.2e", x);
}

/* The contractual tensor of a case with the largest MAE; NULL: none was compared. A null MAE is no number: the worst.
 */
static const json_t *worst_tensor(const json_t *line) {
    const json_t *worst = NULL, *row;
    double most = -1;
    size_t i;
    json_array_foreach(json_object_get(line, "tensors"), i, row) {
        if (!json_is_true(json_object_get(row, "contract"))) continue;
        double mae = od_json_number(row, "most_mae");
        if (isnan(mae)) return row;
        if (mae <= most) continue;
        worst = row;
        most = mae;
    }
    return worst;
}

static const json_t *ruling_of(const json_t *line, const char *oracle) {
    const json_t *r;
    size_t i;
    json_array_foreach(json_object_get(line, "oracles"), i,
                       r) if (strcmp(od_json_text(r, "oracle"), oracle) == 0) return r;
    return NULL;
}

/* Number (from 0) of the validation test that a case belongs to, a file NN-… in a folder `validation`; TESTS: none. */
static size_t test_of(const json_t *line) {
    static const char folder[] = "validation/";
    const char *path = od_json_text(line, "case"), *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash + 1 - path) : 0, k = sizeof folder - 1;
    if (n < k || strncmp(slash + 1 - k, folder, k) != 0 || (n > k && slash[-(ptrdiff_t)k] != '/')) return TESTS;
    char *end;
    long number = strtol(slash + 1, &end, 10);
    if (*end >= 'a' && *end <= 'z') end++; /* 10a-…, 10b-…: several cases of one test */
    return number >= 1 && number <= TESTS && *end == '-' ? (size_t)number - 1 : TESTS;
}

static bool is_validation(const od_results *r) {
    for (size_t i = 0; i < r->n_case; i++)
        if (test_of(r->case_line[i]) == TESTS) return false;
    return true;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* A finding that did not come each time is told with its rate. */
static void put_recheck(FILE *f, const json_t *line) {
    const json_t *again = json_object_get(line, "recheck");
    if (!json_is_true(json_object_get(again, "flaky"))) return;
    fprintf(f, " (flaky: %.0f of %.0f)", od_json_number(again, "shown") + od_json_number(again, "process_shown"),
            od_json_number(again, "judged") + od_json_number(again, "process_judged"));
}

static void put_case_details(FILE *f, const json_t *line, const char *oracle) {
    const json_t *worst = worst_tensor(line), *ruling = oracle ? ruling_of(line, oracle) : NULL;
    const char *reason = od_json_text(line, "reason");
    if (reason[0])
        od_report_put_cell(f, reason);
    else if (worst)
        fprintf(f, "worst %s/%s, %.1f %% of the contract", od_json_text(worst, "tensor"), od_json_text(worst, "step"),
                100 * od_json_number(line, "share"));
    put_recheck(f, line);
    if (!ruling || reason[0]) return;
    const json_t *fast = json_object_get(json_object_get(line, "engines"), "fast");
    double value = od_json_number(ruling, "value");
    if (od_json_text(ruling, "reason")[0]) {
        fputs("; ", f);
        od_report_put_cell(f, od_json_text(ruling, "reason"));
    } else if (strcmp(oracle, "memory") == 0 && !isnan(value)) {
        fprintf(f, "; peak %.2f times the plain path's", value);
    } else if (strcmp(oracle, "vacuity") == 0 && fast) {
        fprintf(f, "; %.0f decode calls on cached keys, %.0f graph replays", od_json_number(fast, "cache_hits"),
                od_json_number(fast, "replays"));
    } else if (strcmp(oracle, "determinism") == 0) {
        fputs("; no bit differs after a reset, with new sessions over overwritten memory, on a fresh engine or in a "
              "fresh process where "
              "one was asked",
              f);
    }
}

static void put_mae(FILE *f, const json_t *line) {
    const json_t *worst = worst_tensor(line);
    if (worst)
        put_number(f, od_json_number(worst, "most_mae"));
    else
        fputs("nothing compared", f);
}

static void put_case_row(FILE *f, const json_t *line) {
    fputs("| ", f);
    od_report_put_cell(f, od_json_text(line, "name"));
    fprintf(f, " | %s | ", od_json_text(line, "verdict"));
    put_mae(f, line);
    fputs(" | ", f);
    put_case_details(f, line, NULL);
    fputs(" | ", f);
    put_code(f, od_json_text(line, "command"));
    fputs(" |\n", f);
}

/* A test's verdict from one of its cases: the case's own, and that of the oracle that the test is about. */
static int test_gravity(const json_t *line, const char *oracle) {
    int g = gravity(od_json_text(line, "verdict"));
    const json_t *ruling = ruling_of(line, oracle);
    if (g == PASS && !ruling) return NOT_RUN;
    int r = ruling ? gravity(od_json_text(ruling, "verdict")) : PASS;
    return r > g ? r : g;
}

/* Gravity of test t over its cases; *worst is the case that decides (worst verdict, then worst MAE). */
static int judge_test(const od_results *r, size_t t, const json_t **worst) {
    int grave = NOT_RUN;
    double most = -1;
    *worst = NULL;
    for (size_t i = 0; i < r->n_case; i++) {
        const json_t *line = r->case_line[i];
        if (test_of(line) != t) continue;
        int g = test_gravity(line, tests[t].oracle);
        const json_t *tensor = worst_tensor(line);
        double mae = tensor ? od_json_number(tensor, "most_mae") : -1;
        if (*worst && (g < grave || (g == grave && mae <= most))) continue;
        *worst = line;
        grave = g;
        most = mae;
    }
    return grave;
}

static void put_test_row(FILE *f, const od_results *r, size_t t) {
    const json_t *worst;
    int grave = judge_test(r, t, &worst);
    fprintf(f, "| %s | %s | %s | ", tests[t].name, tests[t].group, verdicts[grave]);
    if (!worst) {
        fputs("– | no case of this test in the results | – |\n", f);
        return;
    }
    put_mae(f, worst);
    size_t n = 0;
    for (size_t i = 0; i < r->n_case; i++) n += test_of(r->case_line[i]) == t;
    fputs(" | ", f);
    if (n > 1) fprintf(f, "%zu cases, the worst: ", n);
    put_case_details(f, worst, tests[t].oracle);
    fputs(" | ", f);
    bool first = true;
    for (size_t i = 0; i < r->n_case; i++) {
        if (test_of(r->case_line[i]) != t) continue;
        if (!first) fputs("<br>", f);
        put_code(f, od_json_text(r->case_line[i], "command"));
        first = false;
    }
    fputs(" |\n", f);
}

/* ---- head and tail ----------------------------------------------------------------------------------------------- */

/* "PASS 11 of 11 tests", "FINDING in 2 of 11 tests; PASS 8, NOT RUN 1". */
static void put_verdict(FILE *f, const size_t *count, size_t total, const char *noun, bool cut_off) {
    int grave = PASS;
    for (int i = 0; i < VERDICTS; i++)
        if (count[i]) grave = i;
    if (cut_off && grave < FINDING) fputs("INCOMPLETE (a result file was cut off): ", f);
    bool skipped_only = grave == SKIPPED && count[PASS] > 0;
    if (grave == PASS || grave == KNOWN || skipped_only) grave = PASS;
    if (grave == PASS)
        fprintf(f, "PASS %zu of %zu %s", count[PASS], total, noun);
    else
        fprintf(f, "%s in %zu of %zu %s", verdicts[grave], count[grave], total, noun);
    const char *between = "; ";
    for (int i = 0; i < VERDICTS; i++) {
        if (i == grave || count[i] == 0) continue;
        fprintf(f, "%s%s %zu", between, verdicts[i], count[i]);
        between = ", ";
    }
}

static void put_head(FILE *f, const od_results *r, bool validation) {
    size_t count[VERDICTS] = {0}, total = validation ? TESTS : r->n_case;
    const json_t *unused;
    for (size_t i = 0; i < total; i++)
        count[validation ? judge_test(r, i, &unused) : gravity(od_json_text(r->case_line[i], "verdict"))]++;
    bool cut_off = false;
    for (size_t i = 0; i < r->n_file; i++)
        cut_off = cut_off || !r->file[i].summary || json_is_true(json_object_get(r->file[i].summary, "interrupted"));
    fprintf(f, "# %s: ", validation ? "Validation report" : "Differential test report");
    put_verdict(f, count, total, validation ? "tests" : "cases", cut_off);
    if (!od_report_is_near(r)) fputs("; too far from float64", f);
    if (!od_report_is_steady(r)) fputs("; a mean shift", f);
    fputs("\n\n", f);
    for (size_t i = 0; i < r->n_file; i++) {
        const json_t *run = r->file[i].run;
        fprintf(f, "%s against ", od_json_text(json_object_get(json_object_get(run, "engines"), "ref"), "name"));
        fprintf(f, "%s (", od_json_text(json_object_get(json_object_get(run, "engines"), "fast"), "name"));
        od_report_put_cell(f, od_json_text(run, "why"));
        fprintf(f, "), %s.", od_json_text(run, "time"));
        if (od_json_text(run, "fault")[0]) fprintf(f, " **Planted fault: %s.**", od_json_text(run, "fault"));
        fputs("\n\n", f);
    }
}

static void put_environment(FILE *f, const json_t *run) {
    const json_t *env = json_object_get(run, "environment"), *engines = json_object_get(run, "engines"), *v;
    static const char *const sides[] = {"ref", "fast"};
    fprintf(f, "| | |\n|---|---|\n| oracle-diff | %s |\n| command | ", od_json_text(run, "version"));
    put_code(f, od_json_text(run, "command"));
    fputs(" |\n", f);
    for (int i = 0; i < 2; i++) {
        const json_t *engine = json_object_get(engines, sides[i]);
        fprintf(f, "| engine %s | ", od_json_text(engine, "name"));
        od_report_put_cell(f, od_json_text(engine, "device"));
        fprintf(f, ", %s |\n", od_json_text(engine, "math_mode"));
    }
    const char *key;
    json_object_foreach((json_t *)env, key, v) {
        fprintf(f, "| %s | ", key);
        if (json_is_string(v))
            od_report_put_cell(f, json_string_value(v));
        else
            fprintf(f, "%lld", (long long)json_integer_value(v));
        fputs(" |\n", f);
    }
    if (od_json_text(run, "envelope")[0]) {
        fputs("| envelope | ", f);
        od_report_put_cell(f, od_json_text(run, "envelope"));
        fputs(" |\n", f);
    }
    fputs("| weights | ", f);
    od_report_put_cell(f, od_json_text(run, "weights"));
    fputs(" |\n", f);
    size_t i;
    json_array_foreach(json_object_get(run, "options"), i, v) {
        fputs("| switch | ", f);
        od_report_put_cell(f, json_is_string(v) ? json_string_value(v) : "?");
        fputs(" |\n", f);
    }
    fputc('\n', f);
}

static void put_not_checked(FILE *f, const od_results *r) {
    fputs("## Not checked\n\n", f);
    size_t random = 0;
    for (size_t i = 0; i < r->n_case; i++) random += strcmp(od_json_text(r->case_line[i], "weights"), "random") == 0;
    for (size_t i = 0; i < r->n_file; i++) {
        const json_t *v;
        size_t k;
        json_array_foreach(json_object_get(r->file[i].run, "not_checked"), k, v) {
            fputs("- ", f);
            od_report_put_cell(f, json_is_string(v) ? json_string_value(v) : "?");
            fputc('\n', f);
        }
    }
    if (random)
        fprintf(f, "- trained weights: in %zu of %zu cases the weights are random, drawn from the case's seed\n",
                random, r->n_case);
    for (size_t i = 0; i < r->n_case; i++) {
        if (strcmp(od_json_text(r->case_line[i], "verdict"), "SKIPPED") != 0) continue;
        fputs("- ", f);
        od_report_put_cell(f, od_json_text(r->case_line[i], "name"));
        fputs(": ", f);
        od_report_put_cell(f, od_json_text(r->case_line[i], "reason"));
        fputc('\n', f);
    }
    fputc('\n', f);
}

static void put_report(FILE *f, const od_results *r) {
    bool validation = is_validation(r);
    put_head(f, r, validation);
    fputs("## Results\n\n", f);
    if (validation) {
        fputs("| Test | Group | Verdict | MAE | Details | Reproduce |\n|---|---|---|---|---|---|\n", f);
        for (size_t t = 0; t < TESTS; t++) put_test_row(f, r, t);
    } else {
        fputs("| Case | Verdict | MAE | Details | Reproduce |\n|---|---|---|---|---|\n", f);
        for (size_t i = 0; i < r->n_case; i++) put_case_row(f, r->case_line[i]);
    }
    fputs("\nMAE: the largest mean absolute error of a compared tensor at any step, in model space.\n\n", f);
    od_report_put_near(f, r);
    od_report_put_digests(f, r);
    od_report_put_steps(f, r);
    od_report_put_shifts(f, r);
    for (size_t i = 0; i < r->n_file; i++) {
        fputs("## Environment\n\n", f);
        put_environment(f, r->file[i].run);
    }
    put_not_checked(f, r);
}

enum od_status od_report_markdown(char **text, const char *const *paths, size_t n, od_error *e) {
    od_results r;
    *text = NULL;
    enum od_status s = od_results_read(&r, paths, n, e);
    if (s != OD_OK) return s;
    size_t size;
    FILE *f = open_memstream(text, &size);
    if (f) put_report(f, &r);
    if (!f || !od_text_close(f, text)) {
        free(*text);
        *text = NULL;
        s = od_fail(e, OD_NO_MEMORY, "no memory for the report");
    }
    od_results_free(&r);
    return s;
}
