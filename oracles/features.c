/* The numbering of features, and their names. */
#include "oracles/features.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EDGES = 46 /* up to 4096 and more */, OPS = 10, COUNTS = 12 };

typedef void namer(char *text, size_t size, unsigned i);

/* ---- names of coordinates ---------------------------------------------------------------------------------------- */

static void name_edge(char *text, size_t size, unsigned i) {
    const unsigned tile = i < 2 ? 0 : 4u << (i - 2) / 4;
    if (i < 2)
        snprintf(text, size, "%u", i + 1);
    else if ((i - 2) % 4 < 3)
        snprintf(text, size, "%u", tile - 1 + (i - 2) % 4);
    else if (tile == 4)
        snprintf(text, size, "6");
    else
        snprintf(text, size, "%u-%u", tile + 2, 2 * tile - 2);
}

static void name_count(char *text, size_t size, unsigned i) {
    if (i < 3)
        snprintf(text, size, "%u", i);
    else
        snprintf(text, size, "%u-%u", (1u << (i - 2)) + 1, 2u << (i - 2));
}

static void name_share(char *text, size_t size, unsigned i) {
    if (i == 0)
        snprintf(text, size, "share below 1e-4");
    else if (i == OD_SHARE_CLASSES - 1)
        snprintf(text, size, "breach");
    else
        snprintf(text, size, "share from %.1e", 1e-4 * pow(2, (i - 1) / 2.0));
}

#define OD_NAMER(name, ...)                                                                                            \
    static void name(char *text, size_t size, unsigned i) {                                                            \
        static const char *const words[] = {__VA_ARGS__};                                                              \
        snprintf(text, size, "%s", i < sizeof words / sizeof *words ? words[i] : "?");                                 \
    }
OD_NAMER(name_coarse, "1", "2-4", "5-16", "17-64", "65 and more")
OD_NAMER(name_context, "whole patches", "one step short", "one step over", "part of a patch")
OD_NAMER(name_call, "context", "step")
OD_NAMER(name_scaler, "StdMean", "CausalStdMean", "CausalPatch", "CausalPatch stabilised")
OD_NAMER(name_left, "no left padding", "within a patch", "whole patches", "patches and part")
OD_NAMER(name_missing, "none missing", "some missing", "half missing")
OD_NAMER(name_variate, "no padded variate", "a padded variate")
OD_NAMER(name_groups, "one group", "two", "three and more", "each its own")
OD_NAMER(name_order, "side by side", "interleaved")
OD_NAMER(name_space, "time-wise", "space first", "space last", "space-wise")
OD_NAMER(name_mixture, "student-t", "mixture of 1", "mixture of 2-4", "mixture of 5-8", "mixture of 9 and more")
OD_NAMER(name_graph, "graph off", "graph on")
OD_NAMER(name_cache, "cache off", "cache dynamic", "cache fixed")
OD_NAMER(name_xpos, "xpos call", "xpos origin")
OD_NAMER(name_captures, "1 capture", "2-3 captures", "4-7 captures", "8 and more captures")
OD_NAMER(name_streams, "1 stream", "2 streams", "3 streams", "4 streams")
OD_NAMER(name_op, "first context", "shorter context", "as long a context", "longer context", "step", "steps",
         "own step", "own steps", "reset", "recapture")
OD_NAMER(name_session, "same session", "other session")
OD_NAMER(name_trigram_session, "aaa", "aab", "aba", "abb", "abc")
OD_NAMER(name_head_dim, "4", "6", "8", "10-14", "16", "18-30", "32", "34-62", "64 and more")
OD_NAMER(name_run, "steps in a life", "own steps in a life", "lives", "entries", "captures anew")
OD_NAMER(name_bucket, "context of 8", "context of 64", "context of 512", "context of 4096", "context of more",
         "step of 8", "step of 64", "step of 512", "step of 4096", "step of more")
OD_NAMER(name_counter, "captures", "replays", "cache hits", "fallbacks", "launches", "replaced")
#undef OD_NAMER

static void name_generator(char *text, size_t size, unsigned i) {
    snprintf(text, size, "%s", od_generator_name((enum od_generator)i));
}

/* Three kinds in a row, base 5. */
static void name_trigram(char *text, size_t size, unsigned i) {
    static const char *const kinds[] = {"context", "steps", "own", "reset", "recapture"};
    snprintf(text, size, "%s>%s>%s", kinds[i / 25], kinds[i / 5 % 5], kinds[i % 5]);
}

static void name_tensor(char *text, size_t size, unsigned i) {
    snprintf(text, size, "%s", od_tensor_class_name((enum od_tensor_class)i));
}

static void name_step(char *text, size_t size, unsigned i) {
    snprintf(text, size, "%s", od_step_class_name((enum od_step_class)i));
}

static void name_number(char *text, size_t size, unsigned i) {
    snprintf(text, size, "%u", i);
}

