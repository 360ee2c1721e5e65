/* Parts of one case put into another: crossover's, and the mutator's. */
#include <string.h>

#include "model/case_internal.h"

/* Its CSV is then named from the folder of c; where that cannot be, c keeps its own series. */
static void take_series(od_case *c, const od_case *from) {
    char path[OD_CASE_PATH] = "";
    if (from->csv.path[0] && od_case_rebase(path, from, from->csv.path, c->path, NULL)) return;
    c->batch = from->batch;
    c->variates = from->variates;
    c->generator = from->generator;
    c->series_seed = from->series_seed;
    c->scale = from->scale;
    c->missing = from->missing;
    c->left_padding = from->left_padding;
    c->padded_variate = from->padded_variate;
    c->n_group = from->n_group;
    memcpy(c->group, from->group, sizeof c->group);
    c->csv = from->csv;
    memcpy(c->csv.path, path, sizeof path);
    c->n_column = from->n_column;
    memcpy(c->column, from->column, sizeof c->column);
    c->csv_start = from->csv_start;
    c->csv_stride = from->csv_stride;
}

static void take_model(od_case *c, const od_case *from) {
    if (from->model_folder[0] || c->model_folder[0]) return;
    memcpy(c->preset, from->preset, sizeof c->preset);
    c->config = from->config;
    c->weight_seed = from->weight_seed;
    c->gain = from->gain;
}

void od_case_take(od_case *c, const od_case *from, unsigned parts) {
    if (parts & OD_PART_MODEL) take_model(c, from);
    if (parts & OD_PART_SERIES) take_series(c, from);
    if (parts & OD_PART_SCHEDULE) {
        memcpy(c->op, from->op, sizeof c->op);
        c->n_op = from->n_op;
    }
    if (parts & OD_PART_OPTIONS) c->options = from->options;
}
