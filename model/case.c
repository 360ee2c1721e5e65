/* A case's defaults, its limits and its identity. Reading and writing stand in case_parse.c and case_format.c. */
#include "model/case.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "model/case_internal.h"

void od_case_init(od_case *c) {
    memset(c, 0, sizeof *c);
    strcpy(c->preset, "seed-tiny");
    enum od_status st = od_config_preset(&c->config, c->preset, NULL);
    assert(st == OD_OK);
    (void)st;
    c->gain = 1;
    c->batch = c->variates = 1;
    c->scale = 1;
    c->padded_variate = -1;
    c->options = od_options_default();
    strcpy(c->expect, "pass");
}

void od_case_forget_verdict(od_case *c) {
    memset(c->note, 0, sizeof c->note);
    memset(c->expect, 0, sizeof c->expect);
    strcpy(c->expect, "pass");
    memset(c->found_verdict, 0, sizeof c->found_verdict);
    memset(c->found_signature, 0, sizeof c->found_signature);
    memset(c->found_pair, 0, sizeof c->found_pair);
    memset(c->found_environment, 0, sizeof c->found_environment);
    c->found_value = c->found_bound = 0;
}

/* ---- what the schedule takes ------------------------------------------------------------------------------------- */

bool od_case_next_life(od_case_life *life, const od_case *c, unsigned session, size_t patch, unsigned *at) {
    unsigned i = *at;
    while (i < c->n_op && !(c->op[i].kind == OD_OP_PREFILL && c->op[i].session == session)) i++;
    if (i == c->n_op) return false;
    *life = (od_case_life){.prefill = i, .steps = c->op[i].steps, .need = c->op[i].steps};
    for (i++; i < c->n_op; i++) {
        const od_op *op = &c->op[i];
        if (op->kind == OD_OP_RECAPTURE || op->session != session) continue;
        if (op->kind != OD_OP_DECODE) break;
        life->patches += op->patches;
        if (!op->own) life->need = life->steps + life->patches * patch;
    }
    life->end = *at = i;
    return true;
}

od_case_use od_case_session_use(const od_case *c, unsigned session) {
    assert(c->config.patch > 0); /* a folder's config is filled by od_case_model */
    od_case_use use = {0};
    od_case_life life;
    for (unsigned at = 0; od_case_next_life(&life, c, session, c->config.patch, &at);) {
        size_t patches = (life.steps + c->config.patch - 1) / c->config.patch + life.patches;
        if (use.steps < life.steps) use.steps = life.steps;
        if (use.need < life.need) use.need = life.need;
        if (use.patches < patches) use.patches = patches;
    }
    return use;
}

size_t od_case_limit(const od_case *c, unsigned session) {
    return od_case_session_use(c, session).patches * c->config.patch;
}