static void name_path(char *text, size_t size, unsigned i) {
    char cache[24];
    name_cache(cache, sizeof cache, i / 2);
    snprintf(text, size, "%s %s", i % 2 ? "fused" : "plain", cache);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned n[3]; /* 0: no such coordinate */
    namer *namer[3];
    bool answers; /* depends on what engines answer */
} table[OD_FEATURE_FAMILIES] = {
    [OD_FEATURE_BATCH] = {"batch", {22}, {name_edge}},       /* up to 65 */
    [OD_FEATURE_VARIATES] = {"variates", {25}, {name_edge}}, /* up to 128 */
    [OD_FEATURE_PATCHES] = {"patches", {EDGES}, {name_edge}},
    [OD_FEATURE_CONTEXT] = {"context", {4}, {name_context}},
    [OD_FEATURE_SHAPE] = {"shape", {5, 5, 5}, {name_coarse, name_coarse, name_coarse}},
    [OD_FEATURE_TOKENS] = {"tokens", {2, EDGES}, {name_call, name_edge}},
    [OD_FEATURE_KEYS] = {"keys", {EDGES}, {name_edge}},
    [OD_FEATURE_SERIES] = {"series", {OD_GENERATORS, 4}, {name_generator, name_scaler}},
    [OD_FEATURE_PADDING] = {"padding", {4, 3, 2}, {name_left, name_missing, name_variate}},
    [OD_FEATURE_GROUPS] = {"groups", {4, 2}, {name_groups, name_order}},
    [OD_FEATURE_LAYERS] = {"layers", {8, 4}, {name_number, name_space}},
    [OD_FEATURE_HEAD] = {"head", {5}, {name_mixture}},
    [OD_FEATURE_PATCH] = {"patch", {22}, {name_edge}},
    [OD_FEATURE_HEAD_DIM] = {"head-dim", {9}, {name_head_dim}},
    [OD_FEATURE_MLP] = {"mlp", {22}, {name_edge}},
    [OD_FEATURE_SWITCHES] = {"switches", {6, 2, 2}, {name_path, name_graph, name_xpos}},
    [OD_FEATURE_LIMITS] = {"limits", {4, 4}, {name_captures, name_streams}},
    [OD_FEATURE_OPS] = {"ops", {OPS, OPS, 2}, {name_op, name_op, name_session}},
    [OD_FEATURE_TRIGRAM] = {"trigram", {125, 5}, {name_trigram, name_trigram_session}},
    [OD_FEATURE_SESSIONS] = {"sessions", {5}, {name_number}},
    [OD_FEATURE_RUN] = {"run", {5, COUNTS}, {name_run, name_count}},
    [OD_FEATURE_BUCKETS] = {"buckets", {10, 10}, {name_bucket, name_bucket}},
    [OD_FEATURE_COUNTER] = {"counter", {6, COUNTS}, {name_counter, name_count}, true},
    [OD_FEATURE_ERROR] = {"error",
                          {OD_TENSORS, OD_STEPS, OD_SHARE_CLASSES},
                          {name_tensor, name_step, name_share},
                          true},
    [OD_FEATURE_DRIFT] = {"drift", {8, OD_SHARE_CLASSES}, {name_count, name_share}, true},
    [OD_FEATURE_ERROR_OF_PATH] = {"path", {6, OD_SHARE_CLASSES}, {name_path, name_share}, true},
};

static unsigned size_of(enum od_feature_family f) {
    unsigned n = 1;
    for (int i = 0; i < 3; i++) n *= table[f].n[i] ? table[f].n[i] : 1;
    return n;
}

/* Families begin one behind the other. */
static unsigned base_of(enum od_feature_family f) {
    static unsigned base[OD_FEATURE_FAMILIES + 1];
    for (unsigned i = 0; i < OD_FEATURE_FAMILIES && !base[OD_FEATURE_FAMILIES]; i++)
        base[i + 1] = base[i] + size_of((enum od_feature_family)i);
    assert(base[OD_FEATURE_FAMILIES] <= OD_FEATURES);
    return base[f];
}

const char *od_feature_family_name(enum od_feature_family f) {
    return table[f].name;
}

unsigned od_feature_id(enum od_feature_family f, unsigned i, unsigned j, unsigned k) {
    const unsigned at[3] = {i, j, k};
    unsigned id = 0;
    for (int axis = 0; axis < 3; axis++) {
        const unsigned n = table[f].n[axis] ? table[f].n[axis] : 1;
        id = id * n + (at[axis] < n ? at[axis] : n - 1);
    }
    return base_of(f) + id;
}

enum od_feature_family od_feature_family_of(unsigned id) {
    unsigned f = 0;
    while (f < OD_FEATURE_FAMILIES && id >= base_of((enum od_feature_family)f) + size_of((enum od_feature_family)f))
        f++;
    return (enum od_feature_family)f;
}

static void coordinates(unsigned at[3], enum od_feature_family f, unsigned id) {
    id -= base_of(f);
    for (int axis = 3; axis-- > 0;) {
        const unsigned n = table[f].n[axis] ? table[f].n[axis] : 1;
        at[axis] = id % n;
        id /= n;
    }
}

