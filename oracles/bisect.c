#include "oracles/bisect.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/rate.h"
#include "oracles/signature.h"

enum { MAX_SWITCHES = 16, MAX_TURNS = 20, VALUE = 64 };

/* Plain values, the plainest last. A case whose value stands in the list is turned to those behind it alone. */
static const struct {
    const char *name, *value[2];
} plain_values[] = {{"graph", {"off"}}, {"cache", {"dynamic", "off"}},
                    {"fused", {"off"}}, {"autotune", {"off"}},
                    {"tf32", {"off"}},  {"threads", {"1"}},
                    {"streams", {"1"}}, {"captures", {"1"}},
                    {"order", {"0"}}};

/* What takes another path than a plain value does. */
static const struct {
    const char *name, *value;
} other_path[OD_BISECT_HIDING] = {{"graph", "on"}, {"cache", "fixed"}, {"fused", "on"}};

typedef struct turn {
    unsigned at; /* switch */
    const char *value;
    bool open; /* turned alone it does not say: larger sets do without */
} turn;

typedef struct search {
    od_bisect *out;
    od_judge *judge;
    const od_case *given;
    od_case c;       /* as it is judged: the judge's evidence points to it */
    unsigned oracle; /* of the signature */
    turn turn[MAX_TURNS];
    unsigned n_turn;
    od_verdict v;
} search;

/* ---- switches ---------------------------------------------------------------------------------------------------- */

const char *od_bisect_turn(const od_options *options, size_t i, unsigned k) {
    const char *name = od_options_name(i);
    char value[VALUE];
    od_options_value(options, i, value, sizeof value);
    for (size_t p = 0; p < sizeof plain_values / sizeof plain_values[0]; p++) {
        if (strcmp(plain_values[p].name, name) != 0) continue;
        unsigned first = 0, n = plain_values[p].value[1] ? 2 : 1;
        for (unsigned j = 0; j < n; j++)
            if (strcmp(plain_values[p].value[j], value) == 0) first = j + 1;
        return first + k < n ? plain_values[p].value[first + k] : NULL;
    }
    return NULL;
}

static void set_switch(od_options *options, unsigned at, const char *value) {
    char text[VALUE * 2];
    snprintf(text, sizeof text, "%s=%s", od_options_name(at), value);
    enum od_status s = od_options_set(options, text, NULL);
    assert(s == OD_OK);
    (void)s;
}

void od_bisect_describe(char *text, size_t size, const od_options *options, unsigned switches, const char *between) {
    char value[VALUE];
    for (size_t i = 0, n = 0; od_options_name(i); i++) {
        if (!(switches >> i & 1)) continue;
        size_t at = strlen(text);
        snprintf(text + at, size - at, "%s%s=%s", n++ ? between : "", od_options_name(i),
                 od_options_value(options, i, value, sizeof value));
    }
}

static bool is_same(const od_options *a, const od_options *b) {
    char x[VALUE], y[VALUE];
    for (size_t i = 0; od_options_name(i); i++)
        if (strcmp(od_options_value(a, i, x, sizeof x), od_options_value(b, i, y, sizeof y)) != 0) return false;
    return true;
}