unsigned od_case_sessions(const od_case *c) {
    unsigned n = 0;
    for (unsigned i = 0; i < c->n_op; i++)
        if (c->op[i].kind != OD_OP_RECAPTURE && c->op[i].session >= n) n = c->op[i].session + 1;
    return n;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

bool od_case_refuse(od_error *e, const char *format, ...) {
    va_list args;
    va_start(args, format);
    od_vfail(e, OD_BAD_INPUT, format, args);
    va_end(args);
    return false;
}

static bool in_range(const char *key, uint64_t value, uint64_t lo, uint64_t hi, od_error *e) {
    if (value >= lo && value <= hi) return true;
    return od_case_refuse(e, "%s: %llu is not within %llu to %llu", key, (unsigned long long)value,
                          (unsigned long long)lo, (unsigned long long)hi);
}

/* UTF-8 without control characters, ended within its array of `room` bytes. */
static bool is_text(const char *key, const char *text, size_t room, od_error *e) {
    size_t n = strnlen(text, room);
    bool ok = n < room;
    for (size_t i = 0, size = 0; ok && i < n; i += size) {
        size = od_utf8_character(text + i);
        ok = size > 0;
    }
    if (ok) return true;
    return od_case_refuse(e, "%s: must be UTF-8 of at most %zu bytes without control characters", key, room - 1);
}

static bool check_texts(const od_case *c, od_error *e) {
    return is_text("note", c->note, sizeof c->note, e) && is_text("expect", c->expect, sizeof c->expect, e) &&
           is_text("finding.verdict", c->found_verdict, sizeof c->found_verdict, e) &&
           is_text("finding.signature", c->found_signature, sizeof c->found_signature, e) &&
           is_text("finding.pair", c->found_pair, sizeof c->found_pair, e) &&
           is_text("finding.environment", c->found_environment, sizeof c->found_environment, e) &&
           is_text("model.folder.path", c->model_folder, OD_CASE_MAX_FILE_PATH + 1, e) &&
           is_text("series.csv.path", c->csv.path, OD_CASE_MAX_FILE_PATH + 1, e);
}

static bool same_dimensions(const od_config *a, const od_config *b) {
    return a->patch == b->patch && a->d_model == b->d_model && a->n_layer == b->n_layer && a->n_head == b->n_head &&
           a->d_mlp == b->d_mlp && a->space_every == b->space_every && a->space_first == b->space_first &&
           a->scaler == b->scaler && a->stabilize == b->stabilize && a->scale_exponent == b->scale_exponent &&
           a->mixture == b->mixture && a->n_component == b->n_component;
}

static bool check_model(const od_case *c, od_error *e) {
    bool folder = c->model_folder[0] != 0;
    if (c->preset[0]) {
        od_config preset;
        if (folder) return od_case_refuse(e, "model: a preset or a folder, not both");
        if (od_config_preset(&preset, c->preset, e)) return od_error_prefix(e, "model.preset") == OD_OK;
        if (!same_dimensions(&preset, &c->config))
            return od_case_refuse(e, "model.preset: the dimensions are not those of %s", c->preset);
    }
    if (!in_range("model.seed", c->weight_seed, 0, INT64_MAX, e)) return false;
    if (!(c->gain > 0 && c->gain <= 4))
        return od_case_refuse(e, "model.gain: %g is not above 0 and at most 4", c->gain);
    if (folder && c->config.patch == 0) return true; /* not read yet */
    if (od_config_check(&c->config, e)) return od_error_prefix(e, "model.dims") == OD_OK;
    size_t n = od_case_parameters(&c->config);
    if (n > OD_CASE_MAX_PARAMETERS)
        return od_case_refuse(e, "model: %zu parameters, a case may have %d", n, OD_CASE_MAX_PARAMETERS);
    return true;
}

static bool check_csv(const od_case *c, od_error *e) {
    if (c->generator != OD_GEN_CSV) {
        if (c->csv.path[0]) return od_case_refuse(e, "series.csv: only with the generator csv");
        return true;
    }
    if (!c->csv.path[0]) return od_case_refuse(e, "series.csv: missing, the generator is csv");
    if (c->scale != 1) return od_case_refuse(e, "series.scale: must be 1 with the generator csv");
    if (c->n_column > OD_CASE_MAX_COLUMNS || c->n_column != c->variates)
        return od_case_refuse(e, "series.csv.columns: %u names for %u variates (one each, at most %d)", c->n_column,
                              c->variates, OD_CASE_MAX_COLUMNS);
    for (unsigned i = 0; i < c->n_column; i++) {
        if (!is_text("series.csv.columns", c->column[i], sizeof c->column[i], e)) return false;
        if (!c->column[i][0] || c->column[i][0] == '@')
            return od_case_refuse(e, "series.csv.columns[%u]: must name a column of values", i);
    }
    return in_range("series.csv.bytes", c->csv.bytes, 0, OD_CSV_MAX_BYTES, e) &&
           in_range("series.csv.start", c->csv_start, 0, OD_CSV_MAX_ROWS, e) &&
           in_range("series.csv.stride", c->csv_stride, 0, OD_CSV_MAX_ROWS, e);
}

static bool check_series(const od_case *c, od_error *e) {
    if (!in_range("series.batch", c->batch, 1, OD_CASE_MAX_BATCH, e) ||
        !in_range("series.variates", c->variates, 1, OD_CASE_MAX_VARIATES, e) ||
        !in_range("series.generator", c->generator, 0, OD_GENERATORS - 1, e) ||
        !in_range("series.seed", c->series_seed, 0, INT64_MAX, e) ||
        !in_range("series.left_padding", c->left_padding, 0, OD_CASE_MAX_STEPS, e))
        return false;
    if (!(c->scale >= 1e-12 && c->scale <= 1e12))
        return od_case_refuse(e, "series.scale: %g is not within 1e-12 to 1e12", c->scale);
    if (!(c->missing >= 0 && c->missing <= 1))
        return od_case_refuse(e, "series.missing: %g is not within 0 to 1", c->missing);
    if (c->padded_variate < -1 || c->padded_variate >= (int)c->variates)
        return od_case_refuse(e, "series.padded_variate: %d, variates are numbered 0 to %u", c->padded_variate,
                              c->variates - 1);
    if (c->n_group && c->n_group != c->variates)
        return od_case_refuse(e, "series.groups: %u ids for %u variates", c->n_group, c->variates);
    for (unsigned v = 0; v < c->n_group; v++)
        if (c->group[v] < 0 || c->group[v] > OD_CASE_MAX_GROUP)
            return od_case_refuse(e, "series.groups[%u]: %d is not within 0 to %d", v, (int)c->group[v],
                                  OD_CASE_MAX_GROUP);
    return check_csv(c, e);
}

static bool check_op(const od_op *op, unsigned i, bool *filled, bool *used, od_error *e) {
    char key[64];
    if ((unsigned)op->kind > OD_OP_RECAPTURE)
        return od_case_refuse(e, "schedule[%u].op: there is no operation number %u", i, op->kind);
    if (op->kind == OD_OP_RECAPTURE) return true;
    snprintf(key, sizeof key, "schedule[%u].session", i);
    if (!in_range(key, op->session, 0, OD_CASE_MAX_SESSIONS - 1, e)) return false;
    bool *full = &filled[op->session];
    if (op->kind == OD_OP_RESET) {
        *full = false;
    } else if (op->kind == OD_OP_PREFILL) {
        snprintf(key, sizeof key, "schedule[%u].steps", i);
        if (!in_range(key, op->steps, 1, OD_CASE_MAX_STEPS, e)) return false;
        if (*full)
            return od_case_refuse(e, "schedule[%u]: session %u has its prefill; reset it before another", i,
                                  op->session);
        *full = used[op->session] = true;
    } else {
        snprintf(key, sizeof key, "schedule[%u].patches", i);
        if (!in_range(key, op->patches, 1, OD_CASE_MAX_PATCHES, e)) return false;
        if (!*full) return od_case_refuse(e, "schedule[%u]: decode before prefill in session %u", i, op->session);
    }
    return true;
}

static bool check_schedule(const od_case *c, od_error *e) {
    bool filled[OD_CASE_MAX_SESSIONS] = {0}, used[OD_CASE_MAX_SESSIONS] = {0};
    if (c->n_op < 1 || c->n_op > OD_CASE_MAX_OPS)
        return od_case_refuse(e, "schedule: %u entries, 1 to %d are allowed", c->n_op, OD_CASE_MAX_OPS);
    for (unsigned i = 0; i < c->n_op; i++)
        if (!check_op(&c->op[i], i, filled, used, e)) return false;
    unsigned n = od_case_sessions(c);
    if (n == 0) return od_case_refuse(e, "schedule: nothing but recapture, there must be a prefill");
    for (unsigned s = 0; s < n; s++)
        if (!used[s])
            return od_case_refuse(e, "schedule: session %u has no prefill (sessions are numbered without gaps)", s);
    return true;
}

static bool check_options(const od_options *o, od_error *e) {
    return in_range("options.cache", o->cache, 0, OD_CACHE_FIXED, e) &&
           in_range("options.threads", o->threads, 1, 64, e) && in_range("options.streams", o->streams, 1, 4, e) &&
           in_range("options.captures", o->captures, 1, 1024, e) &&
           in_range("options.order", o->order, 0, INT64_MAX, e);
}

/* Upper estimate of what an engine takes, in bytes of float64: weights, activations of all tokens at once, caches,
 * attention scores of a whole layer. An engine may do with much less; none should need more. */
static bool check_memory(const od_case *c, od_error *e) {
    const od_config *m = &c->config;
    double bytes = 16.0 * (double)od_case_parameters(m), limit = 4.0 * (1 << 30), tokens_all = 0;
    for (unsigned s = 0; s < od_case_sessions(c); s++) {
        od_case_use use = od_case_session_use(c, s);
        if (use.patches * m->patch > OD_CASE_MAX_STEPS)
            return od_case_refuse(e, "schedule: session %u takes %zu steps, at most %d are allowed", s,
                                  use.patches * m->patch, OD_CASE_MAX_STEPS);
        double rows = (double)c->batch * c->variates, n_patch = (double)use.patches, tokens = rows * n_patch;
        double d = (double)m->d_model, width = 8 * d + 3 * (double)m->d_mlp + (double)m->n_layer * 3 * d;
        width += (double)m->patch * (d + 8 + 4 * (double)m->n_component);
        double scores = (double)m->n_head * tokens * fmax(n_patch, m->space_every ? (double)c->variates : 0);
        bytes += 8 * (tokens * width + scores);
        tokens_all += tokens;
    }
    if (!(tokens_all <= OD_CASE_MAX_TOKENS))
        return od_case_refuse(e, "schedule: %.0f tokens (batch x variates x patches), at most %d are allowed",
                              tokens_all, OD_CASE_MAX_TOKENS);
    if (!(bytes <= limit))
        return od_case_refuse(
            e,
            "case: an engine would need about %.1f GiB, at most 4 are allowed (fewer steps, batch, variates "
            "or a smaller model)",
            bytes / (1 << 30));
    return true;
}

enum od_status od_case_check(const od_case *c, od_error *e) {
    od_error local;
    if (!e) e = &local; /* messages are prefixed, so there must be one */
    bool ok = check_texts(c, e) && check_model(c, e) && check_series(c, e) && check_schedule(c, e) &&
              check_options(&c->options, e);
    if (ok && !c->expect[0]) ok = od_case_refuse(e, "expect: must be 'pass' or a signature");
    if (ok && c->config.patch > 0) ok = check_memory(c, e);
    return ok ? OD_OK : OD_BAD_INPUT;
}

/* ---- size and identity ------------------------------------------------------------------------------------------- */

size_t od_case_parameters(const od_config *c) {
    size_t d = c->d_model, m = c->d_mlp;
    size_t layer = 2 * d + (d + 1) * 3 * d + (d + 1) * d + (d + 1) * 2 * m + (m + 1) * d;
    size_t heads = (c->mixture ? 4 : 3) * c->n_component * (d + 1);
    return (c->patch + 1) * d + c->n_layer * layer + c->patch * d * (d + 1) + heads;
}

double od_case_work(const od_case *c) {
    const od_config *m = &c->config;
    double rows = (double)c->batch * c->variates, work = 0, weights = (double)od_case_parameters(m);
    weights += (double)(m->patch - 1) * (double)((m->mixture ? 4 : 3) * m->n_component * (m->d_model + 1));
    for (unsigned s = 0; s < od_case_sessions(c); s++) {
        od_case_life life;
        for (unsigned at = 0; od_case_next_life(&life, c, s, m->patch, &at);) {
            double first = (double)((life.steps + m->patch - 1) / m->patch), n = (double)life.patches;
            /* Recomputing after each patch processes first + 1, first + 2, … patches. */
            double calls = c->options.cache == OD_CACHE_OFF ? first + n * first + n * (n + 1) / 2 : first + n;
            work += rows * calls * (weights + (double)m->n_layer * 2 * (double)m->d_model * (first + n + c->variates));
        }
    }
    return work;
}

uint64_t od_case_hash(const od_case *c) {
    char *text;
    size_t size;
    if (od_case_print(&text, &size, c, NULL, true, NULL)) return 0;
    uint64_t h = XXH64(text, size, 0);
    free(text);
    return h;
}
