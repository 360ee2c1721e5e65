/* show: a case in words. */
#include <stdlib.h>
#include <string.h>

#include "oracles/cli/cli.h"

static void show_model(const od_case *c, const od_model *m) {
    const od_config *k = &m->config;
    printf("model      %s: P %zu, D %zu, L %zu, H %zu, M %zu, %zu parameters\n",
           c->model_folder[0] ? c->model_folder
           : c->preset[0]     ? c->preset
                              : "dimensions of its own",
           k->patch, k->d_model, k->n_layer, k->n_head, k->d_mlp, m->n_param);
    printf("           %s", od_scaler_name(k->scaler));
    if (k->scaler == OD_SCALER_CAUSAL_PATCH_STD_MEAN)
        printf(k->stabilize ? " (clamped, exponent %g)" : " (not clamped)", k->scale_exponent);
    if (k->mixture)
        printf(", mixture of %zu Student-T", k->n_component);
    else
        printf(", one Student-T");
    if (k->space_every)
        printf(", space-wise %s of every %zu layers", k->space_first ? "first" : "last", k->space_every);
    else
        printf(", no space-wise layer");
    printf(", xPos centre: %s\n", od_xpos_name(k->xpos));
    if (c->model_folder[0])
        printf("weights    from that folder\n");
    else
        printf("weights    random, seed %llu, gain %g\n", (unsigned long long)c->weight_seed, c->gain);
}

static void show_series(const od_case *c) {
    printf("series     %u x %u, ", c->batch, c->variates);
    if (c->generator == OD_GEN_CSV) {
        printf("%s from row %u, columns", c->csv.path, c->csv_start);
        for (unsigned i = 0; i < c->n_column; i++) printf(" %s", c->column[i]);
    } else {
        printf("%s, seed %llu", od_generator_name(c->generator), (unsigned long long)c->series_seed);
    }
    if (c->scale != 1) printf(", times %g", c->scale);
    if (c->missing > 0) printf(", %g %% missing", 100 * c->missing);
    if (c->left_padding) printf(", %u steps of padding", c->left_padding);
    if (c->padded_variate >= 0) printf(", variate %d all padding", c->padded_variate);
    if (c->n_group) printf(", in groups");
    printf("\n");
}

static void show_schedule(const od_case *c) {
    for (unsigned i = 0; i < c->n_op; i++) {
        const od_op *op = &c->op[i];
        printf("%s %2u  ", i ? "        " : "schedule", i);
        if (op->kind == OD_OP_RECAPTURE)
            printf("recapture: drop all graphs\n");
        else if (op->kind == OD_OP_RESET)
            printf("session %u: reset\n", op->session);
        else if (op->kind == OD_OP_PREFILL)
            printf("session %u: prefill %u steps\n", op->session, op->steps);
        else
            printf("session %u: decode %u %s, %s\n", op->session, op->patches, op->patches == 1 ? "patch" : "patches",
                   op->own ? "free-running on its own mean" : "teacher-forced from the series");
    }
}

static void show_options(const od_case *c) {
    printf("options   ");
    char value[64];
    for (size_t i = 0; od_options_name(i); i++)
        printf(" %s=%s", od_options_name(i), od_options_value(&c->options, i, value, sizeof value));
    printf("\n");
    if (c->only_scaler) printf("compare    the scaler's loc and scale alone\n");
    printf("expect     %s\n", c->expect[0] ? c->expect : "pass");
    if (!c->found_verdict[0]) return;
    printf("found      %s %s\n           %s, value %g, bound %g\n           %s\n", c->found_verdict, c->found_signature,
           c->found_pair, c->found_value, c->found_bound, c->found_environment);
}

static int run(const od_args *args) {
    od_error e = {0};
    od_model *model = NULL;
    static od_case c;
    enum od_status s = OD_OK;
    if (args->n_rest != 1) s = od_fail(&e, OD_BAD_INPUT, "show: takes the path of one case");
    if (s == OD_OK) s = od_case_read(&c, args->rest[0], &e);
    if (s == OD_OK) s = od_case_model(&model, &c, &e);
    if (s != OD_OK) return od_complain(&e);
    printf("case       %s (%016llx)\n", args->rest[0], (unsigned long long)od_case_hash(&c));
    if (c.note[0]) printf("note       %s\n", c.note);
    show_model(&c, model);
    show_series(&c);
    show_schedule(&c);
    show_options(&c);
    od_model_destroy(model);
    return OD_EXIT_PASS;
}

const od_command od_cmd_show = {.name = "show", .usage = "CASE", .about = "Print a case in words", .run = run};
