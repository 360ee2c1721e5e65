/* bisect: which switches of the fast path a case's finding needs. */
#include "oracles/cli/bisect.h"
#include "oracles/signature.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 4, TEXT = 400, COMMAND = 4096 };

/* ---- what to look for -------------------------------------------------------------------------------------------- */

static bool is_asked(const od_judge *j, const char *signature) {
    char name[32];
    unsigned number;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(signature, "/"), signature);
    return od_oracle_find(&number, name, NULL) == OD_OK && j->setup.oracles >> number & 1;
}

/* The case's own signature: found before, or else expected; "" where it has none, or --only asks for other oracles. A
 * finding of another pair of engines is looked for in this one, and a line says so. */
static void choose(char *signature, size_t size, const od_case *c, const od_judge *j) {
    const char *const own[] = {c->found_signature, c->expect};
    signature[0] = '\0';
    for (int i = 0; i < 2; i++) {
        const char *pair = strrchr(own[i], '/');
        if (!pair || !is_asked(j, own[i])) continue;
        snprintf(signature, size, "%.*s/%s:%s", (int)(pair - own[i]), own[i], j->setup.ref->name, j->setup.fast->name);
        if (strcmp(signature, own[i]) != 0)
            printf("found by %s, looked for in %s:%s\n", pair + 1, j->setup.ref->name, j->setup.fast->name);
        return;
    }
}

/* ---- what was found ---------------------------------------------------------------------------------------------- */

unsigned od_bisect_differing(const od_options *a, const od_options *b) {
    unsigned switches = 0;
    char x[64], y[64];
    for (unsigned i = 0; od_options_name(i); i++)
        if (strcmp(od_options_value(a, i, x, sizeof x), od_options_value(b, i, y, sizeof y)) != 0) switches |= 1u << i;
    return switches;
}

static void name_setting(char *text, size_t size, const od_bisect *b, const od_bisect_setting *x) {
    const unsigned turned = od_bisect_differing(&x->options, &b->setting[0].options);
    text[0] = '\0';
    if (!turned) {
        snprintf(text, size, x == &b->again ? "as in the case, again" : "as in the case");
    } else if (x->from_plain) {
        unsigned own = 0;
        for (unsigned i = 0; od_options_name(i); i++)
            if (od_bisect_turn(&x->options, i, 0)) own |= 1u << i;
        snprintf(text, size, "all plain%s", own ? " but " : "");
        od_bisect_describe(text, size, &x->options, own, " ");
    } else {
        od_bisect_describe(text, size, &x->options, turned, " ");
    }
}

static bool print_table(const od_bisect *b) {
    static const char *const columns[COLUMNS] = {"SWITCHES", "FINDING", "RUNS", "NOTES"};
    static const char *const states[] = {"shows", "vanishes", "open"}, *const own[] = {"shows", "none", "open"};
    const bool again = b->again.shown + b->again.clean + b->again.open > 0;
    const size_t n = b->n_setting + again;
    char(*text)[2][TEXT] = calloc(n, sizeof *text);
    const char **cells = calloc(n * COLUMNS, sizeof *cells);
    bool ok = text && cells;
    for (size_t i = 0; ok && i < n; i++) {
        const od_bisect_setting *x = i < b->n_setting ? &b->setting[i] : &b->again;
        const bool is_case = i == 0 || i == b->n_setting;
        name_setting(text[i][0], TEXT, b, x);
        snprintf(text[i][1], TEXT, "%u of %u", x->shown, x->shown + x->clean + x->open);
        const char *line[COLUMNS] = {text[i][0], (is_case ? own : states)[x->state], text[i][1], x->reason};
        memcpy(&cells[i * COLUMNS], line, sizeof line);
    }
    ok = ok && od_grid_print(columns, COLUMNS, 0x4, cells, n);
    free(text);
    free(cells);
    return ok;
}

/* "graph=off, or cache=off and order=0 together" */
static void print_sets(const od_bisect *b, const od_bisect_set *sets, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char text[TEXT] = "";
        const od_options *options = &b->setting[sets[i].at].options;
        od_bisect_describe(text, sizeof text, options, sets[i].switches, " and ");
        printf("%s%s", i ? ", or " : "", text);
    }
}

/* A cache that grows is turned to on the way to none: where it shows with that, too, any cache is what it needs. */
static void print_milder(const od_bisect *b) {
    for (size_t i = 1; i < b->n_setting && b->n_on > 0; i++) {
        const od_bisect_setting *x = &b->setting[i];
        const unsigned turned = od_bisect_differing(&x->options, &b->setting[0].options);
        bool needed = false;
        for (size_t k = 0; k < b->n_on; k++) needed = needed || b->on[k].switches & turned;
        if (x->state != OD_BISECT_SHOWS || x->from_plain || !needed || turned & (turned - 1)) continue;
        char text[TEXT] = "";
        od_bisect_describe(text, sizeof text, &x->options, turned, " ");
        printf("; %s does as well", text);
    }
}

