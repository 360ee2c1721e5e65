/* nightly: the command line. `sh fuzz/nightly …` finds the programs and runs this. */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/night.h"

enum {
    KEY_OUT = 256,
    KEY_SECONDS,
    KEY_SEED,
    KEY_WORKERS,
    KEY_DEVICES,
    KEY_PER_DEVICE,
    KEY_CORPUS,
    KEY_KNOWN,
    KEY_CANARY,
    KEY_BIN,
    KEY_REF,
    KEY_FAST,
    KEY_LANES,
    KEY_AT_LEAST,
    KEY_SLICE,
    KEY_HANG,
    KEY_START,
    KEY_RSS,
    KEY_SHRINK,
    KEY_SANITIZED
};

typedef struct command {
    od_night_options o;
    const char *verb; /* NULL: a night */
    char *rest[OD_NIGHT_WORKERS];
    size_t n_rest;
} command;

static void whole(struct argp_state *state, uint64_t *out, const char *name, const char *text, uint64_t least,
                  uint64_t most) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || value < least || value > most)
        argp_error(state, "%s %s: a whole number from %llu to %llu would be right", name, text,
                   (unsigned long long)least, (unsigned long long)most);
    *out = value;
}

static void seconds(struct argp_state *state, double *out, const char *name, const char *text) {
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end || !(*out > 0) || !isfinite(*out) || *out > 1e7)
        argp_error(state, "%s %s: seconds, more than 0, would be right", name, text);
}

static void text(struct argp_state *state, char *out, size_t size, const char *name, const char *value) {
    if (strlen(value) >= size || !value[0]) argp_error(state, "%s %.60s: is too long, or empty", name, value);
    json_t *packed = json_string(value); /* the journal holds it */
    if (!packed) argp_error(state, "%s: is no UTF-8, as JSON needs it", name);
    json_decref(packed);
    snprintf(out, size, "%s", value);
}

static void lanes(struct argp_state *state, unsigned *out, const char *value) {
    char copy[256], *rest = NULL;
    *out = 0;
    snprintf(copy, sizeof copy, "%s", value);
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        unsigned lane = 0;
        while (lane < OD_LANE_CANARY && strcmp(od_night_lane_name(lane), word) != 0) lane++;
        if (lane == OD_LANE_CANARY) argp_error(state, "--lanes %s: random, forward, session, modes are there", word);
        *out |= 1u << lane;
    }
    if (!*out) argp_error(state, "--lanes: names none");
}

static void at_least(struct argp_state *state, od_night_options *o, const char *value) {
    const char *equals = strchr(value, '=');
    uint64_t number;
    for (unsigned i = 0; equals && i < OD_LEASTS; i++) {
        const char *name = od_night_least_name(i);
        if (strlen(name) != (size_t)(equals - value) || strncmp(name, value, strlen(name)) != 0) continue;
        whole(state, &number, "--at-least", equals + 1, 0, INT64_MAX);
        o->least[i] = (int64_t)number;
        return;
    }
    argp_error(state,
               "--at-least %s: KEY=N would be right; KEY is one of inputs, cases, compared, replays, oracles, "
               "inputs-worker, inputs-lane",
               value);
}

