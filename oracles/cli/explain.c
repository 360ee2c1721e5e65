/* explain: where in the model, and in the schedule, the engines of a case part, and who is wrong. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "model/file.h"
#include "oracles/cli/cli.h"
#include "oracles/explain.h"
#include "oracles/finding.h"
#include "oracles/tolerance.h"

enum { LINE = 900 };

static const char *const rerun_texts[OD_RERUNS] = {"after a reset", "with new sessions over overwritten memory",
                                                   "on a fresh engine", "in a fresh process"};

static bool has_finding(const od_verdict *v, const od_oracle *oracle) {
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (od_oracle_at(i) == oracle)
            return v->asked >> i & 1 && (v->ruling[i].outcome == OD_FINDING || v->ruling[i].outcome == OD_KNOWN);
    return false;
}

static void print_verdict(const od_verdict *v) {
    bool any = false;
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        const od_ruling *r = &v->ruling[i];
        if (!(v->asked >> i & 1) || (r->outcome != OD_FINDING && r->outcome != OD_KNOWN)) continue;
        printf("%-11s%s: %s\n           %s\n", r->outcome == OD_KNOWN ? "known" : "finding", od_oracle_at(i)->name,
               r->reason, r->signature);
        any = true;
    }
    char needed[LINE];
    if (v->evidence && od_evidence_needed_text(needed, sizeof needed, v->evidence)[0])
        printf("tolerance  %s\n", needed);
    if (!any && v->reason[0]) printf("verdict    %s: %s\n", od_outcome_name(v->outcome), v->reason);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* Walks with hidden states; without them where that fails or shows nothing of what was found. */
static enum od_status walk(od_explanation *x, const od_judge *j, const od_verdict *v, od_error *e) {
    const od_evidence *ev = v->evidence;
    const bool seen = ev->mismatch || (has_finding(v, &od_oracle_accuracy) && !ev->structure_differs);
    enum od_status s = od_explain(x, &j->script, &j->setup, true, &ev->fast, e);
    if (s == OD_OK && (!seen || x->n_breach > 0)) return s;
    if (s != OD_OK)
        printf("note       no walk with hidden states: %s\n", e->text);
    else
        printf("note       the finding vanishes when hidden states are kept, which adds launches to the fast path\n");
    od_explanation_free(x);
    s = od_explain(x, &j->script, &j->setup, false, &ev->fast, e);
    if (s == OD_OK && seen && x->n_breach == 0)
        printf("note       without them the finding does not come again either: it is not the same each time\n");
    return s;
}

/* As in a run, classes of tensors count with --arbiter. */
static bool parts(const od_explanation *x, const od_args *args) {
    return x->n_parted > 0 || (args->arbiter && !od_explanation_is_near(x));
}

static void print_range(const char *name, size_t low, size_t high) {
    if (low == high)
        printf(", %s %zu", name, low);
    else
        printf(", %s %zu to %zu", name, low, high);
}

static void print_spread(const od_parting *p) {
    const od_extent *r = &p->extent;
    if (r->n == 0) return;
    printf("spread     %zu of %zu values differ by more than %g", r->n, p->pair.n, od_bounds.max_abs);
    print_range("batch", r->low[0], r->high[0]);
    print_range("variate", r->low[1], r->high[1]);
    if (r->low[2] != SIZE_MAX)
        print_range("patch", r->low[2] + p->place.first_patch, r->high[2] + p->place.first_patch);
    printf("\n");
}

static void print_parting(const od_explanation *x) {
    const od_parting *p = &x->first;
    char shape[128], text[LINE];
    printf("parts      %s %s, %s\n", p->view.name, od_shape_text(shape, sizeof shape, p->view.rank, p->view.shape),
           od_call_place_text(text, sizeof text, &p->place));
    if (p->structure[0]) return;
    printf("worst      %s: fast path %.9g, reference %.9g", od_explain_coordinates(text, sizeof text, x, p->worst),
           od_unsigned_nan(p->at_fast), od_unsigned_nan(p->at_ref));
    if (p->has_truth) printf(", float64 %.12g", od_unsigned_nan(p->at_truth));
    if (p->pair.mismatch > 0)
        printf("\napart      %zu of %zu values are NaN or Inf in one engine alone\n", p->pair.mismatch, p->pair.n);
    else
        printf("\napart      %.2e on average, %.2e at most; the contract allows outputs %g and %g\n", p->pair.mae,
               p->pair.max_abs, od_bounds.mae, od_bounds.max_abs);
    print_spread(p);
}

