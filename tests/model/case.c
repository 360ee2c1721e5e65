/* The case as text: what is refused and how it is said, canonical form, identity, limits. Files stand in case_files.c.
 */
#include "model/case.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/suites.h"

#define SCHEDULE "\"schedule\": [{\"op\": \"prefill\", \"session\": 0, \"steps\": 32}]"
#define MODEL    "\"model\": {\"preset\": \"seed-tiny\"}"
#define SERIES   "\"series\": {\"generator\": \"normal\"}"
#define BASE     "{\"format\": 1, " MODEL ", " SERIES ", " SCHEDULE "}"

static enum od_status parse(od_case *c, const char *text, od_error *e) {
    return od_case_parse(c, text, strlen(text), "", e);
}

static char *format(const od_case *c) {
    char *text;
    size_t size;
    od_error e = {0};
    ck_assert_msg(od_case_format(&text, &size, c, NULL, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(strlen(text), size);
    return text;
}

START_TEST(defaults_are_the_documented_ones) {
    od_case c, d;
    od_error e = {0};
    od_case_init(&d);
    ck_assert_msg(parse(&c, BASE, &e) == OD_OK, "%s", e.text);
    ck_assert_str_eq(c.preset, "seed-tiny");
    ck_assert(c.config.patch == 4 && c.config.d_model == 32 && c.config.n_layer == 6);
    ck_assert(c.weight_seed == 0 && c.gain == 1 && c.batch == 1 && c.variates == 1 && c.series_seed == 0);
    ck_assert(c.scale == 1 && c.missing == 0 && c.left_padding == 0 && c.padded_variate == -1 && c.n_group == 0);
    ck_assert(c.generator == OD_GEN_NORMAL && c.config.xpos == OD_XPOS_CALL && c.options.graph);
    ck_assert(c.options.cache == OD_CACHE_FIXED && c.options.streams == 2 && c.options.order == 1);
    ck_assert_str_eq(c.expect, "pass");
    ck_assert(c.n_op == 1 && c.op[0].kind == OD_OP_PREFILL && c.op[0].steps == 32);
    ck_assert(d.n_op == 0 && d.gain == 1 && d.scale == 1 && d.padded_variate == -1);
    ck_assert_int_eq(od_case_check(&d, &e), OD_BAD_INPUT); /* without a schedule there is nothing to run */
    ck_assert_ptr_nonnull(strstr(e.text, "schedule"));
    d = c;
    d.preset[0] = 0;
    d.config.n_head = 3;
    ck_assert_int_eq(od_case_check(&d, &e), OD_BAD_INPUT);
    ck_assert_int_eq(od_case_check(&d, NULL), OD_BAD_INPUT); /* nobody listens to the prefixed message */
}
END_TEST

/* Each text is BASE with `find` replaced; the message must hold all of `says`. */
static const struct {
    const char *find, *put, *says;
} refused[] = {
    {BASE, "", "line 1"},
    {BASE, "[]", "must be an object"},
    {BASE, "{\"format\": 1, \"model\": {\"preset\"", "line 1, column 32"},
    {"}]}", "}]} x", "end of file expected"},
    {"}]}", "}]}{}", "end of file expected"},
    {"\"format\": 1", "\"format\": 2", "format: 2 is not within 1 to 1"},
    {"\"format\": 1, ", "", "format: must be given"},
    {"\"format\": 1", "\"format\": 1, \"nonsense\": 0", "nonsense: unknown key, known here: format, note"},
    {"\"format\": 1", "\"format\": 1, \"format\": 1", "duplicate object key"},
    {"\"format\": 1", "\"format\": 1.0", "format: must be a whole number"},
    {"\"format\": 1", "\"format\": 1, \"note\": 7", "note: must be a text"},
    {"\"format\": 1", "\"format\": 1, \"note\": \"a\\nb\"", "note: must be UTF-8"},
    {"\"format\": 1", "\"format\": 1, \"note\": \"\\u0000\"", "line 1"},
    {"\"format\": 1", "\"format\": 1, \"note\": \"\xff\"", "line 1"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"tiny\"", "model.preset: preset 'tiny'"},
    {"\"preset\": \"seed-tiny\"", "\"seed\": 1", "model: exactly one of preset, dims, folder"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"dims\": {}", "model: exactly one of"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"colour\": 1", "model.colour: unknown key"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"seed\": -1", "model.seed: -1 is not within 0 to"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"seed\": 9223372036854775808", "too big integer"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"seed\": 1e3", "model.seed: must be a whole number"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"gain\": 0", "model.gain: 0 is not above 0"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"gain\": 4.01", "model.gain: 4.01 is not"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"gain\": NaN", "invalid token"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"gain\": 1e999", "real number overflow"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"gain\": \"1\"", "model.gain: must be a number"},
    {"\"preset\": \"seed-tiny\"", "\"preset\": \"seed-tiny\", \"xpos_center\": \"end\"", "none of call, origin"},
    {"\"preset\": \"seed-tiny\"", "\"dims\": {\"patch_size\": 4}", "model.dims.embed_dim: must be given"},
    {"\"preset\": \"seed-tiny\"", "\"dims\": {\"patch_size\": 513}", "model.dims.patch_size: 513 is not within"},
    {"\"preset\": \"seed-tiny\"", "\"dims\": {\"stride\": 4}", "model.dims.stride: unknown key"},
    {"\"preset\": \"seed-tiny\"", "\"folder\": {\"path\": \"x\"}", "model.folder.config: must be given, an object"},
    {"\"preset\": \"seed-tiny\"", "\"folder\": {\"path\": \"x\", \"config\": {\"bytes\": 1, \"xxh64\": \"12\"}}",
     "model.folder.config.xxh64: must be 16 lower-case"},
    {"\"generator\": \"normal\"", "\"generator\": \"random\"", "series.generator: 'random' is none of normal, walk"},
    {"\"generator\": \"normal\"", "\"seed\": 3", "series.generator: must be given"},
    {"\"generator\": \"normal\"", "\"generator\": \"normal\", \"batch\": 0", "series.batch: 0 is not within 1 to 64"},
    {"\"generator\": \"normal\"", "\"generator\": \"normal\", \"batch\": 65", "series.batch: 65"},
    {"\"generator\": \"normal\"", "\"generator\": \"normal\", \"variates\": 129", "series.variates: 129"},
    {"\"generator\": \"normal\"", "\"generator\": \"normal\", \"scale\": 0", "series.scale: 0 is not within"},
    {"\"generator\": \"normal\"", "\"generator\": \"normal\", \"missing\": -0.1", "series.missing: -0.1"},
    {"\"generator\": \"normal\"", "\"generator\": \"normal\", \"left_padding\": 65537", "series.left_padding: 65537"},
    {"\"generator\": \"normal\"", "\"generator\": \"normal\", \"padded_variate\": 1", "series.padded_variate: 1,"},
    {"\"generator\": \"normal\"", "\"generator\": \"normal\", \"groups\": [0, 1]", "series.groups: 2 ids for 1"},
    {"\"generator\": \"normal\"", "\"generator\": \"normal\", \"groups\": [128]", "series.groups: must be"},
    {"\"generator\": \"normal\"", "\"generator\": \"normal\", \"groups\": 3", "series.groups: must be a list"},
    {"\"generator\": \"normal\"", "\"generator\": \"csv\"", "series.csv: missing"},
    {"\"generator\": \"normal\"",
     "\"generator\": \"normal\", \"csv\": {\"path\": \"x\", \"bytes\": 1, \"xxh64\": \"0123456789abcdef\", "
     "\"columns\": [\"a\"]}",
     "series.csv: only with the generator csv"},
    {"\"generator\": \"normal\"",
     "\"generator\": \"csv\", \"scale\": 2, \"csv\": {\"path\": \"x\", \"bytes\": 1, \"xxh64\": \"0123456789abcdef\", "
     "\"columns\": [\"a\"]}",
     "series.scale: must be 1"},
    {"\"generator\": \"normal\"",
     "\"generator\": \"csv\", \"csv\": {\"path\": \"x\", \"bytes\": 1, \"xxh64\": \"0123456789abcdef\", "
     "\"columns\": [\"a\", \"b\"]}",
     "series.csv.columns: 2 names for 1 variates"},
    {"[{\"op\"", "[7, {\"op\"", "schedule[0]: must be an object"},
    {"\"prefill\"", "\"fill\"", "schedule[0].op: 'fill' is none of prefill, decode, reset, recapture"},
    {", \"steps\": 32", "", "schedule[0].steps: must be given"},
    {"\"steps\": 32", "\"steps\": 0", "schedule[0].steps: 0 is not within 1 to 65536"},
    {"\"steps\": 32", "\"steps\": 65537", "schedule[0].steps: 65537"},
    {"\"steps\": 32", "\"steps\": 32, \"feed\": \"own\"", "schedule[0].feed: unknown key"},
    {"\"session\": 0", "\"session\": 4", "schedule[0].session: 4 is not within 0 to 3"},
    {"\"session\": 0", "\"session\": 1", "schedule: session 0 has no prefill"},
    {"[{\"op\"", "[{\"op\": \"decode\", \"session\": 0, \"patches\": 1, \"feed\": \"own\"}, {\"op\"",
     "schedule[0]: decode before prefill in session 0"},
    {"32}]",
     "32}, {\"op\": \"reset\", \"session\": 0}, {\"op\": \"decode\", \"session\": 0, \"patches\": 1, "
     "\"feed\": \"own\"}]",
     "schedule[2]: decode before prefill in session 0"},
    {"32}]", "32}, {\"op\": \"prefill\", \"session\": 0, \"steps\": 1}]", "schedule[1]: session 0 has its prefill"},
    {"32}]", "32}, {\"op\": \"decode\", \"session\": 0, \"patches\": 1025, \"feed\": \"own\"}]",
     "schedule[1].patches: 1025"},
    {"32}]", "32}, {\"op\": \"decode\", \"session\": 0, \"patches\": 1, \"feed\": \"both\"}]",
     "schedule[1].feed: 'both' is none of teacher, own"},
    {"32}]", "65536}, {\"op\": \"decode\", \"session\": 0, \"patches\": 1, \"feed\": \"own\"}]",
     "schedule: session 0 takes 65540 steps, at most 65536"},
    {"[{\"op\": \"prefill\", \"session\": 0, \"steps\": 32}]", "[]", "schedule: must be a list of 1 to 64"},
    {"{\"op\": \"prefill\", \"session\": 0, \"steps\": 32}", "{\"op\": \"recapture\"}", "there must be a prefill"},
    {"\"format\": 1", "\"format\": 1, \"forecast\": \"samples\"", "forecast: 'samples' is none of mean"},
    {"\"format\": 1", "\"format\": 1, \"options\": {\"speed\": 1}", "options.speed: unknown key, known here: graph"},
    {"\"format\": 1", "\"format\": 1, \"options\": {\"graph\": 1}", "options.graph: must be true or false"},
    {"\"format\": 1", "\"format\": 1, \"options\": {\"graph\": \"on\"}", "options.graph: must be true or false"},
    {"\"format\": 1", "\"format\": 1, \"options\": {\"cache\": \"on\"}", "option cache: 'on'"},
    {"\"format\": 1", "\"format\": 1, \"options\": {\"cache\": false}", "options.cache: must be a text"},
    {"\"format\": 1", "\"format\": 1, \"options\": {\"streams\": 5}", "option streams: '5'"},
    {"\"format\": 1", "\"format\": 1, \"options\": {\"hidden\": true}", "options.hidden: unknown key"},
    {"\"format\": 1", "\"format\": 1, \"compare\": \"loc\"", "compare: 'loc' is none of all, scaler"},
    {"\"format\": 1", "\"format\": 1, \"expect\": \"\"", "expect: must be"},
    {"\"format\": 1", "\"format\": 1, \"finding\": {\"verdict\": \"FINDING\"}", "finding.signature: must be given"},
};

static void replace(char *out, size_t size, const char *text, const char *find, const char *put) {
    const char *at = strstr(text, find);
    ck_assert_msg(at != NULL, "'%s' is not in the text", find);
    int n = snprintf(out, size, "%.*s%s%s", (int)(at - text), text, put, at + strlen(find));
    ck_assert_int_lt(n, (int)size);
}

START_TEST(refuses_with_a_message) {
    char text[2048];
    od_case c;
    od_error e = {0};
    replace(text, sizeof text, BASE, refused[_i].find, refused[_i].put);
    ck_assert_msg(parse(&c, text, &e) == OD_BAD_INPUT, "taken: %s", text);
    ck_assert_int_eq(e.status, OD_BAD_INPUT);
    ck_assert_msg(strstr(e.text, refused[_i].says), "%s\nis refused with: %s\nand not: %s", text, e.text,
                  refused[_i].says);
}
END_TEST

START_TEST(every_truncation_is_refused) {
    od_case c;
    for (size_t n = 0; n < strlen(BASE); n++)
        ck_assert_msg(od_case_parse(&c, BASE, n, "", NULL) == OD_BAD_INPUT, "taken: the first %zu bytes", n);
}
END_TEST

START_TEST(sixteen_kib_are_the_limit) {
    char *text = malloc(OD_CASE_MAX_BYTES + 1);
    od_case c;
    od_error e = {0};
    memset(text, ' ', OD_CASE_MAX_BYTES + 1);
    memcpy(text, BASE, strlen(BASE));
    ck_assert_int_eq(od_case_parse(&c, text, OD_CASE_MAX_BYTES, "", &e), OD_OK);
    ck_assert_int_eq(od_case_parse(&c, text, OD_CASE_MAX_BYTES + 1, "", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "16385 bytes"));
    free(text);
}
END_TEST

START_TEST(numbers_at_their_limits_are_taken) {
    od_case c;
    od_error e = {0};
    const char *text =
        "{\"format\": 1, \"model\": {\"preset\": \"seed-tiny\", \"seed\": 9223372036854775807, \"gain\": 4}, "
        "\"series\": {\"generator\": \"small\", \"batch\": 64, \"variates\": 128, \"seed\": 0, "
        "\"scale\": 1e-12, \"missing\": 1, \"left_padding\": 65536, \"padded_variate\": 127}, "
        "\"schedule\": [{\"op\": \"prefill\", \"session\": 0, \"steps\": 1}], "
        "\"options\": {\"threads\": 64, \"streams\": 4, \"captures\": 1024, \"order\": 0}}";
    ck_assert_msg(parse(&c, text, &e) == OD_OK, "%s", e.text);
    ck_assert(c.weight_seed == INT64_MAX && c.scale == 1e-12 && c.missing == 1 && c.padded_variate == 127);
    char *again = format(&c);
    ck_assert_ptr_nonnull(strstr(again, "\"seed\": 9223372036854775807"));
    ck_assert_ptr_nonnull(strstr(again, "\"scale\": 1e-12"));
    free(again);
}
END_TEST

START_TEST(memory_is_bounded) {
    od_case c;
    od_error e = {0};
    /* 64 x 128 x 33 patches of seed-tiny: 270,336 tokens, 262,144 are allowed */
    const char *wide =
        "{\"format\": 1, \"model\": {\"preset\": \"seed-tiny\"}, \"series\": {\"generator\": \"normal\", "
        "\"batch\": 64, \"variates\": 128}, \"schedule\": [{\"op\": \"prefill\", \"session\": 0, "
        "\"steps\": 129}]}";
    ck_assert_int_eq(parse(&c, wide, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "270336 tokens"));
    /* one series of 16,384 patches: attention scores of 4 heads take 4·16384²·8 bytes = 8 GiB */
    const char *longest =
        "{\"format\": 1, \"model\": {\"preset\": \"seed-tiny\"}, \"series\": {\"generator\": \"normal\"}, "
        "\"schedule\": [{\"op\": \"prefill\", \"session\": 0, \"steps\": 65536}]}";
    ck_assert_int_eq(parse(&c, longest, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "GiB, at most 4"));
    /* 4096-wide layers: 12·D² = 201 million parameters each */
    const char *deep =
        "{\"format\": 1, \"model\": {\"dims\": {\"patch_size\": 1, \"embed_dim\": 4096, \"num_layers\": 2, "
        "\"num_heads\": 4, \"mlp_hidden_dim\": 8192, \"spacewise_every_n_layers\": -1, "
        "\"spacewise_first\": true, \"scaler_cls\": \"StdMeanScaler\", "
        "\"output_distribution_classes\": [\"StudentTOutput\"]}}, " SERIES ", " SCHEDULE "}";
    ck_assert_int_eq(parse(&c, deep, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "parameters"));
}
END_TEST

START_TEST(floats_are_shortest_and_come_back) {
    static const struct {
        double x;
        const char *text;
    } reals[] = {
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {0.1 + 0.2, "0.30000000000000004"},
        {5e-324, "4.94065645841247e-324"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {1e23, "1e+23"},
        {123456789012345678.0, "1.2345678901234568e+17"},
        {-0.0, "-0.0"},
        {3, "3"},
        {INFINITY, "\"inf\""},
        {-INFINITY, "\"-inf\""},
    };
    od_case c, back;
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
        char wanted[64];
        ck_assert_int_eq(parse(&c, BASE, NULL), OD_OK);
        strcpy(c.found_verdict, "FINDING");
        c.found_value = reals[i].x;
        char *text = format(&c);
        snprintf(wanted, sizeof wanted, "\"value\": %s,", reals[i].text);
        ck_assert_msg(strstr(text, wanted) != NULL, "%s is not in %s", wanted, text);
        ck_assert_int_eq(parse(&back, text, NULL), OD_OK);
        ck_assert_mem_eq(&back.found_value, &c.found_value, sizeof(double));
        free(text);
    }
    c.found_value = NAN;
    char *text = format(&c);
    ck_assert_int_eq(parse(&back, text, NULL), OD_OK);
    ck_assert(isnan(back.found_value));
    free(text);
}
END_TEST

START_TEST(a_decimal_comma_changes_nothing) {
    od_case c, back;
    ck_assert_int_eq(parse(&c, BASE, NULL), OD_OK);
    c.gain = 1.25;
    c.scale = 1.0 / 3;
    char *before = format(&c);
    if (scratch_comma_locale()) {
        char *after = format(&c);
        ck_assert_str_eq(after, before);
        ck_assert_int_eq(parse(&back, after, NULL), OD_OK);
        ck_assert(back.gain == 1.25 && back.scale == 1.0 / 3);
        free(after);
        setlocale(LC_NUMERIC, "C");
    } else {
        fprintf(stderr, "skipped: localedef made no locale with a decimal comma\n");
    }
    free(before);
}
END_TEST

START_TEST(texts_are_escaped) {
    od_case c, back;
    ck_assert_int_eq(parse(&c, BASE, NULL), OD_OK);
    strcpy(c.note, "quotes \" and \\ and / and \xc3\xa4\xe2\x82\xac");
    char *text = format(&c);
    ck_assert_int_eq(parse(&back, text, NULL), OD_OK);
    ck_assert_str_eq(back.note, c.note);
    free(text);
    strcpy(c.note, "two\nlines");
    size_t size;
    ck_assert_int_eq(od_case_format(&text, &size, &c, NULL, NULL), OD_BAD_INPUT);
    ck_assert_ptr_null(text);
    strcpy(c.note, "\xc3(");
    ck_assert_int_eq(od_case_format(&text, &size, &c, NULL, NULL), OD_BAD_INPUT);
}
END_TEST

/* ---- identity ---------------------------------------------------------------------------------------------------- */

/* Change i of what decides the outcome; false past the last. */
static bool change(od_case *c, int i) {
    switch (i) {
    case 0: c->weight_seed++; return true;
    case 1: c->gain = 0.5; return true;
    case 2: c->config.xpos = OD_XPOS_ORIGIN; return true;
    case 3: c->batch = 2; return true;
    case 4: c->variates = 2; return true;
    case 5: c->generator = OD_GEN_WALK; return true;
    case 6: c->series_seed++; return true;
    case 7: c->scale = 2; return true;
    case 8: c->missing = 0.5; return true;
    case 9: c->left_padding = 1; return true;
    case 10: c->padded_variate = 0; return true;
    case 11:
        c->n_group = 1;
        c->group[0] = 3;
        return true;
    case 12: c->op[0].steps++; return true;
    case 13: c->op[c->n_op++] = (od_op){.kind = OD_OP_DECODE, .patches = 1}; return true;
    case 14: c->op[c->n_op++] = (od_op){.kind = OD_OP_DECODE, .patches = 1, .own = true}; return true;
    case 15: c->op[c->n_op++] = (od_op){.kind = OD_OP_RESET}; return true;
    case 16: c->op[c->n_op++] = (od_op){.kind = OD_OP_RECAPTURE}; return true;
    case 17: c->options.graph = false; return true;
    case 18: c->options.cache = OD_CACHE_OFF; return true;
    case 19: c->options.cache = OD_CACHE_DYNAMIC; return true;
    case 20: c->options.fused = true; return true;
    case 21: c->options.autotune = true; return true;
    case 22: c->options.tf32 = true; return true;
    case 23: c->options.threads = 2; return true;
    case 24: c->options.streams = 1; return true;
    case 25: c->options.captures = 1; return true;
    case 26: c->options.order = 0; return true;
    case 27:
        c->preset[0] = 0;
        c->config.n_layer = 3;
        return true;
    case 28:
        c->preset[0] = 0;
        c->config.space_first = false;
        return true;
    case 29:
        c->preset[0] = 0;
        c->config.mixture = true;
        return true;
    default: return false;
    }
}

START_TEST(the_hash_tells_what_decides_apart) {
    uint64_t seen[64];
    od_case base;
    ck_assert_int_eq(parse(&base, BASE, NULL), OD_OK);
    seen[0] = od_case_hash(&base);
    int n = 0;
    for (od_case c = base; change(&c, n); c = base) {
        od_error e = {0};
        ck_assert_msg(od_case_check(&c, &e) == OD_OK, "change %d: %s", n, e.text);
        seen[++n] = od_case_hash(&c);
        for (int i = 0; i < n; i++) ck_assert_msg(seen[i] != seen[n], "changes %d and %d hash alike", i - 1, n - 1);
    }
    ck_assert_int_eq(n, 30);
}
END_TEST

/* What is compared decides the outcome; all is what is not written. */
START_TEST(a_comparison_of_the_scaler_alone_is_another_case) {
    od_case a, b;
    char *text;
    size_t size;
    ck_assert_int_eq(parse(&a, BASE, NULL), OD_OK);
    b = a;
    ck_assert(!a.only_scaler);
    b.only_scaler = true;
    ck_assert_uint_ne(od_case_hash(&a), od_case_hash(&b));
    ck_assert_int_eq(od_case_format(&text, &size, &b, NULL, NULL), OD_OK);
    ck_assert_ptr_nonnull(strstr(text, "\n  \"compare\": \"scaler\",\n"));
    ck_assert_int_eq(od_case_parse(&a, text, size, "", NULL), OD_OK);
    ck_assert(a.only_scaler);
    free(text);
}
END_TEST

START_TEST(the_hash_leaves_words_out) {
    od_case a, b;
    ck_assert_int_eq(parse(&a, BASE, NULL), OD_OK);
    b = a;
    strcpy(b.note, "another note");
    strcpy(b.expect, "accuracy loc decode small ref:twin");
    strcpy(b.found_verdict, "FINDING");
    strcpy(b.found_signature, "x");
    b.found_value = 3;
    strcpy(b.path, "somewhere/else.json");
    ck_assert_uint_eq(od_case_hash(&a), od_case_hash(&b));
    ck_assert_uint_ne(od_case_hash(&a), 0);
}
END_TEST

Suite *suite_case(void) {
    Suite *s = suite_create("case");
    TCase *t = tcase_create("text");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, defaults_are_the_documented_ones);
    tcase_add_loop_test(t, refuses_with_a_message, 0, (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(t, every_truncation_is_refused);
    tcase_add_test(t, sixteen_kib_are_the_limit);
    tcase_add_test(t, numbers_at_their_limits_are_taken);
    tcase_add_test(t, memory_is_bounded);
    tcase_add_test(t, floats_are_shortest_and_come_back);
    tcase_add_test(t, a_decimal_comma_changes_nothing);
    tcase_add_test(t, texts_are_escaped);
    tcase_add_test(t, the_hash_tells_what_decides_apart);
    tcase_add_test(t, a_comparison_of_the_scaler_alone_is_another_case);
    tcase_add_test(t, the_hash_leaves_words_out);
    suite_add_tcase(s, t);
    case_files_add(s);
    return s;
}
