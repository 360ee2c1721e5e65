/* baseline: an engine's answers kept in a folder, and another build, card or day held against them. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "oracles/baseline.h"
#include "oracles/cli/cli.h"
#include "oracles/finding.h"
#include "oracles/tolerance.h"

enum { COLUMNS = 8, CELL = 100, MAX_FOLDER = 500, PATH = 2 * OD_CASE_PATH + 8 };

static enum od_status fill_place(od_origin *p, const od_engine_api *api, const od_args *a, od_error *e) {
    od_environment env;
    char device[160], math[32];
    enum od_status s = od_cli_device(device, sizeof device, math, sizeof math, api, e);
    if (s != OD_OK) return s;
    od_environment_fill(&env);
    od_environment_card(&env);
    const char *const facts[OD_ORIGIN_FACTS] = {api->name,
                                                device,
                                                math,
                                                OD_VERSION,
                                                env.build,
                                                env.compiler,
                                                env.toolkit,
                                                env.card[0] ? env.card : "none",
                                                env.driver[0] ? env.driver : "none",
                                                env.cpu,
                                                env.os,
                                                env.time,
                                                ""};
    for (int i = 0; i < OD_ORIGIN_FACTS; i++) snprintf(p->fact[i], sizeof p->fact[i], "%s", facts[i]);
    for (size_t i = 0; i < a->n_set; i++) od_append_word(p->fact[OD_ORIGIN_SET], OD_BASELINE_TEXT, a->set[i]);
    if (!p->fact[OD_ORIGIN_SET][0]) snprintf(p->fact[OD_ORIGIN_SET], OD_BASELINE_TEXT, "nothing");
    if (env.fault[0])
        snprintf(p->fact[OD_ORIGIN_BUILD], OD_BASELINE_TEXT, "%s, planted fault %s", env.build, env.fault);
    return OD_OK;
}

/* A case file or a folder of them. */
static enum od_status collect(od_path_list *list, const char *path, od_error *e) {
    struct stat st;
    if (stat(path, &st) != 0 || S_ISDIR(st.st_mode)) return od_cli_collect(list, path, e);
    char **grown = realloc(list->path, (list->n + 1) * sizeof *grown);
    if (grown) {
        list->path = grown;
        list->cap = list->n + 1;
        list->path[list->n] = strdup(path);
    }
    if (!grown || !list->path[list->n]) return od_fail(e, OD_NO_MEMORY, "no memory for a path");
    list->n++;
    return OD_OK;
}

static enum od_status read_case(od_case *c, const char *path, const od_args *a, od_error *e) {
    enum od_status s = od_case_read(c, path, e);
    for (size_t i = 0; s == OD_OK && i < a->n_set; i++) s = od_options_set(&c->options, a->set[i], e);
    return s;
}

/* Builds the case and plays it. *skipped: the engine cannot. */
static enum od_status answer(od_trace *trace, bool *skipped, const od_engine_api *api, od_case *c, const char *path,
                             od_error *e) {
    od_script script = {0};
    char why[200] = "";
    *skipped = api->can && !api->can(c, why, sizeof why);
    if (*skipped) {
        printf("SKIPPED %s: %s cannot: %s\n", path, api->name, why);
        return OD_OK;
    }
    enum od_status s = od_script_create(&script, c, e);
    if (s == OD_OK) s = od_baseline_play(trace, api, &script, e);
    if (s != OD_OK) od_error_prefix(e, "%.300s", path);
    od_script_destroy(&script);
    return s;
}

/* ---- save -------------------------------------------------------------------------------------------------------- */

static enum od_status refuse_another(const char *dir, od_error *e) {
    char path[2 * OD_CASE_PATH];
    struct stat st;
    snprintf(path, sizeof path, "%.1000s/baseline.json", dir);
    if (stat(path, &st) == 0)
        return od_fail(e, OD_BAD_INPUT, "%.300s holds a baseline already: another folder would be right", dir);
    return od_make_folder(dir, e);
}