static enum od_status write_svg(const od_explanation *x, const od_verdict *v, const char *dir, bool of_ref,
                                od_error *e) {
    char path[OD_CASE_PATH * 2], title[LINE];
    enum od_status s = od_make_folder(dir, e);
    if (s != OD_OK) return s;
    const int n = snprintf(path, sizeof path, "%s/explain-%016llx.svg", dir, (unsigned long long)v->hash);
    if (n < 0 || (size_t)n >= sizeof path) return od_fail(e, OD_IO, "the path is too long: %.200s…", dir);
    snprintf(title, sizeof title, "%s, case %016llx", v->pair, (unsigned long long)v->hash);
    FILE *f = fopen(path, "w");
    if (!f) return od_fail(e, OD_IO, "%s: cannot be written: %s", path, strerror(errno));
    bool ok = od_heat_svg(f, x, of_ref, title);
    ok = od_stream_close(f) && ok;
    if (!ok) {
        od_fail(e, OD_IO, "%s: cannot be written: %s", path, strerror(errno));
        unlink(path); /* no half picture */
        return OD_IO;
    }
    printf("heat map   %s\n", path);
    return OD_OK;
}

static enum od_status explain_values(const od_explanation *x, const od_verdict *v, const od_args *args, od_error *e) {
    char text[LINE];
    const bool of_ref = x->first.found && x->first.blame == OD_BLAME_REF, show = !args->quiet || parts(x, args);
    if (x->first.found) print_parting(x);
    if (x->n_changed > 0)
        printf("note       %zu outputs of the fast path have other bits than in the play without hidden states\n",
               x->n_changed);
    if (od_explain_limits(text, sizeof text, x)[0]) printf("note       %s\n", text);
    if (!args->quiet) od_heat_print(stdout, x, of_ref);
    if (!args->quiet && !od_explain_drift(stdout, x)) fprintf(stderr, "oracle-diff: no memory for the drift\n");
    enum od_status s = args->out ? write_svg(x, v, args->out, of_ref, e) : OD_OK;
    if (show) printf("%s\n", od_explain_sentence(text, sizeof text, x));
    return s;
}

/* What the play without hidden states shows, where keeping them changed bits: the launches are not the same ones, and
 * neither may be the place. */
static enum od_status explain_without(const od_judge *j, const od_verdict *v, bool *parted, od_error *e) {
    char text[LINE];
    od_explanation x;
    enum od_status s = od_explain(&x, &j->script, &j->setup, false, &v->evidence->fast, e);
    if (s == OD_OK) printf("without hidden states: %s\n", od_explain_sentence(text, sizeof text, &x));
    *parted = *parted || x.n_parted > 0;
    od_explanation_free(&x);
    return s;
}

/* ---- other findings ---------------------------------------------------------------------------------------------- */

static void print_rerun(const od_rerun_parting *r, const od_config *config, const char *oracle, const char *how) {
    char stage[40], place[96];
    printf("%s: the fast path differs from itself %s, first in %s", oracle, how, r->name);
    if (r->stage != SIZE_MAX) printf(" (%s)", od_stage_text(stage, sizeof stage, config, r->stage));
    printf(", %s", od_call_place_text(place, sizeof place, &r->place));
    if (r->again && r->row != SIZE_MAX) printf(": row %zu", r->row);
    if (r->again)
        printf("%s [%zu] was %.9g, is %.9g\n", r->row != SIZE_MAX ? "" : ":", r->index, od_unsigned_nan(r->was),
               od_unsigned_nan(r->is));
    else
        printf("; at a second look that tensor was the same: it is not the same each time\n");
}

