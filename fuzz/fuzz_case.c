/* Proves: whatever stands in a case's file, it is refused in one line that says where, or becomes a legal case that
 * says all that the text said, has one canonical form and one hash, and may be mutated and crossed. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fuzz/bytes.h"

/* Values in the series of a case that is mutated here: a mutant costs a look at all of them. One case in EACH is
 * mutated: its steps cost more than all the rest. */
enum { MAX_VALUES = 1 << 12, EACH = 8 };

/* What keys mean that are left out (case.schema.json). A key that is not here is never left out. */
static const char defaults_text[] =
    "{\"note\": \"\", \"xpos_center\": \"call\", \"seed\": 0, \"gain\": 1, \"stabilize_with_global\": true,"
    " \"scale_factor_exponent\": 10, \"scale\": 1, \"missing\": 0, \"left_padding\": 0, \"start\": 0, \"stride\": 0,"
    " \"compare\": \"all\", \"options\": {}, \"graph\": true, \"cache\": \"fixed\", \"fused\": false,"
    " \"autotune\": false, \"tf32\": false, \"threads\": 1, \"streams\": 2, \"captures\": 8, \"order\": 1}";
static json_t *defaults;

/* Does `text`, or its absence, say what `given` says? */
static bool says(const json_t *text, const json_t *given) {
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_object(given)) {
        json_object_foreach((json_t *)given, key, value) {
            const json_t *said = json_object_get(text, key);
            if (!says(said ? said : json_object_get(defaults, key), value)) return false;
        }
        return json_is_object(text);
    }
    if (json_is_array(given)) {
        json_array_foreach(given, i, value) {
            if (!says(json_array_get(text, i), value)) return false;
        }
        return json_array_size(text) == json_array_size(given);
    }
    if (json_is_integer(given) && json_is_integer(text)) return json_integer_value(given) == json_integer_value(text);
    if (json_is_number(given)) return json_is_number(text) && json_number_value(given) == json_number_value(text);
    return json_equal(text, given);
}

/* c is legal, and its text is that of the case that the text makes; malloc'd, the caller frees. */
static char *canonical(size_t *size, const od_case *c, const char *whose) {
    static od_case again;
    char *text, *twice;
    size_t size_twice;
    od_error e = {0};
    od_fuzz_claim(od_case_check(c, &e) == OD_OK, whose, e.text);
    od_fuzz_claim(od_case_format(&text, size, c, NULL, &e) == OD_OK, whose, e.text);
    od_fuzz_claim(od_case_parse(&again, text, *size, c->path, &e) == OD_OK, whose, e.text);
    od_fuzz_claim(od_case_format(&twice, &size_twice, &again, NULL, &e) == OD_OK, whose, e.text);
    od_fuzz_claim(*size == size_twice && memcmp(text, twice, *size) == 0, whose, "its text has a second form");
    od_fuzz_claim(od_case_hash(c) == od_case_hash(&again) && od_case_hash(c) != 0, whose, "its hash changes");
    free(twice);
    return text;
}

/* The messages of the parser begin with a line of the text or with a key. */
static void check_refusal(enum od_status status, const od_error *e) {
    static const char *const places[] = {"line ",
                                         "format",
                                         "note",
                                         "model",
                                         "series",
                                         "schedule",
                                         "forecast",
                                         "options",
                                         "compare",
                                         "expect",
                                         "finding",
                                         "a case must be an object",
                                         "case: an engine would need"};
    bool found = false;
    od_fuzz_refused(status, e, "case");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        found = found || strncmp(e->text + strlen("case: "), places[i], strlen(places[i])) == 0;
    od_fuzz_claim(found || strstr(e->text, "a case has at most") || strstr(e->text, "unknown key"),
                  "a refusal says where", e->text);
}

static bool is_small(const od_case *c) {
    size_t steps = 0, patch = c->config.patch ? c->config.patch : 1;
    for (unsigned i = 0; i < c->n_op; i++) steps += c->op[i].steps + c->op[i].patches * patch;
    return (size_t)c->batch * c->variates * steps <= MAX_VALUES;
}

/* What becomes of c under the seed is legal, lies in the contract's domain, and is the same the second time. */
static void check_steps(const od_case *c, uint64_t seed) {
    static od_case start, other, once, twice;
    size_t size;
    start = *c;
    if (start.csv.path[0]) strcpy(start.csv.path, "none.csv"); /* no input makes the target open a file */
    od_case_generate(&other, seed, 0, OD_PROFILE_RATE);
    for (int crossing = 0; crossing < 2; crossing++) {
        od_case *const to[] = {&once, &twice};
        for (int i = 0; i < 2; i++) {
            *to[i] = start;
            if (crossing)
                od_case_cross(to[i], &other, seed);
            else
                od_case_mutate(to[i], seed);
        }
        const char *whose = crossing ? "a cross is a case" : "a mutant is a case";
        free(canonical(&size, &once, whose));
        od_fuzz_claim(od_case_in_domain(&once), whose, "it lies outside the domain");
        od_fuzz_claim(od_case_hash(&once) == od_case_hash(&twice), whose, "another seed than its own moves it");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static od_case c;
    od_error e = {0};
    size_t n;
    if (!defaults) defaults = json_loads(defaults_text, 0, NULL);
    data = od_fuzz_guarded(0, data, size);
    enum od_status status = od_case_parse(&c, (const char *)data, size, "", &e);
    if (status) {
        check_refusal(status, &e);
        return 0;
    }
    char *text = canonical(&n, &c, "an accepted case is a case");
    json_t *given = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    json_t *said = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    od_fuzz_claim(given && said, "a case is JSON without duplicate keys", NULL);
    od_fuzz_claim(says(said, given), "the canonical text says what the given one says", text);
    json_decref(given);
    json_decref(said);
    free(text);
    uint64_t seed = XXH64(data, size, 0);
    if (seed % EACH == 0 && is_small(&c)) check_steps(&c, seed);
    return 0;
}
