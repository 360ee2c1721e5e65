/* What the command line's arguments make of a run: engines, oracles, policy, model, and what is not checked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/file.h"
#include "oracles/cli/batch.h"

/* "accuracy", or one relation of the oracle of relations, as its signatures begin: "consistency/batch". */
static enum od_status add_oracle(unsigned *oracles, unsigned *relations, const char *word, od_error *e) {
    char name[64];
    unsigned number;
    const size_t n = strcspn(word, "/");
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), word);
    enum od_status s = od_oracle_find(&number, name, e);
    if (s != OD_OK) return s;
    if (word[n] && !relations) return od_fail(e, OD_BAD_INPUT, "--require %.60s: name the oracle alone", word);
    *oracles |= 1u << number;
    const bool related = od_oracle_at(number) == &od_oracle_consistency;
    if (!word[n]) {
        if (related && relations) *relations |= od_relations_default();
        return OD_OK;
    }
    if (!related) return od_fail(e, OD_BAD_INPUT, "%.60s: the oracle %s has no relations", word, name);
    s = od_relation_find(&number, word + n + 1, e);
    if (s == OD_OK) *relations |= 1u << number;
    return s;
}

static enum od_status choose_oracles(od_batch *b, od_error *e) {
    const od_args *a = b->args;
    unsigned only = 0, relations = 0;
    enum od_status s = OD_OK;
    for (size_t i = 0; s == OD_OK && i < a->n_only; i++) s = add_oracle(&only, &relations, a->only[i], e);
    for (size_t i = 0; s == OD_OK && i < a->n_require; i++) s = add_oracle(&b->named, NULL, a->require[i], e);
    if (s != OD_OK) return s;
    if (relations) b->judge.setup.relations = relations;
    b->judge.setup.oracles = (only ? only : b->fuzz ? od_oracles_fuzz() : od_oracles_all()) | b->named | 1u;
    const unsigned related = od_oracle_bit(&od_oracle_consistency);
    if (a->relate && only && !(only & related))
        return od_fail(e, OD_BAD_INPUT,
                       "--relate asks relations, which --only %s leaves out: --only consistency as well would be right",
                       a->only[0]);
    if (a->relate) b->judge.setup.oracles |= related;
    b->judge.required = od_oracles_required() | b->named;
    const unsigned memory = od_oracle_bit(&od_oracle_memory); /* three times the plays: where it is what is asked for */
    b->judge.setup.watch_memory = only == memory || (b->named & memory);
    return OD_OK;
}

/* What lanes that share the cores, and judge their cases in no fixed order, cannot do. */
static enum od_status check_lanes(od_batch *b, od_error *e) {
    const od_args *a = b->args;
    const unsigned speed = od_oracle_bit(&od_oracle_speed);
    if (a->lanes <= 1) return OD_OK;
    b->judge.setup.crowded = true;
    if (strcmp(b->judge.setup.fast->name, "gpu") == 0) b->judge.setup.shared_device = true;
    if (a->weights)
        return od_fail(e, OD_BAD_INPUT, "--weights goes from case to case, once a model class: not with -j %llu",
                       (unsigned long long)a->lanes);
    if (!(b->judge.setup.oracles & speed)) return OD_OK;
    if (a->n_only || b->named & speed)
        return od_fail(e, OD_BAD_INPUT, "the oracle speed needs the machine for itself: not with -j %llu",
                       (unsigned long long)a->lanes);
    b->judge.setup.oracles &= ~speed;
    snprintf(b->no_speed, sizeof b->no_speed, "speed: under -j %llu lanes share the cores",
             (unsigned long long)a->lanes);
    return OD_OK;
}

static enum od_status check_switches(const od_args *a, od_error *e) {
    od_options unused = od_options_default();
    for (size_t i = 0; i < a->n_set; i++) {
        enum od_status s = od_options_set(&unused, a->set[i], e);
        if (s != OD_OK) return od_error_prefix(e, "--set");
    }
    return OD_OK;
}

