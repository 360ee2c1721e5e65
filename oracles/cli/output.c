/* Tables, by libsmartcols. */
#include <libsmartcols.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/file.h"
#include "oracles/cli/cli.h"
#include "oracles/tolerance.h"

enum { MAX_DETAILS = 20 };

static char *formatted(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *formatted(const char *format, ...) {
    va_list args;
    char *text = NULL;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) text = NULL;
    va_end(args);
    return text;
}

/* A signature's first part: "accuracy/loc/own". Shape and pair follow below the table. */
static void put_short(FILE *f, const char *signature) {
    int slashes = 0;
    for (; *signature && (slashes += *signature == '/') < 3; signature++) fputc(*signature, f);
}

/* Oracles whose PASS comes with figures that results keep and a table has no room for. */
static bool has_figures(const od_oracle *oracle) {
    return oracle == &od_oracle_speed || oracle == &od_oracle_consistency;
}

/* What else a reader should know, in short: rulings that are no plain PASS. INCONCLUSIVE oracles that are not required
 * are counted below the table instead. */
static char *notes(const od_verdict *v, unsigned required) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    const char *between = "";
    if (v->asked == 0) fprintf(f, "%s", v->reason);
    if (v->recheck.judged && od_recheck_is_flaky(&v->recheck)) {
        char mark[24];
        fprintf(f, "%s: ", od_recheck_mark(mark, sizeof mark, &v->recheck));
    }
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        const od_ruling *r = &v->ruling[i];
        if (!(v->asked >> i & 1) || r->outcome == OD_SKIPPED) continue;
        if (r->outcome == OD_PASS && (!r->reason[0] || has_figures(od_oracle_at(i)))) continue;
        if (r->outcome == OD_INCONCLUSIVE && !(required >> i & 1)) continue;
        fputs(between, f);
        if (r->outcome != OD_PASS && r->outcome != v->outcome) fprintf(f, "%s: ", od_outcome_name(r->outcome));
        if (r->signature[0])
            put_short(f, r->signature);
        else if (r->outcome == OD_PASS) /* what stands before the colon; results have the rest */
            fprintf(f, "%.*s", (int)strcspn(r->reason, ":"), r->reason);
        else
            fprintf(f, "%s: %s", od_oracle_at(i)->name, r->reason);
        between = "; ";
    }
    return od_text_close(f, &text) ? text : NULL;
}

/* A finding in full: what, who is nearer, where the case lies, how to run it again. */
static char *details(const char *name, const od_verdict *v, const char *finding, const char *command) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    char shown[OD_CASE_PATH];
    od_cli_show(shown, sizeof shown, name);
    fprintf(f, "FINDING  %s\n", shown);
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (v->ruling[i].outcome == OD_FINDING && (v->asked >> i & 1))
            fprintf(f, "  %-12s%s\n              %s\n", od_oracle_at(i)->name, v->ruling[i].reason,
                    v->ruling[i].signature);
    char needed[160];
    if (v->evidence && od_evidence_needed_text(needed, sizeof needed, v->evidence)[0])
        fprintf(f, "  tolerance   %s\n", needed);
    if (strncmp(v->signature, "expect/", 7) == 0) fprintf(f, "  %s\n", v->reason);
    if (v->evidence && v->evidence->arbitration.ran) {
        const od_arbitration *a = &v->evidence->arbitration;
        fprintf(f, "  ref64       nearer: %s; %s/%s is off by %.2e in the reference, %.2e in the fast path\n",
                a->nearer, od_tensor_class_name(a->cls), od_step_class_name(a->step), a->ref_mae, a->fast_mae);
    }
    char again[160];
    if (v->recheck.judged) fprintf(f, "  again       %s\n", od_recheck_text(again, sizeof again, &v->recheck));
    od_cli_show(shown, sizeof shown, finding);
    if (finding[0]) fprintf(f, "  case        %s\n", shown);
    fprintf(f, "  replay      %s\n", command);
    return od_text_close(f, &text) ? text : NULL;
}

bool od_table_row_fill(od_table_row *row, const char *name, const od_verdict *v, unsigned required, const char *finding,
                       const char *command) {
    const od_row *share = v->evidence ? od_evidence_worst(v->evidence, false) : NULL;
    const od_row *mae = v->evidence ? od_evidence_worst(v->evidence, true) : NULL;
    *row = (od_table_row){
        .outcome = v->outcome,
        .name = formatted("%s", name),
        .verdict = formatted("%s", od_outcome_name(v->outcome)),
        .mae = mae ? formatted("%.2e", mae->most_mae) : NULL,
        .share = share ? formatted("%.1f", 100 * share->share) : NULL,
        .where = share ? formatted("%s/%s", od_tensor_class_name(share->cls), od_step_class_name(share->step)) : NULL,
        .notes = notes(v, required),
        .details = v->outcome == OD_FINDING ? details(name, v, finding, command) : NULL};
    return row->name && row->verdict && row->notes && !row->mae == !mae && !row->share == !share &&
           !row->where == !share && !row->details == (v->outcome != OD_FINDING);
}

void od_table_row_free(od_table_row *row) {
    free(row->name);
    free(row->verdict);
    free(row->mae);
    free(row->share);
    free(row->where);
    free(row->notes);
    free(row->details);
    *row = (od_table_row){0};
}