static enum od_status explain_reruns(const od_judge *j, const od_evidence *ev, od_error *e) {
    int which = 0;
    while (which < OD_RERUNS && !ev->difference[which].differs) which++;
    if (which == OD_RERUNS) return OD_OK;
    od_rerun_parting r = {0};
    enum od_status s = OD_OK;
    for (int hidden = 1; hidden >= 0 && !r.found; hidden--) {
        s = od_explain_rerun(&r, &j->script, j->setup.fast, j->setup.process, (enum od_rerun)which, hidden, e);
        if (s != OD_OK && hidden)
            printf("note       no rerun with hidden states: %s\n", e->text);
        else if (s == OD_OK && !r.found)
            printf("note       no bit differs %s with%s hidden states kept\n", rerun_texts[which], hidden ? "" : "out");
    }
    if (r.found) print_rerun(&r, &j->script.model->config, od_oracle_determinism.name, rerun_texts[which]);
    return s;
}

/* Relations that go bit by bit: where they first do not hold. True where each that is a finding was named so. */
static bool explain_relations(const od_judge *j, const od_evidence *ev, enum od_status *failed, od_error *e) {
    unsigned n = 0, n_named = 0;
    for (unsigned i = 0; i < OD_RELATIONS; i++) {
        const od_relation *relation = od_relation_at(i);
        const od_related *related = &ev->related[i];
        if (!related->asked || od_related_outcome(related) != OD_FINDING) continue;
        n++;
        if (!related->broken || related->misshapen || relation->contract) continue;
        od_rerun_parting r = {0};
        od_error why = {0};
        enum od_status s = OD_OK;
        for (int hidden = 1; hidden >= 0 && !r.found; hidden--) {
            s = od_explain_relation(&r, &j->script, &j->setup, i, hidden, &why);
            if (!r.found && (hidden || s == OD_OK))
                printf("note       %s with%s hidden states: %s\n", relation->name, hidden ? "" : "out",
                       s == OD_OK ? r.why : why.text);
        }
        char how[96];
        snprintf(how, sizeof how, "where %s is asked", relation->name);
        if (r.found) print_rerun(&r, &j->script.model->config, od_oracle_consistency.name, how);
        n_named += r.found;
        if (s != OD_OK && *failed == OD_OK) {
            *failed = s;
            *e = why;
        }
    }
    return n > 0 && n_named == n;
}

/* Findings that are not of values have no tensor to name; those of relations may have one (`named`). */
static void explain_others(const od_verdict *v, bool named) {
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        const od_oracle *oracle = od_oracle_at(i);
        if (oracle == &od_oracle_accuracy || oracle == &od_oracle_finite || oracle == &od_oracle_determinism ||
            oracle == &od_oracle_envelope || (oracle == &od_oracle_consistency && named))
            continue;
        if (has_finding(v, oracle))
            printf("%s: %s%s\n", oracle->name,
                   oracle == &od_oracle_consistency ? "the fast path against itself: " : "no matter of values: ",
                   v->ruling[i].reason);
    }
    if (strncmp(v->signature, "expect/", 7) == 0) printf("%s\n", v->reason);
}

static int explain(od_judge *j, const od_verdict *v, const char *path, const od_args *args) {
    od_error e = {0};
    od_tally t;
    od_tally_init(&t);
    t.expired = j->known ? j->known->n_expired : 0;
    od_tally_add(&t, v, path);
    int code = od_tally_exit(&t, j->required, 0);
    const od_evidence *ev = v->evidence;
    if (!args->quiet) printf("case       %s (%016llx)\n", path, (unsigned long long)v->hash);
    if (!args->quiet || code != OD_EXIT_PASS) print_verdict(v);
    enum od_status s = OD_OK;
    bool named = false;
    if (ev && ev->ref_run.status == OD_OK && ev->fast_run.ran && ev->fast_run.status == OD_OK) {
        od_explanation x;
        s = walk(&x, j, v, &e);
        if (s == OD_OK) s = explain_values(&x, v, args, &e);
        bool parted = parts(&x, args);
        if (s == OD_OK && x.n_changed > 0 && x.n_hidden > 0) s = explain_without(j, v, &parted, &e);
        if (parted) code = OD_EXIT_FINDING;
        od_explanation_free(&x);
        if (s == OD_OK) s = explain_reruns(j, ev, &e);
        named = explain_relations(j, ev, &s, &e);
    }
    explain_others(v, named);
    if (s != OD_OK) {
        const int failed = od_complain(&e);
        if (code != OD_EXIT_FINDING) code = failed;
    }
    return code;
}