static enum od_status find_model(od_batch *b, od_error *e) {
    const char *dir = b->args->model;
    if (!dir) return OD_OK;
    char *whole = realpath(dir, NULL), path[OD_CASE_PATH + 32];
    if (!whole || strlen(whole) >= sizeof b->model_folder - 40) {
        const bool memory = !whole && errno == ENOMEM;
        free(whole);
        if (memory) return od_fail(e, OD_NO_MEMORY, "--model %.300s: no memory for its path", dir);
        return od_fail(e, OD_BAD_INPUT, "--model %.300s: %s", dir,
                       errno == ENOENT ? "there is no such folder" : "no usable folder");
    }
    snprintf(b->model_folder, sizeof b->model_folder, "%s", whole);
    free(whole);
    snprintf(path, sizeof path, "%s/config.json", b->model_folder);
    enum od_status s = od_file_digest(&b->model_config.bytes, &b->model_config.xxh64, path, e);
    if (s != OD_OK) return s;
    snprintf(path, sizeof path, "%s/model.safetensors", b->model_folder);
    return od_file_digest(&b->model_weights.bytes, &b->model_weights.xxh64, path, e);
}

/* The words that make a case run as it did here, behind its path. */
static void make_tail(od_batch *b) {
    const od_args *a = b->args;
    size_t size = sizeof b->tail;
    od_append_word(b->tail, size, "--ref");
    od_append_word(b->tail, size, a->ref ? a->ref : b->judge.setup.ref->name);
    od_append_word(b->tail, size, "--fast");
    od_append_word(b->tail, size, a->fast ? a->fast : b->judge.setup.fast->name);
    if (a->isolate) od_append_word(b->tail, size, "--isolate");
    for (size_t i = 0; i < a->n_set; i++) {
        od_append_word(b->tail, size, "--set");
        od_append_word(b->tail, size, a->set[i]);
    }
    for (size_t i = 0; i < a->n_only; i++) {
        od_append_word(b->tail, size, "--only");
        od_append_word(b->tail, size, a->only[i]);
    }
    for (size_t i = 0; i < a->n_require; i++) {
        od_append_word(b->tail, size, "--require");
        od_append_word(b->tail, size, a->require[i]);
    }
    if (a->model) {
        od_append_word(b->tail, size, "--model");
        od_append_word(b->tail, size, a->model);
    }
    if (a->weights) od_append_word(b->tail, size, "--weights");
    if (a->arbiter) od_append_word(b->tail, size, "--arbiter");
    if (b->judge.setup.envelope) {
        od_append_word(b->tail, size, "--policy");
        od_append_word(b->tail, size, "envelope");
    }
    if (a->envelope) {
        od_append_word(b->tail, size, "--envelope");
        od_append_word(b->tail, size, a->envelope);
    }
    if (a->has_timeout) {
        char seconds[32];
        snprintf(seconds, sizeof seconds, "%g", a->timeout);
        od_append_word(b->tail, size, "--timeout");
        od_append_word(b->tail, size, seconds);
    }
    if (a->known) {
        od_append_word(b->tail, size, "--known");
        od_append_word(b->tail, size, a->known);
    }
    for (int i = 0; i < a->argc; i++) od_append_word(b->command, sizeof b->command, a->argv[i]);
}