bool od_grid_print(const char *const *columns, size_t n_column, unsigned right, const char *const *cells,
                   size_t n_row) {
    struct libscols_table *t = scols_new_table();
    bool ok = t != NULL;
    for (size_t i = 0; ok && i < n_column; i++)
        ok = scols_table_new_column(t, columns[i], 0, right >> i & 1 ? SCOLS_FL_RIGHT : 0) != NULL;
    for (size_t i = 0; ok && i < n_row; i++) {
        struct libscols_line *line = scols_table_new_line(t, NULL);
        ok = line != NULL;
        for (size_t k = 0; ok && k < n_column; k++) {
            const char *cell = cells[i * n_column + k];
            ok = scols_line_set_data(line, k, cell ? cell : "") == 0;
        }
    }
    fflush(stdout);
    if (ok) {
        scols_table_enable_nowrap(t, 1);
        ok = scols_print_table(t) == 0;
    }
    scols_unref_table(t);
    return ok;
}

bool od_table_print(const od_table_row *rows, size_t n, bool bad_only) {
    static const char *const columns[] = {"CASE", "VERDICT", "WORST MAE", "% OF CONTRACT", "AT", "NOTES"};
    const char **cells = calloc(n ? n * 6 : 1, sizeof *cells);
    if (!cells) return false;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        const od_table_row *r = &rows[i];
        if (bad_only && (r->outcome == OD_PASS || r->outcome == OD_KNOWN || r->outcome == OD_SKIPPED)) continue;
        const char *line[] = {r->name, r->verdict, r->mae, r->share, r->where, r->notes};
        memcpy(cells + 6 * k++, line, sizeof line);
    }
    bool ok = k == 0 || od_grid_print(columns, 6, 0xc, cells, k);
    free(cells);
    for (size_t i = 0, shown = 0; i < n; i++) {
        if (!rows[i].details) continue;
        if (shown++ < MAX_DETAILS)
            printf("%s", rows[i].details);
        else if (shown == MAX_DETAILS + 1)
            printf("further findings: see the table and the folder of findings\n");
    }
    return ok;
}

bool od_nearness_print(const od_tally *t) {
    static const char *const columns[] = {"CLASS", "TENSORS", "GEOMETRIC MEAN", "WORST RATIO", "REF", "FAST", "AT", ""};
    enum { COLUMNS = sizeof columns / sizeof columns[0] };
    const char *cells[OD_TENSORS * COLUMNS] = {0};
    size_t n = 0;
    for (int i = 0; i < OD_TENSORS; i++) {
        const od_nearness *near = &t->near[i];
        if (near->n == 0) continue;
        const char **cell = &cells[COLUMNS * n++];
        cell[0] = formatted("%s", od_tensor_class_name((enum od_tensor_class)i));
        cell[1] = formatted("%zu", near->n);
        cell[2] = formatted("%.3f", od_nearness_mean(near));
        cell[3] = formatted("%.3g", near->ratio);
        cell[4] = formatted("%.2e", near->ref);
        cell[5] = formatted("%.2e", near->fast);
        cell[6] = formatted("%s, op %u call %u of %s", near->name, near->at.op, near->at.call, t->near_case[i]);
        cell[7] = !od_nearness_holds(near) ? formatted("TOO FAR (%zu)", near->n_far)
                                           : formatted("%s", od_nearness_is_judged(near) ? "ok" : "few values");
    }
    if (n == 0) return true;
    bool ok = true;
    for (size_t i = 0; i < COLUMNS * n; i++) ok = ok && cells[i];
    printf(
        "distance from float64, fast over reference: geometric mean at most %g a class; one tensor at most %g, or at "
        "most %g itself: %s\n",
        od_bounds.near_mean, od_bounds.near_each, od_bounds.near_abs, od_tally_is_near(t) ? "holds" : "TOO FAR");
    ok = od_grid_print(columns, COLUMNS, 0x3e, cells, n) && ok;
    for (size_t i = 0; i < COLUMNS * n; i++) free((void *)(uintptr_t)cells[i]);
    return ok;
}

bool od_kinds_print(const od_kinds *kinds) {
    static const char *const columns[] = {"KIND OF FINDING", "FINDINGS", "FIRST"};
    const char *cells[OD_KINDS * 3] = {0};
    uint64_t all = kinds->more;
    bool ok = true;
    for (size_t i = 0; i < kinds->n; i++) all += kinds->kind[i].n;
    if (all < 2) return true;
    for (size_t i = 0; i < kinds->n; i++) {
        cells[3 * i] = kinds->kind[i].pattern;
        cells[3 * i + 1] = formatted("%llu", (unsigned long long)kinds->kind[i].n);
        cells[3 * i + 2] = kinds->kind[i].first;
        ok = ok && cells[3 * i + 1];
    }
    ok = ok && od_grid_print(columns, 3, 2, cells, kinds->n);
    for (size_t i = 0; i < kinds->n; i++) free((void *)(uintptr_t)cells[3 * i + 1]);
    if (kinds->more) printf("and %llu of further kinds\n", (unsigned long long)kinds->more);
    return ok;
}

static int decimals(double seconds) {
    return seconds >= 100 ? 0 : seconds >= 1 ? 1 : 4;
}

void od_spent_print(const od_spent *s) {
    printf("judging %.*f s (%.1f %% of the engines' %.*f s), arbiter %.*f s, generation %.*f s\n", decimals(s->judging),
           s->judging, 100 * od_spent_share(s), decimals(s->engines), s->engines, decimals(s->arbiter), s->arbiter,
           decimals(s->generation), s->generation);
}