static void print_named(const od_bisect *b) {
    const bool together = b->off[0].switches & (b->off[0].switches - 1);
    printf("%s with ", b->answer == OD_BISECT_FADED ? "vanished" : "vanishes");
    print_sets(b, b->off, b->n_off);
    if (b->n_off > 1) printf(together ? " (each set is enough)" : " (each alone is enough)");
    if (b->n_off == 1 && together) printf(" together%s", b->limited ? "" : " (no smaller set does it)");
    if (b->n_on > 0) {
        printf("; needs ");
        print_sets(b, b->on, b->n_on);
        if (b->n_on > 1) printf(" (any of these is enough)");
    } else if (b->all_plain && b->setting[b->all_plain].state == OD_BISECT_SHOWS) {
        printf("; yet it shows with all switches plain");
    } else {
        printf("; what it needs is open");
    }
    print_milder(b);
    printf("\n");
    if (b->answer == OD_BISECT_FADED)
        printf("but in the end the case itself was clean in %u of %u runs: nothing follows from this\n", b->again.clean,
               b->again.clean);
}

/* It shows on the plain path: what hides it, or shows it as well. */
static void print_always(const od_bisect *b) {
    printf("no switch %s: it shows with all of them plain%s", b->n_hides > 0 ? "is needed" : "matters",
           b->turnable ? ", and with each alone" : ", as the case has them");
    if (b->n_hides > 0) {
        printf("; vanishes with ");
        print_sets(b, b->hides, b->n_hides);
    }
    for (size_t i = 1, n = 0; i < b->n_setting; i++) {
        const od_bisect_setting *x = &b->setting[i];
        const unsigned turned = od_bisect_differing(&x->options, &b->setting[0].options);
        char text[TEXT] = "";
        if (x->state != OD_BISECT_SHOWS || turned & b->turnable) continue;
        od_bisect_describe(text, sizeof text, &x->options, turned, " ");
        printf("%s%s", n++ > 0 ? ", " : "; shows as well with ", text);
    }
    printf("\n");
}

/* Turns that did not say, which all else did without. */
static void print_open(const od_bisect *b) {
    for (size_t i = 1; i < b->n_setting; i++) {
        const od_bisect_setting *x = &b->setting[i];
        const unsigned turned = od_bisect_differing(&x->options, &b->setting[0].options);
        char text[TEXT] = "";
        if (x->state != OD_BISECT_OPEN || turned & (turned - 1)) continue;
        od_bisect_describe(text, sizeof text, &x->options, turned, " ");
        printf("%s does not say: %s\n", text, x->reason);
    }
}

static void print_answer(const od_bisect *b) {
    const od_bisect_setting *own = &b->setting[0];
    const unsigned n = own->shown + own->clean;
    if (b->answer == OD_BISECT_NOTHING && b->signature[0]) {
        printf("does not show now: %s\n0 of %u runs: at most %.3f a run (95 %% confidence)\n", b->signature, n,
               b->high);
        return;
    }
    if (b->answer == OD_BISECT_NOTHING) {
        printf("no finding in %u runs: there is nothing to bisect\n", n);
        return;
    }
    if (b->answer == OD_BISECT_UNABLE) {
        if (b->signature[0]) printf("looked for: %s\n", b->signature);
        printf("cannot be bisected: %s\n", own->reason);
        return;
    }
    printf("finding: %s\n", b->signature);
    printf("probability of failure: %.3f (%u of %u runs; %.3f to %.3f, Clopper-Pearson, 95 %%)\n",
           (double)own->shown / n, own->shown, n, b->low, b->high);
    if (own->open > 0) printf("%u further runs did not say: %s\n", own->open, own->reason);
    if (b->answer != OD_BISECT_ALWAYS || b->n_hides > 0)
        printf("vanished means: clean in %u runs, which at a probability of %.3f has a chance of at most %g %%\n",
               b->repeats, b->low, 100 * OD_BISECT_CHANCE);
    if (b->answer == OD_BISECT_NAMED || b->answer == OD_BISECT_FADED) print_named(b);
    if (b->answer == OD_BISECT_ALWAYS) print_always(b);
    if (b->answer == OD_BISECT_UNSETTLED) printf("not settled: no set of switches was seen to make it vanish\n");
    print_open(b);
    if (b->limited) printf("the limit of %u runs was reached: sets are missing; --runs N allows more\n", b->limit);
}

static void print_commands(const od_batch *batch, const od_bisect *b, const od_args *args, const char *path) {
    char command[COMMAND], only[64], value[64];
    od_batch_command(command, sizeof command, batch, path);
    if (args->n_only == 0) {
        snprintf(only, sizeof only, "%.*s", (int)strcspn(b->signature, "/"), b->signature);
        od_append_word(command, sizeof command, "--only");
        od_append_word(command, sizeof command, only);
    }
    printf("  shows     %s\n", command);
    const bool named = b->answer == OD_BISECT_NAMED;
    const od_bisect_set *sets = named ? b->off : b->hides;
    const size_t end = strlen(command), n = named ? b->n_off : b->n_hides;
    for (size_t k = 0; k < n; k++) { /* each of them: which one says most, the reader knows */
        const od_options *options = &b->setting[sets[k].at].options;
        command[end] = '\0';
        for (unsigned i = 0; od_options_name(i); i++) {
            if (!(sets[k].switches >> i & 1)) continue;
            char word[128];
            snprintf(word, sizeof word, "%s=%s", od_options_name(i), od_options_value(options, i, value, sizeof value));
            od_append_word(command, sizeof command, "--set");
            od_append_word(command, sizeof command, word);
        }
        printf("  vanishes  %s\n", command);
    }
}

