/* The report's table of mean shifts: summaries' `shifts`, of runs with --policy envelope. */
#include <stdio.h>
#include <string.h>

#include "oracles/report_read.h"

static const json_t *shifts_of(const od_results *r, size_t file) {
    return json_object_get(r->file[file].summary, "shifts");
}

bool od_report_is_steady(const od_results *r) {
    for (size_t i = 0; i < r->n_file; i++) {
        const json_t *one;
        size_t k;
        json_array_foreach(shifts_of(r, i), k,
                           one) if (strcmp(od_json_text(one, "verdict"), "FINDING") == 0) return false;
    }
    return true;
}

/* null stands for what is no finite number. */
static void put_number(FILE *f, const json_t *one, const char *key, const char *format) {
    const json_t *v = json_object_get(one, key);
    fputs(" | ", f);
    if (json_is_number(v))
        fprintf(f, format, json_number_value(v));
    else
        fputs("no finite number", f);
}

void od_report_put_shifts(FILE *f, const od_results *r) {
    bool any = false;
    for (size_t i = 0; i < r->n_file; i++) {
        const json_t *one;
        size_t k;
        json_array_foreach(shifts_of(r, i), k, one) {
            if (!any)
                fputs("## Mean shift\n\nThe mean of fast - ref over the tensors of a case, then over the cases that "
                      "passed, in model space; healthy: the envelope's; z: standard errors between the two.\n\n"
                      "| Class | Step | Cases | Mean | Healthy | z | |\n|---|---|---|---|---|---|---|\n",
                      f);
            any = true;
            fprintf(f, "| %s | %s", od_json_text(one, "tensor"), od_json_text(one, "step"));
            put_number(f, one, "cases", "%.0f");
            put_number(f, one, "mean", "%+.2e");
            put_number(f, one, "healthy", "%+.2e");
            put_number(f, one, "z", "%.1f");
            const char *verdict = od_json_text(one, "verdict");
            fprintf(f, " | %s |\n",
                    strcmp(verdict, "FINDING") == 0 ? "SHIFTED"
                    : strcmp(verdict, "PASS") == 0  ? "ok"
                                                    : "too few cases");
        }
    }
    if (any) fputc('\n', f);
}