/* Every case is read before any is run, and none may be there twice. */
static enum od_status read_all(const od_path_list *list, od_case *c, const od_args *a, od_error *e) {
    uint64_t *hash = calloc(list->n + 1, sizeof *hash);
    enum od_status s = hash ? OD_OK : od_fail(e, OD_NO_MEMORY, "no memory for %zu cases", list->n);
    for (size_t i = 0; s == OD_OK && i < list->n; i++) {
        s = read_case(c, list->path[i], a, e);
        hash[i] = s == OD_OK ? od_case_hash(c) : 0;
        if (s == OD_OK && hash[i] == 0) s = od_fail(e, OD_NO_MEMORY, "%.150s: no memory for its text", list->path[i]);
        for (size_t k = 0; s == OD_OK && k < i; k++)
            if (hash[k] == hash[i])
                s = od_fail(e, OD_BAD_INPUT, "%.150s and %.150s are the same case", list->path[k], list->path[i]);
    }
    free(hash);
    return s;
}

static int save(const od_args *a, const od_engine_api *api) {
    const char *dir = a->rest[1];
    od_baseline b = {0};
    od_path_list list = {0};
    od_trace trace = {0};
    od_case *c = malloc(sizeof *c);
    od_error e = {0};
    size_t n_skipped = 0;
    enum od_status s = c ? OD_OK : od_fail(&e, OD_NO_MEMORY, "no memory for a case");
    if (s == OD_OK && a->n_rest < 3)
        s = od_fail(&e, OD_BAD_INPUT, "baseline save: of which cases? Name case files or folders behind %.200s", dir);
    for (size_t i = 2; s == OD_OK && i < a->n_rest; i++) s = collect(&list, a->rest[i], &e);
    if (s == OD_OK) s = read_all(&list, c, a, &e);
    if (s == OD_OK) s = fill_place(&b.place, api, a, &e);
    if (s == OD_OK) s = refuse_another(dir, &e);
    for (size_t i = 0; s == OD_OK && i < list.n; i++) {
        char name[OD_CASE_PATH];
        bool skipped = false;
        od_cli_stem(name, sizeof name, list.path[i]);
        s = read_case(c, list.path[i], a, &e);
        if (s == OD_OK) s = answer(&trace, &skipped, api, c, list.path[i], &e);
        n_skipped += skipped;
        if (s == OD_OK && !skipped) s = od_baseline_keep(&b, dir, name, c, &trace, &e);
    }
    if (s == OD_OK && b.n > 0) s = od_baseline_write(&b, dir, &e);
    int code = s != OD_OK ? od_complain(&e) : b.n > 0 ? OD_EXIT_PASS : OD_EXIT_NOTHING;
    if (s == OD_OK)
        printf("%s: %zu cases by %s on %s (%s), %zu skipped\n", dir, b.n, api->name, b.place.fact[OD_ORIGIN_DEVICE],
               b.place.fact[OD_ORIGIN_MATH], n_skipped);
    od_trace_free(&trace);
    od_path_list_free(&list);
    od_baseline_free(&b);
    free(c);
    return code;
}

/* ---- check ------------------------------------------------------------------------------------------------------- */

static void print_places(const od_origin *was, const od_origin *is) {
    for (int i = 0; i < OD_ORIGIN_FACTS; i++)
        if (strcmp(was->fact[i], is->fact[i]) == 0)
            printf("%-9s %s\n", od_origin_name(i), is->fact[i]);
        else
            printf("%-9s %s -> %s\n", od_origin_name(i), was->fact[i], is->fact[i]);
}

/* A case's name without the hash that its file has besides. */
static int name_length(const char *file) {
    const char *dash = strrchr(file, '-');
    return dash ? (int)(dash - file) : (int)strlen(file);
}

/* A case's file ends in its hash. */
static bool is_of_file(uint64_t case_hash, const char *file) {
    char hash[18];
    const size_t n = strlen(file),
                 length = (size_t)snprintf(hash, sizeof hash, "-%016llx", (unsigned long long)case_hash);
    return n >= length && strcmp(file + n - length, hash) == 0;
}

