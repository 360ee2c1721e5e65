/* The report's table of breached relations by decode step: results' `relations[].steps`. */
#include <stdio.h>
#include <string.h>

#include "oracles/report_read.h"

static bool is_breached(const json_t *relation) {
    return strcmp(od_json_text(relation, "verdict"), "FINDING") == 0 &&
           json_array_size(json_object_get(relation, "steps")) > 0;
}

static void put_row(FILE *f, const char *name, const json_t *relation) {
    const json_t *step;
    size_t i;
    json_array_foreach(json_object_get(relation, "steps"), i, step) {
        fputs("| ", f);
        od_report_put_cell(f, name);
        fprintf(f, " | %s | %lld | %lld | %zu | ", od_json_text(relation, "relation"),
                (long long)json_integer_value(json_object_get(step, "op")),
                (long long)json_integer_value(json_object_get(step, "session")), i + 1);
        fprintf(f, "%.2e | %.2e |\n", od_json_number(step, "mae"), od_json_number(step, "max_abs"));
    }
}

void od_report_put_steps(FILE *f, const od_results *r) {
    bool any = false;
    for (size_t i = 0; i < r->n_case; i++) {
        const json_t *relation;
        size_t k;
        json_array_foreach(json_object_get(r->case_line[i], "relations"), k, relation) {
            if (!is_breached(relation)) continue;
            if (!any)
                fputs("## Relations that do not hold, by decode step\n\nThe fast path against itself, played another "
                      "way (docs/consistency.md); a step's errors are those of its worst tensor, in model space.\n\n"
                      "| Case | Relation | Op | Session | Step | MAE | Largest difference |\n"
                      "|---|---|---|---|---|---|---|\n",
                      f);
            any = true;
            put_row(f, od_json_text(r->case_line[i], "name"), relation);
        }
    }
    if (any) fputc('\n', f);
}
