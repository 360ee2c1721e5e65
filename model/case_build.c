/* What a case stands for: its model and its series. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "model/case_internal.h"
#include "model/file.h"

/* ---- model ------------------------------------------------------------------------------------------------------- */

static enum od_status check_digest(const char *path, uint64_t bytes, uint64_t xxh64, const od_case_file *said,
                                   od_error *e) {
    if (bytes != said->bytes)
        return od_fail(e, OD_BAD_INPUT, "%s: has %" PRIu64 " bytes, the case says %" PRIu64, path, bytes, said->bytes);
    if (xxh64 != said->xxh64)
        return od_fail(e, OD_BAD_INPUT, "%s: XXH64 is %016" PRIx64 ", the case says %016" PRIx64, path, xxh64,
                       said->xxh64);
    return OD_OK;
}

/* dir/name has the size and the hash that the case says. */
static enum od_status check_file(const char *dir, const char *name, const od_case_file *said, od_error *e) {
    char path[OD_CASE_PATH * 2 + 32];
    uint64_t bytes, xxh64;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    enum od_status st = od_file_digest(&bytes, &xxh64, path, e);
    return st ? st : check_digest(path, bytes, xxh64, said, e);
}

static enum od_status load_folder(od_model **out, od_case *c, od_error *e) {
    char dir[OD_CASE_PATH * 2], warning[256] = "";
    enum od_status st = od_path_beside(dir, sizeof dir, c->path, c->model_folder, e);
    if (!st) st = check_file(dir, "config.json", &c->model_config, e);
    if (!st) st = check_file(dir, "model.safetensors", &c->model_weights, e);
    if (!st) st = od_model_load(out, dir, c->config.xpos, warning, sizeof warning, e);
    if (st) return st;
    c->config = (*out)->config;
    st = od_case_check(c, e); /* now that patches and sizes are known */
    if (st) {
        od_model_destroy(*out);
        *out = NULL;
    }
    return st;
}

enum od_status od_case_model(od_model **out, od_case *c, od_error *e) {
    *out = NULL;
    if (c->model_folder[0]) return load_folder(out, c, e);
    enum od_status st = od_model_create(out, &c->config, e);
    if (!st) od_model_generate(*out, c->weight_seed, c->gain, c->options.threads);
    return st;
}

/* ---- series ------------------------------------------------------------------------------------------------------ */

uint64_t od_case_session_seed(const od_case *c, unsigned session) {
    if (session == 0) return c->series_seed;
    od_rng rng = od_rng_make(c->series_seed, od_rng_name_key("series/session"));
    return od_rng_at(&rng, session) >> 1;
}

static enum od_status find_columns(size_t *column, const od_case *c, const od_csv *csv, const char *path, od_error *e) {
    for (unsigned v = 0; v < c->variates; v++) {
        size_t i = 0;
        while (i < csv->n_column && strcmp(csv->name[i], c->column[v]) != 0) i++;
        if (i == csv->n_column)
            return od_fail(e, OD_BAD_INPUT, "%s: has no column '%s', which series.csv.columns asks for", path,
                           c->column[v]);
        if (csv->is_label[i])
            return od_fail(e, OD_BAD_INPUT, "%s: column '%s' is a label, series.csv.columns needs values", path,
                           c->column[v]);
        column[v] = i;
    }
    return OD_OK;
}

static enum od_status copy_columns(od_series *s, const od_case *c, unsigned session, const od_csv *csv,
                                   const char *path, od_error *e) {
    size_t column[OD_CASE_MAX_COLUMNS];
    enum od_status st = find_columns(column, c, csv, path, e);
    if (st) return st;
    for (size_t b = 0; b < s->batch; b++) {
        size_t first = c->csv_start + (b + session) * (size_t)c->csv_stride;
        if (first + s->n_step > csv->n_row)
            return od_fail(e, OD_BAD_INPUT,
                           "%s: has %zu rows; batch row %zu of session %u takes %zu, beginning with row %zu", path,
                           csv->n_row, b, session, s->n_step, first);
        for (size_t v = 0; v < s->variates; v++) {
            size_t to = (b * s->variates + v) * s->n_step, from = column[v] * csv->n_row + first;
            memcpy(s->value + to, csv->value + from, s->n_step * sizeof *s->value);
            memcpy(s->mask + to, csv->mask + from, s->n_step);
        }
    }
    return OD_OK;
}

static enum od_status read_columns(od_series *s, const od_case *c, unsigned session, od_error *e) {
    char path[OD_CASE_PATH * 2], *text = NULL;
    size_t size;
    od_csv csv = {0};
    enum od_status st = od_path_beside(path, sizeof path, c->path, c->csv.path, e);
    if (!st) st = od_file_read(&text, &size, path, OD_CSV_MAX_BYTES, e);
    if (st) return st;
    st = check_digest(path, size, XXH64(text, size, 0), &c->csv, e);
    if (!st) st = od_csv_parse(&csv, text, size, path, e);
    if (!st) st = copy_columns(s, c, session, &csv, path, e);
    od_csv_free(&csv);
    free(text);
    return st;
}

/* Missing values, each row from a stream of its own, so that a longer series begins with the shorter one. */
static void drop_missing(od_series *s, double missing, uint64_t seed) {
    for (size_t b = 0; b < s->batch; b++) {
        for (size_t v = 0; v < s->variates; v++) {
            char name[64];
            snprintf(name, sizeof name, "missing/%zu/%zu", b, v);
            od_rng rng = od_rng_make(seed, od_rng_name_key(name));
            uint8_t *mask = s->mask + (b * s->variates + v) * s->n_step;
            for (size_t t = 0; t < s->n_step; t++)
                if (od_rng_uniform(&rng) < missing) mask[t] = 0;
        }
    }
}

/* Padding and ids of all rows; then value 0 wherever the mask is 0. */
static void finish_rows(od_series *s, const od_case *c, size_t context) {
    for (size_t row = 0; row < s->batch * s->variates; row++) {
        size_t v = row % s->variates, padded = c->left_padding < s->n_step ? c->left_padding : s->n_step;
        if (c->padded_variate == (int)v && padded < context) padded = context;
        float *value = s->value + row * s->n_step;
        uint8_t *mask = s->mask + row * s->n_step;
        int32_t *id = s->id + row * s->n_step;
        memset(mask, 0, padded);
        for (size_t t = 0; t < s->n_step; t++) {
            if (!mask[t]) value[t] = 0;
            id[t] = c->n_group ? c->group[v] : 0;
        }
    }
}

enum od_status od_case_series(od_series *s, const od_case *c, unsigned session, od_error *e) {
    assert(session < od_case_sessions(c));
    od_case_use use = od_case_session_use(c, session);
    uint64_t seed = od_case_session_seed(c, session);
    enum od_status st = od_series_alloc(s, c->batch, c->variates, use.need, e);
    if (st) return st;
    if (c->generator == OD_GEN_CSV) {
        st = read_columns(s, c, session, e);
        if (st) {
            od_series_free(s);
            return st;
        }
    } else {
        od_series_generate(s, c->generator, seed, c->scale);
        memset(s->mask, 1, s->batch * s->variates * s->n_step);
    }
    if (c->missing > 0) drop_missing(s, c->missing, seed);
    finish_rows(s, c, use.steps);
    return OD_OK;
}
