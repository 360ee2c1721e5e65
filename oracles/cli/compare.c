/* compare: two safetensors files, the first the reference. */
#include <stdlib.h>
#include <string.h>

#include "oracles/cli/cli.h"
#include "oracles/golden.h"
#include "oracles/tolerance.h"

enum { COLUMNS = 6, CELL = 32 };

static bool print_table(const od_golden *g, bool relative) {
    static const char *const contract[] = {"TENSOR", "VERDICT", "MAE", "MAX", "ULP MAX", "% OF BOUND"};
    static const char *const rel[] = {"TENSOR", "VERDICT", "MAE", "MAX", "RELATIVE", "% OF BOUND"};
    const char **cells = calloc(g->n + 1, COLUMNS * sizeof *cells);
    char(*text)[4][CELL] = calloc(g->n + 1, sizeof *text);
    bool ok = cells && text;
    for (size_t i = 0; ok && i < g->n; i++) {
        const od_golden_row *r = &g->row[i];
        cells[i * COLUMNS] = r->name;
        cells[i * COLUMNS + 1] = od_golden_state_name(r->state);
        if (r->state > OD_GOLDEN_DIFFERS || r->state == OD_GOLDEN_EMPTY) continue;
        snprintf(text[i][0], CELL, "%.2e", r->cmp.mae);
        snprintf(text[i][1], CELL, "%.2e", r->cmp.max_abs);
        snprintf(text[i][2], CELL, relative ? "%.2e" : "%.6g", relative ? r->relative : r->cmp.ulp_max);
        snprintf(text[i][3], CELL, "%.1f", 100 * r->used);
        for (int k = 0; k < 4; k++) cells[i * COLUMNS + 2 + k] = text[i][k];
    }
    ok = ok && od_grid_print(relative ? rel : contract, COLUMNS, 0x3c, cells, g->n);
    free(cells);
    free(text);
    return ok;
}

static int run(const od_args *args) {
    od_error e = {0};
    od_safetensors a = {0}, b = {0};
    od_golden g = {0};
    int code = OD_EXIT_PASS;
    enum od_status s = OD_OK;
    if (args->n_rest != 2) s = od_fail(&e, OD_BAD_INPUT, "compare: takes two files, the reference first");
    if (s == OD_OK) s = od_safetensors_open(&a, args->rest[0], &e);
    if (s == OD_OK) s = od_safetensors_open(&b, args->rest[1], &e);
    if (s == OD_OK) s = od_golden_compare(&g, &a, &b, args->relative, &e);
    bool relative = args->relative > 0;
    if (s == OD_OK && !args->quiet && !print_table(&g, relative))
        s = od_fail(&e, OD_NO_MEMORY, "no memory for the table");
    if (s != OD_OK) {
        code = od_complain(&e);
    } else {
        code = g.n_bad ? OD_EXIT_FINDING : g.n_compared ? OD_EXIT_PASS : OD_EXIT_NOTHING;
        printf("%s: %zu tensors compared, %zu outside ",
               code == OD_EXIT_PASS      ? "PASS"
               : code == OD_EXIT_FINDING ? "FINDING"
                                         : "INCONCLUSIVE",
               g.n_compared, g.n_bad);
        if (relative)
            printf("|a-b| <= %g*max(1, |a|)\n", args->relative);
        else
            printf("the contract (MAE %g, any difference %g; forecasts: first patch %g, whole %g)\n", od_bounds.mae,
                   od_bounds.max_abs, od_bounds.mae, od_bounds.free_mae);
    }
    od_golden_free(&g);
    od_safetensors_close(&a);
    od_safetensors_close(&b);
    return code;
}

static const struct argp_option options[] = {
    {"relative", OD_KEY_RELATIVE, "X", 0, "Hold every element to |a-b| <= X*max(1, |a|) instead (ref64: 1e-11)", 0},
    {"quiet", OD_KEY_QUIET, 0, 0, "Print the last line alone", 0},
    {0}};

const od_command od_cmd_compare = {.name = "compare",
                                   .usage = "A.safetensors B.safetensors",
                                   .about = "Hold every tensor of B to A's within the contract",
                                   .options = options,
                                   .run = run};