/* compared: the cases' files, in order. */
static bool print_table(const od_changes *sum, const char *const *compared) {
    static const char *const columns[COLUMNS] = {"CLASS", "TENSORS", "CHANGED",       "MAE",
                                                 "MAX",   "ULP MAX", "% OF CONTRACT", "WORST"};
    const char *cells[OD_TENSORS * COLUMNS];
    char text[OD_TENSORS][COLUMNS][CELL];
    size_t n = 0;
    for (int t = 0; t < OD_TENSORS; t++) {
        const od_change *c = &sum->of[t];
        if (c->n == 0) continue;
        snprintf(text[n][0], CELL, "%s", od_tensor_class_name((enum od_tensor_class)t));
        snprintf(text[n][1], CELL, "%zu", c->n);
        snprintf(text[n][2], CELL, "%zu", c->changed);
        for (int k = 3; k < COLUMNS; k++) text[n][k][0] = '\0';
        if (c->changed) {
            snprintf(text[n][3], CELL, "%.2e", c->worst.mae);
            snprintf(text[n][4], CELL, "%.2e", c->worst.max_abs);
            snprintf(text[n][5], CELL, "%.6g", c->worst.ulp_max);
            snprintf(text[n][6], CELL, "%.1f", 100 * c->share);
            const char *file = compared[c->at];
            snprintf(text[n][7], sizeof text[n][7], "%.30s of %.*s", c->name, name_length(file), file);
        }
        for (int k = 0; k < COLUMNS; k++) cells[n * COLUMNS + (size_t)k] = text[n][k];
        n++;
    }
    return od_grid_print(columns, COLUMNS, 0x7e, cells, n);
}

static void case_path(char path[PATH], const char *dir, const od_baseline_case *item) {
    snprintf(path, PATH, "%.500s/%s.json", dir, item->file);
}

/* Every case is looked at before any is run. */
static enum od_status verify(const char *dir, const od_baseline_case *item, od_case *c, od_error *e) {
    char path[PATH];
    case_path(path, dir, item);
    enum od_status s = od_case_read(c, path, e);
    const uint64_t hash = s == OD_OK ? od_case_hash(c) : 0;
    if (s == OD_OK && hash == 0) s = od_fail(e, OD_NO_MEMORY, "%.300s: no memory for its text", path);
    if (s == OD_OK && !is_of_file(hash, item->file))
        s = od_fail(e, OD_BAD_INPUT, "%.300s: not the case that the baseline was made with: make the baseline anew",
                    path);
    return s;
}

static enum od_status check_case(od_changes *sum, const char **compared, const char *dir, const od_baseline_case *item,
                                 const od_engine_api *api, const od_args *a, od_trace *trace, od_case *c, od_error *e) {
    char path[PATH];
    bool skipped = false;
    const size_t changed = sum->changed, bad = sum->bad, n = sum->n;
    case_path(path, dir, item);
    enum od_status s = read_case(c, path, a, e);
    if (s == OD_OK) s = answer(trace, &skipped, api, c, path, e);
    if (s == OD_OK && !skipped) compared[sum->n_case] = item->file;
    if (s == OD_OK && !skipped) s = od_baseline_compare(sum, dir, item, c, trace, e);
    if (s == OD_OK && sum->changed > changed && !a->quiet)
        printf("%-8s %s: %zu of %zu tensors have other bits, %zu outside the contract\n",
               sum->bad > bad ? "FINDING" : "changed", item->file, sum->changed - changed, sum->n - n, sum->bad - bad);
    return s;
}