static void check(struct argp_state *state, const command *c) {
    if (!c->o.out[0]) argp_error(state, "--out is missing: which folder?");
    if (c->verb && c->n_rest == 0) argp_error(state, "%s: which nights? Give their folders", c->verb);
    if (!c->verb && c->n_rest > 0)
        argp_error(state, "%s: is one word too many; merge and report come first", c->rest[0]);
    if (!c->verb && !(c->o.seconds > 0)) argp_error(state, "--seconds is missing: how long?");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    command *c = state->input;
    od_night_options *o = &c->o;
    uint64_t number = 0;
    char folder[OD_NIGHT_PATH];
    switch (key) {
    case KEY_OUT: text(state, o->out, 600, "--out", arg); break;
    case KEY_SECONDS: seconds(state, &o->seconds, "--seconds", arg); break;
    case KEY_SEED: whole(state, &o->seed, "--seed", arg, 0, INT64_MAX); break;
    case KEY_WORKERS:
        whole(state, &number, "--workers", arg, 1, OD_NIGHT_WORKERS);
        o->workers = (unsigned)number;
        break;
    case KEY_PER_DEVICE:
        whole(state, &number, "--per-device", arg, 1, 48);
        o->per_device = (unsigned)number;
        break;
    case KEY_DEVICES: text(state, o->devices, sizeof o->devices, "--devices", arg); break;
    case KEY_CORPUS: text(state, o->corpus, sizeof o->corpus, "--corpus", arg); break;
    case KEY_KNOWN: text(state, o->known, sizeof o->known, "--known", arg); break;
    case KEY_CANARY: text(state, o->canary, sizeof o->canary, "--canary", arg); break;
    case KEY_BIN: text(state, o->bin, sizeof o->bin, "--bin", arg); break;
    case KEY_REF: text(state, o->ref, sizeof o->ref, "--ref", arg); break;
    case KEY_FAST: text(state, o->fast, sizeof o->fast, "--fast", arg); break;
    case KEY_LANES: lanes(state, &o->lanes, arg); break;
    case KEY_AT_LEAST: at_least(state, o, arg); break;
    case KEY_SLICE: seconds(state, &o->slice, "--slice", arg); break;
    case KEY_HANG: seconds(state, &o->hang, "--hang", arg); break;
    case KEY_START: seconds(state, &o->start, "--start", arg); break;
    case KEY_RSS: whole(state, &o->rss_mb, "--rss-mb", arg, 64, 1 << 20); break;
    case KEY_SHRINK: whole(state, &o->shrink_runs, "--shrink-runs", arg, 0, 100000); break;
    case KEY_SANITIZED: o->sanitized = true; break;
    case ARGP_KEY_ARG:
        if (c->n_rest == OD_NIGHT_WORKERS) argp_error(state, "%s: is one word too many", arg);
        text(state, folder, sizeof folder, "a night's folder", arg);
        c->rest[c->n_rest++] = arg;
        break;
    case ARGP_KEY_END: check(state, c); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp_option options[] = {
    {"out", KEY_OUT, "DIR", 0, "The night's folder; the same command goes on with an unfinished one", 0},
    {"seconds", KEY_SECONDS, "N", 0, "Budget, canary and end included", 0},
    {"seed", KEY_SEED, "S", 0, "Of all that is drawn (default 0)", 0},
    {"workers", KEY_WORKERS, "N", 0, "Processes at a time (default: one a GPU, or one a core)", 0},
    {"devices", KEY_DEVICES, "LIST", 0, "GPUs, as in 0,1; none: the CPU (default: all, or none)", 0},
    {"per-device", KEY_PER_DEVICE, "N", 0, "Workers a GPU, sharing it by MPS from 2 on (default 1)", 0},
    {"corpus", KEY_CORPUS, "DIR", 0, "Seeds: DIR/forward, DIR/session, DIR/modes (default corpus)", 0},
    {"known", KEY_KNOWN, "FILE", 0, "Known issues (oracle-diff --known)", 0},
    {"canary", KEY_CANARY, "NAME", 0, "Planted fault that must be found (default graph-frozen-argument), or off", 0},
    {"bin", KEY_BIN, "FOLDER", 0, "Where the programs are (default: below build)", 0},
    {"ref", KEY_REF, "E", 0, "Reference engine (default ref)", 0},
    {"fast", KEY_FAST, "E", 0, "Fast path (default gpu where there is a GPU, else twin)", 0},
    {"lanes", KEY_LANES, "LIST", 0, "Of random, forward, session, modes (default all)", 0},
    {"at-least", KEY_AT_LEAST, "KEY=N", 0, "Minimum below which the night is red", 0},
    {"slice", KEY_SLICE, "N", 0, "Seconds of a lane's turn (default a twelfth of the night, 10 at least)", 0},
    {"hang", KEY_HANG, "N", 0, "Seconds after which an input hangs (default 60)", 0},
    {"start", KEY_START, "N", 0, "Seconds that a start may take (default 60)", 0},
    {"rss-mb", KEY_RSS, "N", 0, "Memory of a worker (default 4096)", 0},
    {"shrink-runs", KEY_SHRINK, "N", 0, "Runs of a shrink, 0: none (default 400)", 0},
    {"sanitized", KEY_SANITIZED, NULL, 0, "Take the targets with ASan and UBSan where both are there", 0},
    {0}};

int main(int argc, char **argv) {
    static command c = {.o = {.canary = "graph-frozen-argument",
                              .ref = "ref",
                              .corpus = "corpus",
                              .hang = 60,
                              .start = 60,
                              .rss_mb = 4096,
                              .shrink_runs = 400,
                              .lanes = (1u << OD_LANE_CANARY) - 1}};
    static const struct argp argp = {
        options, parse, "[merge|report] --out DIR [NIGHT…]", "Fuzz for a night, unattended; docs/nightly.md", NULL,
        NULL,    NULL};
    for (unsigned i = 0; i < OD_LEASTS; i++) c.o.least[i] = -1;
    argp_err_exit_status = OD_NIGHT_USAGE;
    if (argc > 1 && (strcmp(argv[1], "merge") == 0 || strcmp(argv[1], "report") == 0)) c.verb = argv[1];
    if (c.verb) argv[1] = argv[0]; /* the name that messages begin with */
    argp_parse(&argp, argc - (c.verb != NULL), argv + (c.verb != NULL), 0, NULL, &c);
    if (!c.verb) return od_night_run(&c.o, argc, argv);
    return strcmp(c.verb, "merge") == 0 ? od_night_merge(&c.o, c.rest, c.n_rest)
                                        : od_night_report_command(&c.o, c.rest, c.n_rest);
}