/* The envelope is asked where accuracy is, or by its name; both need the policy. */
static enum od_status choose_policy(od_batch *b, od_error *e) {
    char pair[64];
    od_judge *j = &b->judge;
    const unsigned bit = od_oracle_bit(&od_oracle_envelope);
    snprintf(pair, sizeof pair, "%.20s:%.20s", j->setup.ref->name, j->setup.fast->name);
    enum od_status s = od_policy_load(&b->envelope, b->envelope_name, sizeof b->envelope_name, b->args, pair,
                                      b->ref_math, b->fast_math, e);
    if (s != OD_OK) return s;
    if (!b->envelope_name[0] && j->setup.oracles & bit)
        return od_fail(e, OD_BAD_INPUT, "the oracle envelope needs --policy envelope");
    if (!b->envelope_name[0]) return OD_OK;
    if (j->setup.oracles & od_oracle_bit(&od_oracle_accuracy)) j->setup.oracles |= bit;
    if (!(j->setup.oracles & bit))
        return od_fail(e, OD_BAD_INPUT, "--policy envelope: --only leaves out accuracy, which it is about");
    j->setup.measures = true;
    j->setup.envelope = b->tally.envelope = &b->envelope;
    return OD_OK;
}

static void list_not_checked(od_batch *b) {
    const char *fast = b->judge.setup.fast->name;
    if (strcmp(fast, "twin") == 0)
        b->not_checked[b->n_not_checked++] =
            "races within a warp, tensor cores, TF32, cuBLAS: the twin runs on the CPU";
    b->not_checked[b->n_not_checked++] = "sampled forecasts, variate labels";
    if (b->no_speed[0]) b->not_checked[b->n_not_checked++] = b->no_speed;
    if (b->no_process[0]) b->not_checked[b->n_not_checked++] = b->no_process;
    if (b->judge.setup.shared_device)
        b->not_checked[b->n_not_checked++] = "what the device's driver says is in use: others share the device";
    if (b->args->isolate || (b->args->fast && od_cli_is_foreign(b->args->fast)))
        b->not_checked[b->n_not_checked++] =
            "memory that the fast path takes in its worker and does not count; its own speed";
    if (!b->args->weights || !(b->judge.setup.oracles & od_oracle_bit(&od_oracle_vacuity)))
        b->not_checked[b->n_not_checked++] = "that every weight tensor is read (vacuity with --weights)";
    if (!b->judge.setup.watch_memory)
        b->not_checked[b->n_not_checked++] =
            "leaks that no counter tells, under 4 KiB (malloc), 64 KiB a request (--require memory)";
    if (!b->judge.setup.envelope) b->not_checked[b->n_not_checked++] = "faults below the contract (--policy envelope)";
    const unsigned told = b->no_speed[0] ? od_oracle_bit(&od_oracle_speed) : 0;
    const unsigned left = od_oracles_all() & ~b->judge.setup.oracles & ~told;
    const unsigned relations = od_relations_default() & ~b->judge.setup.relations;
    if (relations) {
        snprintf(b->not_related, sizeof b->not_related, "relations that were not asked:");
        for (unsigned i = 0; i < OD_RELATIONS; i++)
            if (relations >> i & 1) od_append_word(b->not_related, sizeof b->not_related, od_relation_at(i)->name);
        b->not_checked[b->n_not_checked++] = b->not_related;
    }
    if (b->args->relate) b->not_checked[b->n_not_checked++] = "of the relations all but one in each case (--relate)";
    if (left == 0) return;
    snprintf(b->not_asked, sizeof b->not_asked, "oracles that were not asked:");
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (left >> i & 1) od_append_word(b->not_asked, sizeof b->not_asked, od_oracle_at(i)->name);
    b->not_checked[b->n_not_checked++] = b->not_asked;
}

/* The rerun in a fresh process: for whom it is played, and why not for all. A machine that starts no processes runs all
 * the same. */