static enum od_status prepare(od_batch **b, od_case *c, const od_args *args, od_error *e) {
    if (args->n_rest != 1) return od_fail(e, OD_BAD_INPUT, "explain: which case? Give the path of one case file");
    enum od_status s = od_batch_create(b, args, false, e);
    if (s == OD_OK) s = od_case_read(c, args->rest[0], e);
    if (s == OD_OK) s = od_batch_prepare(*b, c, e);
    if (s == OD_OK && args->out) s = od_cli_writable(args->out, true, e);
    return s;
}

static int run(const od_args *args) {
    static od_case c;
    static od_verdict v;
    od_error e = {0};
    od_batch *b = NULL;
    int code = OD_EXIT_PASS;
    enum od_status s = prepare(&b, &c, args, &e);
    if (s == OD_OK) {
        od_batch_judge(b)->setup.always_arbiter = false; /* the walk asks it about every tensor, and keeps none */
        od_judge_case(&v, od_batch_judge(b), &c);
        if (v.bad_input) s = od_fail(&e, OD_BAD_INPUT, "%s: %s", args->rest[0], v.reason);
    }
    if (s == OD_OK) s = od_batch_begin(b, &e);
    if (s != OD_OK)
        code = od_complain(&e);
    else
        code = explain(od_batch_judge(b), &v, args->rest[0], args);
    od_batch_destroy(b);
    return code;
}

static const struct argp_option options[] = {
    {"ref", OD_KEY_REF, "ENGINE", 0, "Reference engine (default ref)", 1},
    {"fast", OD_KEY_FAST, "ENGINE", 0, "Fast path (default gpu where a device is found, else twin)", 1},
    {"set", OD_KEY_SET, "NAME=VALUE", 0, "Put a switch over the case's own. Repeatable", 1},
    {"model", OD_KEY_MODEL, "DIR", 0, "Weights of config.json and model.safetensors instead of the case's own", 1},
    {"policy", OD_KEY_POLICY, "NAME", 0, "contract, or envelope: the tighter of it and what healthy engines differ by",
     1},
    {"envelope", OD_KEY_ENVELOPE, "FILE", 0, "The envelope, made by `calibrate` (default: built in, for ref:twin)", 1},
    {"isolate", OD_KEY_ISOLATE, 0, 0, "Engines run in workers: a crash or a hang is a finding and ends no run", 1},
    {"timeout", OD_KEY_TIMEOUT, "SECONDS", 0, "What a worker may take for one call (default 120)", 1},
    {"only", OD_KEY_ONLY, "ORACLE", 0, "Ask this oracle, or one relation (consistency/batch). Repeatable", 1},
    {"require", OD_KEY_REQUIRE, "ORACLE", 0, "Exit 4 unless this oracle came to a verdict. Repeatable", 1},
    {"arbiter", OD_KEY_ARBITER, 0, 0, "Exit 1 as well where a class of tensors together is too far from float64", 1},
    {"known", OD_KEY_KNOWN, "FILE", 0, "Known issues: their findings are KNOWN until the day that each names", 1},
    {"weights", OD_KEY_WEIGHTS, 0, 0, "Change every weight tensor in turn: is it read at all?", 1},
    {"quiet", OD_KEY_QUIET, 0, 0, "Print only what parts", 2},
    {"out", OD_KEY_OUT, "DIR", 0, "Write the heat map as SVG into DIR", 2},
    {0}};

const od_command od_cmd_explain = {.name = "explain",
                                   .usage = "CASE",
                                   .about = "Say where in the model and in the schedule the engines part",
                                   .options = options,
                                   .run = run};
