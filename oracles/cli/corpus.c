/* corpus stats: what a corpus shows and what no case of it is. Accuracy alone is judged. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/file.h"
#include "model/json_memory.h"
#include "oracles/cli/cli.h"
#include "oracles/features.h"

enum { MAX_SHAPES = 512, COLUMNS = 6, CELL = 96 };

typedef struct shape {
    char name[48];
    size_t cases;
    double mae, share; /* -1: nothing was compared */
    char mae_case[CELL], share_case[CELL];
} shape;

typedef struct stats {
    shape shapes[MAX_SHAPES]; /* the last one holds what has no room */
    size_t n;
    bool seen[OD_FEATURES];
    od_tally tally;
    od_judge judge;
} stats;

/* ---- what the cases show ----------------------------------------------------------------------------------------- */

static shape *shape_named(stats *s, const char *name) {
    size_t i = 0;
    while (i < s->n && strcmp(s->shapes[i].name, name) != 0) i++;
    if (i == MAX_SHAPES) i--;
    if (i < s->n) return &s->shapes[i];
    s->n++;
    s->shapes[i] = (shape){.mae = -1, .share = -1};
    snprintf(s->shapes[i].name, sizeof s->shapes[i].name, "%s", i == MAX_SHAPES - 1 ? "others" : name);
    return &s->shapes[i];
}

static void note(stats *s, const od_case *c, const od_verdict *v, const char *name) {
    static uint16_t id[OD_FEATURES_OF_CASE];
    shape *of = shape_named(s, v->shape);
    const size_t n = od_features_of(id, OD_FEATURES_OF_CASE, c, v);
    for (size_t i = 0; i < n; i++) s->seen[id[i]] = true;
    of->cases++;
    if (!v->evidence) return;
    const od_row *mae = od_evidence_worst(v->evidence, true), *share = od_evidence_worst(v->evidence, false);
    if (mae && !isnan(of->mae) && !(mae->most_mae <= of->mae)) {
        of->mae = mae->most_mae;
        snprintf(of->mae_case, sizeof of->mae_case, "%s", name);
    }
    if (share && !isnan(of->share) && !(share->share <= of->share)) {
        of->share = share->share;
        snprintf(of->share_case, sizeof of->share_case, "%s", name);
    }
}

static enum od_status play(stats *s, const od_path_list *list, bool progress, od_error *e) {
    static od_case c;
    static od_verdict v;
    for (size_t i = 0; i < list->n; i++) {
        char name[CELL];
        enum od_status status = od_case_read(&c, list->path[i], e);
        if (status != OD_OK) return status;
        od_case_forget_verdict(&c); /* its accuracy is asked for, not what it expects of another oracle */
        od_cli_stem(name, sizeof name, list->path[i]);
        od_judge_case(&v, &s->judge, &c);
        od_tally_add(&s->tally, &v, name);
        if (v.outcome == OD_FINDING) printf("FINDING %s: %s\n  %s\n", list->path[i], v.signature, v.reason);
        if (v.outcome == OD_ERROR) printf("ERROR %s: %s\n", list->path[i], v.reason);
        note(s, &c, &v, name);
        if (progress) fprintf(stderr, "\r\033[K%zu of %zu", i + 1, list->n);
    }
    if (progress) fputs("\r\033[K", stderr);
    return OD_OK;
}

/* ---- as a table and lines ---------------------------------------------------------------------------------------- */

static bool print_shapes(const stats *s) {
    static const char *const columns[] = {"SHAPE", "CASES", "WORST MAE", "OF", "CONTRACT", "OF"};
    const char **cell = calloc(s->n * COLUMNS, sizeof *cell);
    char(*text)[3][24] = calloc(s->n, sizeof *text);
    bool ok = cell && text;
    for (size_t i = 0; ok && i < s->n; i++) {
        const shape *of = &s->shapes[i];
        const char **row = &cell[i * COLUMNS];
        snprintf(text[i][0], sizeof text[i][0], "%zu", of->cases);
        snprintf(text[i][1], sizeof text[i][1], of->mae < 0 ? "-" : "%.2e", of->mae);
        snprintf(text[i][2], sizeof text[i][2], of->share < 0 ? "-" : "%.1f %%", 100 * of->share);
        row[0] = of->name;
        row[1] = text[i][0];
        row[2] = text[i][1];
        row[3] = of->mae_case;
        row[4] = text[i][2];
        row[5] = of->share_case;
    }
    ok = ok && od_grid_print(columns, COLUMNS, 1 << 1 | 1 << 2 | 1 << 4, cell, s->n);
    free(text);
    free(cell);
    return ok;
}

/* One line a family: how many of its features some case has, then those that none has. */
static void print_holes(const stats *s) {
    puts("\nno case has:");
    for (unsigned f = 0; f < OD_FEATURE_FAMILIES; f++) {
        size_t n = 0, missing = 0;
        for (unsigned id = 0; id < OD_FEATURES; id++) {
            if (od_feature_family_of(id) != f || !od_feature_is_reachable(id)) continue;
            n++;
            missing += !s->seen[id];
        }
        if (n == 0) continue;
        printf("  %s (%zu of %zu):", od_feature_family_name(f), missing, n);
        bool first = true;
        for (unsigned id = 0; id < OD_FEATURES; id++) {
            char name[OD_FEATURE_NAME];
            if (od_feature_family_of(id) != f || !od_feature_is_reachable(id) || s->seen[id]) continue;
            printf("%s %s", first ? "" : ";", strchr(od_feature_name(name, sizeof name, id), '=') + 1);
            first = false;
        }
        puts("");
    }
}

/* ---- as JSON (corpus.schema.json) -------------------------------------------------------------------------------- */