static void choose_process(od_batch *b) {
    const od_args *a = b->args;
    od_error e = {0};
    const bool costly = strcmp(b->judge.setup.fast->name, "gpu") == 0; /* a process takes CUDA's start, each time */
    b->process_every = a->has_process ? a->process : b->fuzz ? 0 : costly ? 16 : 1;
    const bool asked = b->judge.setup.oracles & od_oracle_bit(&od_oracle_determinism);
    if (!asked) b->process_every = 0;
    b->has_process = b->process_every > 0;
    const char *name = a->fast ? a->fast : b->judge.setup.fast->name;
    if (b->process_every == 0) {
        snprintf(b->no_process, sizeof b->no_process, "reruns in a fresh process%s", asked ? " (--process 1)" : "");
    } else if (od_cli_worker(&b->process, name, true, a->timeout, &e) != OD_OK) {
        b->process_every = 0;
        snprintf(b->no_process, sizeof b->no_process, "reruns in a fresh process, nor findings again there: %.140s",
                 e.text);
    } else if (b->process_every > 1) {
        snprintf(b->no_process, sizeof b->no_process, "reruns in a fresh process, but for one case of %llu",
                 (unsigned long long)b->process_every);
    }
    b->judge.setup.process = b->process;
}

enum od_status od_batch_create(od_batch **out, const od_args *args, bool fuzz, od_error *e) {
    *out = NULL;
    od_batch *b = calloc(1, sizeof *b);
    if (!b) return od_fail(e, OD_NO_MEMORY, "no memory for a run");
    b->args = args;
    b->fuzz = fuzz;
    b->start = od_seconds();
    od_tally_init(&b->tally);
    const od_engine_api *ref = NULL, *fast = NULL;
    enum od_status s = check_switches(args, e);
    if (s == OD_OK) s = od_cli_pair(&ref, &fast, b->why, sizeof b->why, args, e);
    if (s == OD_OK) {
        od_judge_init(&b->judge, ref, fast);
        s = choose_oracles(b, e);
    }
    if (s == OD_OK) s = check_lanes(b, e);
    if (s == OD_OK) s = find_model(b, e);
    if (s == OD_OK && args->known) s = od_known_read(&b->known, args->known, NULL, e);
    b->judge.known = &b->known;
    b->tally.expired = b->known.n_expired;
    if (s == OD_OK) s = od_cli_device(b->ref_device, sizeof b->ref_device, b->ref_math, sizeof b->ref_math, ref, e);
    if (s == OD_OK)
        s = od_cli_device(b->fast_device, sizeof b->fast_device, b->fast_math, sizeof b->fast_math, fast, e);
    if (s == OD_OK) s = choose_policy(b, e);
    if (s != OD_OK) {
        od_batch_destroy(b);
        return s;
    }
    if (od_cli_find_engine(&b->judge.setup.arbiter, "ref64", NULL) != OD_OK) b->judge.setup.arbiter = NULL;
    b->judge.setup.always_arbiter = args->arbiter;
    b->judge.weights = args->weights;
    b->judge.setup.isolated =
        args->isolate || (args->ref && od_cli_is_foreign(args->ref)) || (args->fast && od_cli_is_foreign(args->fast));
    choose_process(b);
    b->judge.setup.detail = args->json != NULL;
    od_environment_fill(&b->env);
    if (args->json) od_environment_card(&b->env);
    make_tail(b);
    list_not_checked(b);
    *out = b;
    return OD_OK;
}

void od_batch_destroy(od_batch *b) {
    if (!b) return;
    if (b->json) fclose(b->json);
    od_junit_free(&b->junit);
    for (size_t i = 0; i < b->n_row; i++) od_table_row_free(&b->rows[i]);
    free(b->rows);
    od_judge_free(&b->judge);
    od_judge_free(&b->again);
    od_known_free(&b->known);
    free(b);
}

enum od_status od_batch_prepare(const od_batch *b, od_case *c, od_error *e) {
    for (size_t i = 0; i < b->args->n_set; i++) {
        enum od_status s = od_options_set(&c->options, b->args->set[i], e);
        if (s != OD_OK) return s;
    }
    if (!b->model_folder[0]) return OD_OK;
    c->preset[0] = '\0';
    c->gain = 1;
    c->weight_seed = 0;
    snprintf(c->model_folder, sizeof c->model_folder, "%s", b->model_folder);
    c->model_config = b->model_config;
    c->model_weights = b->model_weights;
    return OD_OK;
}