static int verdict(const od_changes *sum, const char *const *compared, size_t n_skipped) {
    const int code = !od_changes_hold(sum) ? OD_EXIT_FINDING : sum->n ? OD_EXIT_PASS : OD_EXIT_NOTHING;
    if (!print_table(sum, compared)) fprintf(stderr, "oracle-diff: no memory for the table\n");
    if (sum->structure[0]) printf("FINDING %s\n", sum->structure);
    printf("%s: %zu of %zu tensors of %zu cases have other bits, %zu outside the contract (MAE %g, any difference %g), "
           "%zu cases skipped\n",
           code == OD_EXIT_PASS      ? "PASS"
           : code == OD_EXIT_FINDING ? "FINDING"
                                     : "INCONCLUSIVE",
           sum->changed, sum->n, sum->n_case, sum->bad, od_bounds.mae, od_bounds.max_abs, n_skipped);
    return code;
}

static int check(const od_args *a, const od_engine_api *api) {
    const char *dir = a->rest[1];
    od_baseline b = {0};
    od_origin place;
    od_changes sum = {0};
    od_trace trace = {0};
    od_case *c = malloc(sizeof *c);
    od_error e = {0};
    const char **compared = NULL;
    enum od_status s = c ? OD_OK : od_fail(&e, OD_NO_MEMORY, "no memory for a case");
    if (s == OD_OK && a->n_rest > 2)
        s = od_fail(&e, OD_BAD_INPUT, "baseline check: '%.200s' is one word too many: the folder says which cases",
                    a->rest[2]);
    if (s == OD_OK) s = od_baseline_read(&b, dir, &e);
    if (s == OD_OK) s = fill_place(&place, api, a, &e);
    if (s == OD_OK && !(compared = calloc(b.n + 1, sizeof *compared)))
        s = od_fail(&e, OD_NO_MEMORY, "no memory for %zu cases", b.n);
    for (size_t i = 0; s == OD_OK && i < b.n; i++) s = verify(dir, &b.item[i], c, &e);
    if (s == OD_OK) print_places(&b.place, &place);
    for (size_t i = 0; s == OD_OK && i < b.n; i++)
        s = check_case(&sum, compared, dir, &b.item[i], api, a, &trace, c, &e);
    const int code = s == OD_OK ? verdict(&sum, compared, b.n - sum.n_case) : od_complain(&e);
    free(compared);
    od_trace_free(&trace);
    od_baseline_free(&b);
    free(c);
    return code;
}

static int run(const od_args *a) {
    od_error e = {0};
    const od_engine_api *ref = NULL, *fast = NULL;
    char why[400];
    const char *what = a->n_rest > 0 ? a->rest[0] : "";
    enum od_status s = OD_OK;
    if (!what[0])
        s = od_fail(&e, OD_BAD_INPUT, "baseline: save or check?");
    else if (strcmp(what, "save") != 0 && strcmp(what, "check") != 0)
        s = od_fail(&e, OD_BAD_INPUT, "baseline: save or check? '%.100s' is neither", what);
    else if (a->n_rest < 2)
        s = od_fail(&e, OD_BAD_INPUT, "baseline %s: which folder?", what);
    else if (strlen(a->rest[1]) > MAX_FOLDER)
        s = od_fail(&e, OD_BAD_INPUT, "baseline %s: the folder's path has more than %d bytes", what, MAX_FOLDER);
    if (s == OD_OK) s = od_cli_pair(&ref, &fast, why, sizeof why, a, &e);
    if (s != OD_OK) return od_complain(&e);
    return strcmp(what, "save") == 0 ? save(a, fast) : check(a, fast);
}

static const struct argp_option options[] = {
    {"fast", OD_KEY_FAST, "ENGINE", 0, "Whose answers (default gpu where a device is found, else twin)", 0},
    {"set", OD_KEY_SET, "NAME=VALUE", 0, "Put a switch over the cases' own. Repeatable", 0},
    {"quiet", OD_KEY_QUIET, 0, 0, "No line for each case that has changed", 0},
    {0}};

const od_command od_cmd_baseline = {.name = "baseline",
                                    .usage = "save DIR CASE…\ncheck DIR",
                                    .about = "Keep an engine's answers, or hold it against those kept",
                                    .options = options,
                                    .run = run};