const char *od_feature_name(char *text, size_t size, unsigned id) {
    const enum od_feature_family f = od_feature_family_of(id);
    unsigned at[3];
    text[0] = '\0';
    if (f == OD_FEATURE_FAMILIES) return text;
    coordinates(at, f, id);
    snprintf(text, size, "%s", table[f].name);
    for (int axis = 0; axis < 3 && table[f].n[axis]; axis++) {
        char part[40];
        table[f].namer[axis](part, sizeof part, at[axis]);
        const size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%s", axis ? ", " : "=", part);
    }
    return text;
}

/* ---- what there is ----------------------------------------------------------------------------------------------- */

/* Kinds of name_op: may b follow a at once? A recapture is of no session, and counts as of that of the entry ahead. */
static bool may_follow(unsigned a, unsigned b, bool other) {
    enum { FIRST, SHORTER, EQUAL, LONGER, STEP, STEPS, OWN, OWNS, RESET, RECAPTURE };
    if (b == RECAPTURE) return !other;
    if (a == RECAPTURE || other) return true;
    if (b == FIRST) return false; /* it opens a session */
    const bool empty = a == RESET, fills = b >= SHORTER && b <= LONGER;
    return b == RESET || empty == fills;
}

/* Of two entries of one session with none of it in between: what needs a context has one, and no other comes on top. */
static bool may_come(unsigned a, unsigned b) {
    enum { CONTEXT, STEPS, OWN, RESET };
    return b == RESET || (a == RESET) == (b == CONTEXT);
}

static bool trigram_exists(unsigned kinds, unsigned pattern) {
    enum { RECAPTURE = 4 };
    static const unsigned of[5][3] = {{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1}, {0, 1, 2}};
    const unsigned kind[3] = {kinds / 25, kinds / 5 % 5, kinds % 5}, *session = of[pattern];
    for (int k = 1; k < 3; k++) {
        if (kind[k] == RECAPTURE && session[k] != session[k - 1]) return false;
        int i = k - 1;
        while (i >= 0 && (kind[i] == RECAPTURE || session[i] != session[k])) i--;
        if (i >= 0 && kind[k] != RECAPTURE && !may_come(kind[i], kind[k])) return false;
    }
    return true;
}

/* All calls of a case have the same rows: steps stay in one bucket, and no context is in a smaller one. */
static bool transition_exists(unsigned from, unsigned to) {
    if (from >= 5 && to >= 5) return from == to;
    return from >= 5 ? to >= from - 5 : to < 5 || from >= to - 5;
}

bool od_feature_is_reachable(unsigned id) {
    const enum od_feature_family f = od_feature_family_of(id);
    unsigned at[3];
    if (f == OD_FEATURE_FAMILIES || table[f].answers) return false;
    coordinates(at, f, id);
    switch (f) {
    case OD_FEATURE_OPS: return may_follow(at[0], at[1], at[2]);
    case OD_FEATURE_TRIGRAM: return trigram_exists(at[0], at[1]);
    case OD_FEATURE_BUCKETS: return transition_exists(at[0], at[1]);
    case OD_FEATURE_SESSIONS: return at[0] > 0;
    case OD_FEATURE_GROUPS: return at[1] == 0 || at[0] == 1 || at[0] == 2;
    case OD_FEATURE_LAYERS: return at[0] > 0 && (at[0] > 1 || at[1] == 0 || at[1] == 3);
    case OD_FEATURE_BATCH: return at[0] <= od_edge_class(OD_CASE_MAX_BATCH);
    case OD_FEATURE_VARIATES: return at[0] <= od_edge_class(OD_CASE_MAX_VARIATES);
    case OD_FEATURE_KEYS: return at[0] > 0; /* a step sees its context and itself */
    case OD_FEATURE_RUN: return at[1] > 0 || at[0] < 2 || at[0] == 4;
    default: return true;
    }
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */

static const double lowest_share = 1e-4;

unsigned od_share_class(double share) {
    const double octaves = log2(share / lowest_share);
    if (!(share <= 1)) return OD_SHARE_CLASSES - 1;
    if (!(octaves >= 0)) return 0;
    const double class = 1 + floor(2 * octaves);
    return class < OD_SHARE_CLASSES - 2 ? (unsigned)class : OD_SHARE_CLASSES - 2;
}

unsigned od_edge_class(size_t n) {
    unsigned class = 2;
    size_t tile = 4;
    if (n < 3) return n < 2 ? 0 : 1;
    for (; n >= 2 * tile - 1; tile *= 2) class += 4;
    return class + (n > tile + 1 ? 3 : (unsigned)(n - (tile - 1)));
}

unsigned od_count_class(size_t n) {
    unsigned class = 2;
    if (n < 2) return (unsigned)n;
    for (size_t top = 2; n > top; top *= 2) class ++;
    return class;
}
