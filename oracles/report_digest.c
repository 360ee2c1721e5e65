/* The report's section on bits: cases that stand in several results, and where their answers' digests differ. */
#include <string.h>

#include "oracles/report_read.h"

enum { MAX_ROWS = 100 };

/* A case of a later result against the same one of the first result that has it. */
typedef struct twin_lines {
    const json_t *was, *is;
    size_t was_file, is_file;
} twin_lines;

static const json_t *digests(const json_t *line) {
    return json_object_get(line, "digests");
}

/* The first case line with the same hash, in another result above; false: none. */
static bool find_first(twin_lines *out, const od_results *r, size_t i) {
    const json_t *line = r->case_line[i];
    if (json_array_size(digests(line)) == 0) return false;
    for (size_t k = 0; k < i; k++) {
        const json_t *other = r->case_line[k];
        if (r->case_file[k] == r->case_file[i] || json_array_size(digests(other)) == 0 ||
            strcmp(od_json_text(other, "hash"), od_json_text(line, "hash")) != 0)
            continue;
        *out = (twin_lines){.was = other, .is = line, .was_file = r->case_file[k], .is_file = r->case_file[i]};
        return true;
    }
    return false;
}

static const json_t *find_digest(const json_t *line, const json_t *one) {
    const json_t *d;
    size_t i;
    json_array_foreach(digests(line), i,
                       d) if (strcmp(od_json_text(d, "tensor"), od_json_text(one, "tensor")) == 0 &&
                              strcmp(od_json_text(d, "step"), od_json_text(one, "step")) == 0) return d;
    return NULL;
}

/* Classes whose digests are not the same on a side ("ref", "fast"), or that one of the lines lacks; named into f unless
 * it is NULL. */
static size_t count_changed(FILE *f, const twin_lines *t, const char *side) {
    const json_t *one;
    size_t i, n = 0;
    json_array_foreach(digests(t->is), i, one) {
        const json_t *was = find_digest(t->was, one);
        if (was && strcmp(od_json_text(was, side), od_json_text(one, side)) == 0) continue;
        if (f) fprintf(f, "%s%s/%s", n ? ", " : "", od_json_text(one, "tensor"), od_json_text(one, "step"));
        n++;
    }
    json_array_foreach(digests(t->was), i, one) {
        if (find_digest(t->is, one)) continue;
        if (f) fprintf(f, "%s%s/%s", n ? ", " : "", od_json_text(one, "tensor"), od_json_text(one, "step"));
        n++;
    }
    return n;
}

static void put_places(FILE *f, const od_results *r) {
    fputs(
        "| Result | Fast path | Card | Driver | Toolkit | Compiler | CPU | Time |\n|---|---|---|---|---|---|---|---|\n",
        f);
    for (size_t i = 0; i < r->n_file; i++) {
        const json_t *run = r->file[i].run, *env = json_object_get(run, "environment");
        const json_t *fast = json_object_get(json_object_get(run, "engines"), "fast");
        const char *const cells[] = {od_json_text(fast, "device"),  od_json_text(env, "card"),
                                     od_json_text(env, "driver"),   od_json_text(env, "toolkit"),
                                     od_json_text(env, "compiler"), od_json_text(env, "cpu"),
                                     od_json_text(run, "time")};
        fprintf(f, "| %zu | %s: ", i + 1, od_json_text(fast, "name"));
        for (size_t k = 0; k < sizeof cells / sizeof cells[0]; k++) {
            if (k > 0) fputs(" | ", f);
            od_report_put_cell(f, cells[k][0] ? cells[k] : "–");
        }
        fputs(" |\n", f);
    }
    fputc('\n', f);
}

static void put_changed(FILE *f, const twin_lines *t) {
    fputs("| ", f);
    od_report_put_cell(f, od_json_text(t->is, "name"));
    fprintf(f, " | %zu and %zu | ", t->was_file + 1, t->is_file + 1);
    if (count_changed(f, t, "fast") == 0) fputs("same bits", f);
    fputs(" | ", f);
    if (count_changed(f, t, "ref") == 0) fputs("same bits", f);
    fputs(" |\n", f);
}

void od_report_put_digests(FILE *f, const od_results *r) {
    size_t n = 0, fast = 0, ref = 0, either = 0;
    twin_lines t;
    for (size_t i = 0; i < r->n_case; i++) {
        if (!find_first(&t, r, i)) continue;
        const bool a = count_changed(NULL, &t, "fast") > 0, b = count_changed(NULL, &t, "ref") > 0;
        n++;
        fast += a;
        ref += b;
        either += a || b;
    }
    if (n == 0) return;
    fprintf(f,
            "## Same bits?\n\n%zu times a case stands in a result and in one above. Its answers have other bits %zu "
            "times on the fast path, %zu times in the reference.\n\n",
            n, fast, ref);
    put_places(f, r);
    if (either == 0) return;
    fputs("| Case | Results | Other bits on the fast path | In the reference |\n|---|---|---|---|\n", f);
    size_t shown = 0;
    for (size_t i = 0; i < r->n_case && shown < MAX_ROWS; i++) {
        if (!find_first(&t, r, i) || (count_changed(NULL, &t, "fast") == 0 && count_changed(NULL, &t, "ref") == 0))
            continue;
        put_changed(f, &t);
        shown++;
    }
    if (either > shown) fprintf(f, "\nand %zu more\n", either - shown);
    fputc('\n', f);
}