static json_t *number(double x) {
    return x < 0 || !isfinite(x) ? json_null() : json_real(x);
}

/* A file's name, whose bytes may be no UTF-8, or cut within a character: then those beyond ASCII become '?'. */
static json_t *case_name(const char *name) {
    json_t *t = json_string(name);
    if (t) return t;
    char clean[CELL];
    size_t n = 0;
    for (; name[n] && n < sizeof clean - 1; n++) clean[n] = (unsigned char)name[n] < 0x80 ? name[n] : '?';
    clean[n] = '\0';
    return json_string(clean);
}

static json_t *shapes_json(const stats *s) {
    json_t *all = json_array();
    for (size_t i = 0; i < s->n; i++) {
        const shape *of = &s->shapes[i];
        json_array_append_new(all, json_pack("{s:s, s:I, s:o, s:o, s:o, s:o}", "shape", of->name, "cases",
                                             (json_int_t)of->cases, "mae", number(of->mae), "mae_case",
                                             case_name(of->mae_case), "share", number(of->share), "share_case",
                                             case_name(of->share_case)));
    }
    return all;
}

static json_t *holes_json(const stats *s) {
    json_t *all = json_object();
    for (unsigned id = 0; id < OD_FEATURES; id++) {
        char name[OD_FEATURE_NAME];
        if (!od_feature_is_reachable(id)) continue;
        const char *family = od_feature_family_name(od_feature_family_of(id));
        if (!json_object_get(all, family)) json_object_set_new(all, family, json_array());
        if (s->seen[id]) continue;
        json_array_append_new(json_object_get(all, family),
                              json_string(strchr(od_feature_name(name, sizeof name, id), '=') + 1));
    }
    return all;
}

static enum od_status write_json(const stats *s, const char *path, od_error *e) {
    json_t *root = json_pack("{s:i, s:s, s:s, s:I, s:o, s:o}", "format", 1, "ref", s->judge.setup.ref->name, "fast",
                             s->judge.setup.fast->name, "cases", (json_int_t)s->tally.cases, "shapes", shapes_json(s),
                             "holes", holes_json(s));
    if (!root || od_json_short()) {
        json_decref(root);
        return od_fail(e, OD_NO_MEMORY, "%.300s: no memory for its text", path);
    }
    char *text = json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    const enum od_status status = text ? od_file_write(path, text, strlen(text), e)
                                       : od_fail(e, OD_NO_MEMORY, "%.300s: no memory for its text", path);
    free(text);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    return strcmp(((const shape *)a)->name, ((const shape *)b)->name);
}

static enum od_status collect(od_path_list *list, const od_args *a, od_error *e) {
    static const char *const usual[] = {"corpus/forward", "corpus/validation", "corpus/regress"};
    if (a->n_rest == 0 || strcmp(a->rest[0], "stats") != 0)
        return od_fail(e, OD_BAD_INPUT, "corpus: what about it? `corpus stats [DIR…]`");
    const bool named = a->n_rest > 1;
    const char *const *dir = named ? a->rest + 1 : usual;
    const size_t n = named ? a->n_rest - 1 : sizeof usual / sizeof *usual;
    enum od_status s = OD_OK;
    for (size_t i = 0; s == OD_OK && i < n; i++) s = od_cli_collect(list, dir[i], e);
    return s;
}

static int run(const od_args *a) {
    od_error e = {0};
    od_path_list list = {0};
    const od_engine_api *ref = NULL, *fast = NULL;
    char why[400];
    stats *s = calloc(1, sizeof *s);
    enum od_status status = s ? collect(&list, a, &e) : od_fail(&e, OD_NO_MEMORY, "no memory for a table");
    if (status == OD_OK && a->json) status = od_cli_writable(a->json, false, &e);
    if (status == OD_OK) status = od_cli_pair(&ref, &fast, why, sizeof why, a, &e);
    if (status == OD_OK) {
        od_judge_init(&s->judge, ref, fast);
        s->judge.setup.oracles = od_oracle_bit(&od_oracle_engine) | od_oracle_bit(&od_oracle_accuracy);
        od_tally_init(&s->tally);
        printf("%s against %s: %s\n", ref->name, fast->name, why);
        status = play(s, &list, !a->quiet && isatty(STDERR_FILENO), &e);
    }
    if (status == OD_OK) {
        qsort(s->shapes, s->n, sizeof s->shapes[0], by_name);
        if (!a->quiet && !print_shapes(s)) status = od_fail(&e, OD_NO_MEMORY, "no memory for a table");
        if (!a->quiet) print_holes(s);
        printf("%zu cases of %zu shape classes\n", list.n, s->n);
    }
    if (status == OD_OK && a->json) status = write_json(s, a->json, &e);
    const int code = status == OD_OK ? od_tally_exit(&s->tally, od_oracles_required(), 0) : od_complain(&e);
    if (s) od_judge_free(&s->judge);
    free(s);
    od_path_list_free(&list);
    return code;
}

static const struct argp_option options[] = {
    {"ref", OD_KEY_REF, "ENGINE", 0, "The reference (default ref)", 0},
    {"fast", OD_KEY_FAST, "ENGINE", 0, "The fast path (default gpu where there is a device, else twin)", 0},
    {"json", OD_KEY_JSON, "FILE", 0, "The same by oracles/corpus.schema.json", 0},
    {"quiet", OD_KEY_QUIET, 0, 0, "Findings and the last line alone", 0},
    {0}};

const od_command od_cmd_corpus = {.name = "corpus",
                                  .usage = "stats [DIR…]",
                                  .about = "Worst error by shape class, and what no case of a corpus covers",
                                  .options = options,
                                  .run = run};