static int exit_of(const od_bisect *b) {
    if (b->answer == OD_BISECT_NOTHING) return OD_EXIT_PASS;
    if (b->answer != OD_BISECT_UNABLE || b->outcome == OD_FINDING) return OD_EXIT_FINDING;
    if (b->bad_input) return OD_EXIT_USAGE;
    return b->outcome == OD_ERROR ? OD_EXIT_ENVIRONMENT : OD_EXIT_NOTHING;
}

/* Bisects the prepared case and prints what came of it; the exit code. */
static int bisect(od_batch *batch, const od_case *c, const od_args *args, od_error *e) {
    static od_bisect b;
    char signature[OD_CASE_TEXT];
    const double start = od_seconds();
    od_judge *judge = od_batch_judge(batch);
    choose(signature, sizeof signature, c, judge);
    judge->weights = od_signature_needs_weights(signature);
    if (!od_signature_needs_process(signature)) judge->setup.process = NULL;
    const unsigned limit = args->has_runs ? (unsigned)args->runs : OD_BISECT_RUNS;
    enum od_status s = od_bisect_case(&b, judge, c, signature, limit, e);
    if (s != OD_OK) {
        od_bisect_free(&b);
        return od_complain(e);
    }
    const double seconds = od_seconds() - start;
    int code = exit_of(&b);
    if (!args->quiet && !print_table(&b)) fprintf(stderr, "oracle-diff: no memory for the table\n");
    print_answer(&b);
    if (b.answer > OD_BISECT_UNABLE) print_commands(batch, &b, args, args->rest[0]);
    printf("%u runs in %.1f s (%s against %s, exit %d)\n", b.runs, seconds, judge->setup.ref->name,
           judge->setup.fast->name, code);
    fflush(stdout);
    if (args->json && od_bisect_write(args->json, &b, args, judge, od_case_hash(c), seconds, code, e) != OD_OK) {
        const int failed = od_complain(e);
        if (code != OD_EXIT_FINDING) code = failed;
    }
    od_bisect_free(&b);
    return code;
}

static int run(const od_args *args) {
    od_error e = {0};
    od_batch *batch = NULL;
    static od_case c;
    enum od_status s = OD_OK;
    od_args plain = *args; /* its results have lines of their own */
    plain.json = NULL;
    if (args->n_rest != 1) s = od_fail(&e, OD_BAD_INPUT, "bisect: takes the path of one case");
    if (s == OD_OK && args->has_runs && (args->runs < 1 || args->runs > OD_BISECT_MAX_RUNS))
        s = od_fail(&e, OD_BAD_INPUT, "--runs %llu: a whole number from 1 to %d would be right",
                    (unsigned long long)args->runs, OD_BISECT_MAX_RUNS);
    if (s == OD_OK) s = od_case_read(&c, args->rest[0], &e);
    if (s == OD_OK) s = od_batch_create(&batch, &plain, false, &e);
    if (s == OD_OK) s = od_batch_prepare(batch, &c, &e);
    if (s == OD_OK && args->json) s = od_cli_writable(args->json, false, &e);
    if (s == OD_OK) s = od_batch_begin(batch, &e);
    int code = s == OD_OK ? bisect(batch, &c, args, &e) : od_complain(&e);
    od_batch_destroy(batch);
    return code;
}

static const struct argp_option options[] = {
    {"runs", OD_KEY_RUNS, "N", 0, "Run the case so often at most (default 500)", 0},
    {"ref", OD_KEY_REF, "ENGINE", 0, "Reference engine (default ref)", 1},
    {"fast", OD_KEY_FAST, "ENGINE", 0, "Fast path (default gpu where a device is found, else twin)", 1},
    {"set", OD_KEY_SET, "NAME=VALUE", 0, "Put a switch over the case's own. Repeatable", 1},
    {"model", OD_KEY_MODEL, "DIR", 0, "Weights of config.json and model.safetensors instead of the case's own", 1},
    {"only", OD_KEY_ONLY, "ORACLE", 0, "Look for a finding of this oracle. Repeatable", 1},
    {"policy", OD_KEY_POLICY, "NAME", 0, "contract, or envelope: look for what is outside of that, too", 1},
    {"envelope", OD_KEY_ENVELOPE, "FILE", 0, "The envelope, made by `calibrate` (default: built in, for ref:twin)", 1},
    {"json", OD_KEY_JSON, "FILE", 0, "Results as JSON Lines (oracles/bisect.schema.json)", 2},
    {"quiet", OD_KEY_QUIET, 0, 0, "Print no table", 2},
    {0}};

const od_command od_cmd_bisect = {.name = "bisect",
                                  .usage = "CASE",
                                  .about = "Name the switches that a finding needs",
                                  .options = options,
                                  .run = run};