static void list_turns(search *s) {
    const od_options *own = &s->given->options;
    for (unsigned i = 0; od_options_name(i); i++) {
        const char *value;
        assert(i < MAX_SWITCHES);
        for (unsigned k = 0; (value = od_bisect_turn(own, i, k)); k++) {
            s->turn[s->n_turn++] = (turn){.at = i, .value = value};
            s->out->turnable |= 1u << i;
        }
    }
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static void judge_once(search *s, const od_options *options) {
    s->c = *s->given;
    snprintf(s->c.expect, sizeof s->c.expect, "pass");
    s->c.options = *options;
    od_judge_case(&s->v, s->judge, &s->c);
    s->out->runs++;
}

/* Why a run says nothing, whatever its verdict; NULL: it does. */
static const char *blind(const search *s) {
    const od_evidence *ev = s->v.evidence;
    const od_options *o = &s->c.options;
    if (ev && ev->fast_stats.rolled_back && (o->graph || o->fused || o->autotune))
        return "OD_DISABLE_FAST rolled the engine back: it ignores the switches";
    if (ev && ev->plain_is_fast && strncmp(s->out->signature, "memory/peak/", 12) == 0)
        return "the plain path itself: its peak is held against nothing";
    return NULL;
}

static void count(od_bisect_setting *x, const search *s) {
    const od_verdict *v = &s->v;
    const od_ruling *r = &v->ruling[s->oracle];
    const char *why = blind(s);
    if (!why && od_verdict_of_kind(v, s->out->signature)) {
        x->shown++;
    } else if (!why && v->asked >> s->oracle & 1 && r->outcome == OD_PASS && v->ruling[0].outcome == OD_PASS) {
        x->clean++;
    } else {
        x->open++;
        if (why)
            snprintf(x->reason, sizeof x->reason, "%s", why);
        else if (v->outcome == OD_FINDING)
            snprintf(x->reason, sizeof x->reason, "another finding: %s", v->signature);
        else
            snprintf(x->reason, sizeof x->reason, "%s: %.250s", od_outcome_name(v->outcome),
                     v->reason[0] ? v->reason : r->reason);
    }
}

static const char limit_reason[] = "the limit of runs was reached";

static bool is_limited(search *s) {
    if (s->out->runs >= s->out->limit) s->out->limited = true;
    return s->out->limited;
}

static void settle(search *s, od_bisect_setting *x) {
    while (x->shown == 0 && x->clean < s->out->repeats && x->open < OD_BISECT_OPEN_RUNS) {
        if (is_limited(s)) {
            x->state = OD_BISECT_OPEN;
            snprintf(x->reason, sizeof x->reason, "%s", limit_reason);
            return;
        }
        judge_once(s, &x->options);
        count(x, s);
    }
    x->state = x->shown ? OD_BISECT_SHOWS : x->clean >= s->out->repeats ? OD_BISECT_CLEAN : OD_BISECT_OPEN;
}

/* The place of the setting with these options, which is run unless it was before. */
static size_t try_setting(search *s, const od_options *options, bool from_plain) {
    od_bisect *out = s->out;
    for (size_t i = 0; i < out->n_setting; i++)
        if (is_same(&out->setting[i].options, options)) return i;
    od_bisect_setting *x = &out->setting[out->n_setting];
    *x = (od_bisect_setting){.options = *options, .from_plain = from_plain};
    settle(s, x);
    return out->n_setting++;
}

/* ---- the case as it is ------------------------------------------------------------------------------------------- */

/* The first finding that the case shows; what is absent though expected needs no switch. */
static void look(search *s) {
    od_bisect_setting *x = &s->out->setting[0];
    while (x->clean < OD_BISECT_PATIENCE && (x->clean || x->open < OD_BISECT_OPEN_RUNS) && !is_limited(s)) {
        judge_once(s, &x->options);
        if (s->v.signature[0]) {
            snprintf(s->out->signature, sizeof s->out->signature, "%s", s->v.signature);
            *x = (od_bisect_setting){.options = x->options};
            return;
        }
        if (s->v.outcome == OD_PASS) {
            x->clean++;
        } else {
            x->open++;
            snprintf(x->reason, sizeof x->reason, "%s: %.300s", od_outcome_name(s->v.outcome), s->v.reason);
        }
    }
    x->state = x->clean ? OD_BISECT_CLEAN : OD_BISECT_OPEN;
}

static enum od_status choose_oracle(search *s, od_error *e) {
    const char *signature = s->out->signature;
    char name[32];
    if (!od_signature_same_kind(signature, signature))
        return od_fail(e, OD_BAD_INPUT, "'%.200s' is no signature: oracle/subject/step/shape/pair would be right",
                       signature);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(signature, "/"), signature);
    enum od_status status = od_oracle_find(&s->oracle, name, e);
    if (status != OD_OK) return od_error_prefix(e, "signature '%.150s'", signature);
    /* Which plays an engine's fault needs is not known: there the oracles, and with them the plays, stay. */
    if (s->oracle != 0) s->judge->setup.oracles = 1u | 1u << s->oracle;
    return OD_OK;
}

/* Runs the case as it is; true where the finding showed. To stop at the tenth leaves the interval's lower end, which is
 * what counts, as it is: no more than n runs for k is no fewer than k in n. */
