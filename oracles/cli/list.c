/* list: engines and devices (and why one is missing), oracles, presets, switches. */
#include <stdlib.h>
#include <string.h>

#include "oracles/cli/cli.h"

enum { MAX_ROWS = 16, COLUMNS = 4 };

/* Cells with room for what is not static. */
typedef struct grid {
    const char *cell[MAX_ROWS * COLUMNS];
    char text[MAX_ROWS][512];
    size_t n;
} grid;

static bool list_engines(void) {
    static const char *const columns[] = {"ENGINE", "STATE", "DEVICE", "ABOUT"};
    grid g = {0};
    const od_engine_api *api;
    for (; g.n < MAX_ROWS && (api = od_cli_engine(g.n)); g.n++) {
        od_error e = {0};
        char device[256] = "", math[64] = "";
        enum od_status s = api->probe ? api->probe(&e) : OD_OK;
        if (s == OD_OK) s = od_cli_device(device, sizeof device, math, sizeof math, api, &e);
        if (s == OD_OK)
            snprintf(g.text[g.n], sizeof g.text[0], "%s, %s", device, math);
        else
            snprintf(g.text[g.n], sizeof g.text[0], "%s", e.text);
        const char *row[] = {api->name, s == OD_OK ? "ready" : "missing", g.text[g.n], api->about ? api->about : ""};
        memcpy(&g.cell[g.n * COLUMNS], row, sizeof row);
    }
    const bool ok = od_grid_print(columns, COLUMNS, 0, g.cell, g.n);
    puts("from outside: ./FILE.so, or exec:COMMAND (docs/worker.md)");
    return ok;
}

static bool list_oracles(void) {
    static const char *const columns[] = {"ORACLE", "IN FUZZ", "REQUIRED", "FAILS WHEN"};
    grid g = {0};
    for (; g.n < OD_ORACLES; g.n++) {
        const od_oracle *o = od_oracle_at((unsigned)g.n);
        const char *row[] = {o->name, o->in_fuzz ? "yes" : "no", o->required ? "yes" : "no", o->about};
        memcpy(&g.cell[g.n * COLUMNS], row, sizeof row);
    }
    return od_grid_print(columns, COLUMNS, 0, g.cell, g.n);
}

static bool list_relations(void) {
    static const char *const columns[] = {"RELATION", "HELD", "DOMAIN", "WHAT MUST HOLD"};
    grid g = {0};
    for (; g.n < OD_RELATIONS; g.n++) {
        const od_relation *r = od_relation_at((unsigned)g.n);
        snprintf(g.text[g.n], sizeof g.text[0], "%s/%s", od_oracle_consistency.name, r->name);
        const char *row[] = {g.text[g.n], r->contract ? "within the contract" : "bit by bit", r->where, r->about};
        memcpy(&g.cell[g.n * COLUMNS], row, sizeof row);
    }
    return od_grid_print(columns, COLUMNS, 0, g.cell, g.n);
}

static bool list_presets(void) {
    static const char *const columns[] = {"PRESET", "DIMENSIONS"};
    grid g = {0};
    for (; g.n < MAX_ROWS && od_config_preset_name(g.n); g.n++) {
        od_config k;
        const char *name = od_config_preset_name(g.n);
        if (od_config_preset(&k, name, NULL) != OD_OK) return false;
        snprintf(g.text[g.n], sizeof g.text[0], "P %zu, D %zu, L %zu, H %zu, M %zu, K %zu, %s", k.patch, k.d_model,
                 k.n_layer, k.n_head, k.d_mlp, k.n_component, od_scaler_name(k.scaler));
        g.cell[g.n * 2] = name;
        g.cell[g.n * 2 + 1] = g.text[g.n];
    }
    return od_grid_print(columns, 2, 0, g.cell, g.n);
}

static bool list_switches(void) {
    static const char *const columns[] = {"SWITCH", "DEFAULT"};
    grid g = {0};
    od_options options = od_options_default();
    for (; g.n < MAX_ROWS && od_options_name(g.n); g.n++) {
        g.cell[g.n * 2] = od_options_name(g.n);
        g.cell[g.n * 2 + 1] = od_options_value(&options, g.n, g.text[g.n], sizeof g.text[0]);
    }
    return od_grid_print(columns, 2, 0, g.cell, g.n);
}

static int run(const od_args *a) {
    od_error e = {0};
    if (a->n_rest > 0) {
        od_fail(&e, OD_BAD_INPUT, "list: '%.200s' is one word too many", a->rest[0]);
        return od_complain(&e);
    }
    bool all = !a->list_engines && !a->list_oracles && !a->list_presets, ok = true;
    if (ok && (all || a->list_engines)) ok = list_engines();
    if (all) puts("");
    if (ok && (all || a->list_oracles)) {
        ok = list_oracles();
        puts("");
        ok = ok && list_relations();
    }
    if (all) puts("");
    if (ok && (all || a->list_presets)) ok = list_presets();
    if (all) puts("");
    if (ok && all) ok = list_switches();
    if (ok) return OD_EXIT_PASS;
    od_fail(&e, OD_NO_MEMORY, "no memory for a table");
    return od_complain(&e);
}

static const struct argp_option options[] = {{"engines", OD_KEY_ENGINES, 0, 0, "Engines alone", 0},
                                             {"oracles", OD_KEY_ORACLES, 0, 0, "Oracles alone", 0},
                                             {"presets", OD_KEY_PRESETS, 0, 0, "Presets alone", 0},
                                             {0}};

const od_command od_cmd_list = {.name = "list",
                                .usage = "",
                                .about = "Print engines and devices, oracles, presets, switches",
                                .options = options,
                                .run = run};