static bool run_case(search *s) {
    od_bisect *out = s->out;
    od_bisect_setting *x = &out->setting[0];
    while (x->shown < OD_BISECT_SHOWN && x->shown + x->clean + x->open < OD_BISECT_CASE_RUNS &&
           (x->shown || x->clean < OD_BISECT_PATIENCE) && (x->shown || x->clean || x->open < OD_BISECT_OPEN_RUNS) &&
           !is_limited(s)) {
        judge_once(s, &x->options);
        count(x, s);
    }
    x->state = x->shown ? OD_BISECT_SHOWS : x->clean ? OD_BISECT_CLEAN : OD_BISECT_OPEN;
    if (x->shown + x->clean + x->open == 0) snprintf(x->reason, sizeof x->reason, "%s", limit_reason);
    if (x->shown + x->clean) od_rate_interval(&out->low, &out->high, x->shown, x->shown + x->clean);
    if (x->shown) out->repeats = od_rate_trials(out->low, OD_BISECT_CHANCE);
    return x->shown > 0;
}

/* ---- the search -------------------------------------------------------------------------------------------------- */

/* Turns a set of turns, of two of one switch the plainer; false where one is open. */
static bool apply(od_options *options, unsigned *switches, const search *s, unsigned turns) {
    *options = s->given->options;
    *switches = 0;
    for (unsigned i = 0; i < s->n_turn; i++) {
        if (!(turns >> i & 1)) continue;
        if (s->turn[i].open) return false;
        *switches |= 1u << s->turn[i].at;
        set_switch(options, s->turn[i].at, s->turn[i].value);
    }
    return true;
}

static od_options all_plain(const search *s) {
    od_options options = s->given->options;
    for (unsigned i = 0; i < s->n_turn; i++)
        if (!s->turn[i].open) set_switch(&options, s->turn[i].at, s->turn[i].value);
    return options;
}

/* Switches that have a turn which is not open. */
static unsigned usable(const search *s) {
    unsigned switches = 0;
    for (unsigned i = 0; i < s->n_turn; i++)
        if (!s->turn[i].open) switches |= 1u << s->turn[i].at;
    return switches;
}

static void keep(od_bisect_set *sets, size_t *n, unsigned switches, size_t at) {
    assert(*n < OD_BISECT_SETS);
    sets[(*n)++] = (od_bisect_set){switches, at};
}

/* cache=dynamic is enough: then cache=off is no further answer. */
static bool is_kept(const od_bisect_set *sets, size_t n, unsigned switches) {
    for (size_t i = 0; i < n; i++)
        if (sets[i].switches == switches) return true;
    return false;
}

/* Every turn alone; false where the limit was reached. */
static bool turn_each(search *s) {
    od_bisect *out = s->out;
    for (unsigned i = 0; i < s->n_turn; i++) {
        od_options options = s->given->options;
        set_switch(&options, s->turn[i].at, s->turn[i].value);
        if (is_kept(out->off, out->n_off, 1u << s->turn[i].at)) continue;
        if (is_limited(s)) return false;
        size_t at = try_setting(s, &options, false);
        if (out->setting[at].state == OD_BISECT_CLEAN) keep(out->off, &out->n_off, 1u << s->turn[i].at, at);
        s->turn[i].open = out->setting[at].state == OD_BISECT_OPEN;
    }
    return !is_limited(s);
}

static void turn_off(search *s) {
    od_bisect *out = s->out;
    od_options options;
    unsigned switches;
    if (!turn_each(s)) return;
    options = all_plain(s);
    out->all_plain = try_setting(s, &options, true);
    if (out->setting[out->all_plain].state == OD_BISECT_SHOWS) return;
    for (unsigned size = 2; size <= (unsigned)__builtin_popcount(usable(s)) && out->n_off == 0; size++) {
        for (unsigned turns = 1; turns < 1u << s->n_turn; turns++) {
            if ((unsigned)__builtin_popcount(turns) != size || !apply(&options, &switches, s, turns)) continue;
            if (is_kept(out->off, out->n_off, switches)) continue;
            if (is_limited(s)) return;
            size_t at = try_setting(s, &options, false);
            if (out->setting[at].state == OD_BISECT_CLEAN) keep(out->off, &out->n_off, switches, at);
        }
    }
}

static bool meets_all(const od_bisect *out, unsigned switches) {
    for (size_t i = 0; i < out->n_off; i++)
        if (!(out->off[i].switches & switches)) return false;
    return true;
}

static void turn_on(search *s) {
    od_bisect *out = s->out;
    char value[VALUE];
    const unsigned all = usable(s);
    for (unsigned size = 1; size <= (unsigned)__builtin_popcount(all) && out->n_on == 0; size++) {
        for (unsigned switches = 1; switches <= all; switches++) {
            if (switches & ~all || (unsigned)__builtin_popcount(switches) != size) continue;
            if (!meets_all(out, switches)) continue;
            od_options options = all_plain(s);
            for (unsigned i = 0; switches >> i; i++)
                if (switches >> i & 1)
                    set_switch(&options, i, od_options_value(&s->given->options, i, value, sizeof value));
            if (is_limited(s)) return;
            size_t at = try_setting(s, &options, true);
            if (out->setting[at].state == OD_BISECT_SHOWS) keep(out->on, &out->n_on, switches, at);
        }
    }
}

static void turn_other_way(search *s) {
    od_bisect *out = s->out;
    for (unsigned i = 0; od_options_name(i); i++) {
        for (unsigned k = 0; k < OD_BISECT_HIDING; k++) {
            if (strcmp(other_path[k].name, od_options_name(i)) != 0 || out->turnable >> i & 1) continue;
            if (is_limited(s)) return;
            od_options options = s->given->options;
            set_switch(&options, i, other_path[k].value);
            size_t at = try_setting(s, &options, false);
            if (out->setting[at].state == OD_BISECT_CLEAN) keep(out->hides, &out->n_hides, 1u << i, at);
        }
    }
}

static void answer(search *s) {
    od_bisect *out = s->out;
    turn_off(s);
    const od_bisect_setting *plain = out->all_plain ? &out->setting[out->all_plain] : NULL;
    if (out->n_off == 0 && plain && plain->state == OD_BISECT_CLEAN) /* the limit hid smaller ones */
        keep(out->off, &out->n_off, usable(s), out->all_plain);
    if (out->n_off == 0) {
        bool always = !out->turnable || (plain && plain->state == OD_BISECT_SHOWS && usable(s) == out->turnable);
        out->answer = always ? OD_BISECT_ALWAYS : OD_BISECT_UNSETTLED;
        if (always) turn_other_way(s);
        return;
    }
    out->answer = OD_BISECT_NAMED;
    if (plain && plain->state != OD_BISECT_SHOWS) turn_on(s);
    if (is_limited(s)) return;
    out->again.options = s->given->options;
    settle(s, &out->again);
    if (out->again.state == OD_BISECT_CLEAN) out->answer = OD_BISECT_FADED;
}

enum od_status od_bisect_case(od_bisect *out, od_judge *judge, const od_case *c, const char *signature, unsigned limit,
                              od_error *e) {
    assert(limit >= 1 && limit <= OD_BISECT_MAX_RUNS);
    const od_setup asked = judge->setup;
    search *s = calloc(1, sizeof *s);
    *out = (od_bisect){.limit = limit};
    out->setting = calloc((size_t)limit + 2, sizeof *out->setting); /* each takes a run, the last one perhaps none */
    enum od_status status = s && out->setting ? OD_OK : od_fail(e, OD_NO_MEMORY, "no memory for %u runs", limit);
    if (status != OD_OK) goto out;
    *s = (search){.out = out, .judge = judge, .given = c};
    judge->setup.arbiter = NULL; /* who is nearer decides nothing here */
    judge->setup.detail = false;
    out->setting[0].options = c->options;
    out->n_setting = 1;
    list_turns(s);
    snprintf(out->signature, sizeof out->signature, "%s", signature ? signature : "");
    if (!out->signature[0]) look(s);
    if (out->signature[0]) {
        status = choose_oracle(s, e);
        if (status != OD_OK) goto out;
    }
    if (out->signature[0] && run_case(s))
        answer(s);
    else
        out->answer = out->setting[0].clean ? OD_BISECT_NOTHING : OD_BISECT_UNABLE;
    out->outcome = s->v.outcome;
    out->bad_input = s->v.bad_input;
out:
    judge->setup = asked;
    free(s);
    return status;
}

void od_bisect_free(od_bisect *b) {
    free(b->setting);
    *b = (od_bisect){0};
}
