/* Configurations: config.json as the official constructor takes it, limits, presets, layer kinds. */
#include "model/config.h"
#include "model/suites.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A valid config.json, from which a test takes away, changes or adds one key. */
static const char *const base[][2] = {
    {"patch_size", "8"},
    {"stride", "8"},
    {"embed_dim", "48"},
    {"num_layers", "4"},
    {"num_heads", "4"},
    {"mlp_hidden_dim", "96"},
    {"dropout", "0.1"},
    {"spacewise_every_n_layers", "4"},
    {"scaler_cls", "\"<class 'model.scaler.CausalPatchStdMeanScaler'>\""},
    {"output_distribution_classes", "[\"<class 'model.distribution.MixtureOfStudentTsOutput'>\"]"},
    {"output_distribution_kwargs", "{\"k_components\": 5}"},
};
enum { N_BASE = sizeof base / sizeof base[0], REQUIRED = N_BASE - 1 };

/* value NULL: without the key. */
static const char *text_with(const char *key, const char *value) {
    static char text[2048];
    size_t used = 0;
    bool done = false;
    const char *separator = "{";
    for (size_t i = 0; i < N_BASE; i++) {
        bool hit = strcmp(key, base[i][0]) == 0;
        done |= hit;
        if (hit && !value) continue;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\": %s", separator, base[i][0],
                                 hit ? value : base[i][1]);
        separator = ", ";
    }
    if (!done && value) used += (size_t)snprintf(text + used, sizeof text - used, ", \"%s\": %s", key, value);
    snprintf(text + used, sizeof text - used, "}");
    return text;
}

static enum od_status parse(od_config *c, const char *text, od_error *e) {
    char warning[128];
    return od_config_parse(c, text, strlen(text), warning, sizeof warning, e);
}

START_TEST(absent_keys_take_the_official_defaults) {
    od_config c;
    ck_assert_int_eq(parse(&c, text_with("", NULL), NULL), OD_OK);
    ck_assert(c.patch == 8 && c.d_model == 48 && c.n_layer == 4 && c.n_head == 4 && c.d_mlp == 96);
    ck_assert(c.space_every == 4 && c.space_first && c.stabilize && c.scale_exponent == 10.0);
    ck_assert(c.scaler == OD_SCALER_CAUSAL_PATCH_STD_MEAN && c.mixture && c.n_component == 5);
    ck_assert_int_eq(c.xpos, OD_XPOS_CALL);
}
END_TEST

START_TEST(given_keys_replace_the_defaults) {
    od_config c;
    ck_assert_int_eq(parse(&c, text_with("spacewise_first", "false"), NULL), OD_OK);
    ck_assert(!c.space_first);
    ck_assert_int_eq(parse(&c, text_with("stabilize_with_global", "false"), NULL), OD_OK);
    ck_assert(!c.stabilize);
    ck_assert_int_eq(parse(&c, text_with("scale_factor_exponent", "0.3"), NULL), OD_OK);
    ck_assert(c.scale_exponent == 0.3);
    ck_assert_int_eq(parse(&c, text_with("scale_factor_exponent", "2"), NULL), OD_OK);
    ck_assert(c.scale_exponent == 2);
    ck_assert_int_eq(parse(&c, text_with("spacewise_every_n_layers", "-1"), NULL), OD_OK);
    ck_assert_uint_eq(c.space_every, 0);
    ck_assert_int_eq(parse(&c, text_with("dropout", "0"), NULL), OD_OK);
}
END_TEST

START_TEST(every_key_without_a_default_is_required) {
    for (size_t i = 0; i < REQUIRED; i++) {
        od_config c;
        od_error e;
        ck_assert_int_eq(parse(&c, text_with(base[i][0], NULL), &e), OD_BAD_INPUT);
        ck_assert_msg(strstr(e.text, base[i][0]) && strstr(e.text, "missing"), "%s", e.text);
    }
}
END_TEST

START_TEST(classes_are_known_by_their_last_name) {
    static const struct {
        const char *value;
        int scaler; /* -1: refused */
    } cases[] = {
        {"\"<class 'model.scaler.StdMeanScaler'>\"", OD_SCALER_STD_MEAN},
        {"\"<class 'toto.model.scaler.CausalStdMeanScaler'>\"", OD_SCALER_CAUSAL_STD_MEAN},
        {"\"CausalPatchStdMeanScaler\"", OD_SCALER_CAUSAL_PATCH_STD_MEAN},
        {"\"model.scaler.StdMeanScaler\"", OD_SCALER_STD_MEAN},
        {"\"MyStdMeanScaler\"", -1},
        {"\"StdMeanScaler2\"", -1},
        {"\"<class 'model.scaler.StdMeanScaler\"", -1},
        {"\"stdmeanscaler\"", -1},
        {"\"<class ''>\"", -1},
        {"\"<class '>\"", -1},
        {"\"\"", -1},
        {"\".\"", -1},
        {"3", -1},
        {"null", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        od_config c;
        od_error e = {OD_OK, ""};
        enum od_status status = parse(&c, text_with("scaler_cls", cases[i].value), &e);
        ck_assert_msg((status == OD_OK) == (cases[i].scaler >= 0), "%s", cases[i].value);
        if (status == OD_OK)
            ck_assert_int_eq(c.scaler, cases[i].scaler);
        else
            ck_assert_msg(strstr(e.text, "scaler_cls") != NULL, "%s", e.text);
    }
}
END_TEST

/* toto.model.backbone gives stabilize_with_global to CausalPatchStdMeanScaler alone. */
START_TEST(other_scalers_are_never_stabilised) {
    od_config c;
    ck_assert_int_eq(parse(&c, text_with("scaler_cls", "\"CausalStdMeanScaler\""), NULL), OD_OK);
    ck_assert(!c.stabilize);
    ck_assert_int_eq(parse(&c, text_with("scaler_cls", "\"StdMeanScaler\""), NULL), OD_OK);
    ck_assert(!c.stabilize);
}
END_TEST

START_TEST(distribution_and_its_arguments_agree) {
    static const char student[] = "[\"<class 'model.distribution.StudentTOutput'>\"]";
    od_config c;
    od_error e;
    ck_assert_int_eq(parse(&c, text_with("output_distribution_kwargs", NULL), &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "k_components"));
    ck_assert_int_eq(parse(&c, text_with("output_distribution_kwargs", "null"), &e), OD_BAD_INPUT);
    ck_assert_int_eq(parse(&c, text_with("output_distribution_kwargs", "{}"), &e), OD_BAD_INPUT);
    ck_assert_int_eq(parse(&c, text_with("output_distribution_kwargs", "[5]"), &e), OD_BAD_INPUT);
    ck_assert_int_eq(parse(&c, text_with("output_distribution_kwargs", "{\"k_components\": 0}"), &e), OD_BAD_INPUT);
    ck_assert_int_eq(parse(&c, text_with("output_distribution_kwargs", "{\"k_components\": 1}"), &e), OD_OK);
    ck_assert(c.mixture && c.n_component == 1);
    ck_assert_int_eq(parse(&c, text_with("output_distribution_classes", student), &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "StudentTOutput"));
    ck_assert_int_eq(parse(&c, text_with("output_distribution_classes", "[]"), &e), OD_BAD_INPUT);
    ck_assert_int_eq(
        parse(&c, text_with("output_distribution_classes", "[\"StudentTOutput\", \"StudentTOutput\"]"), &e),
        OD_BAD_INPUT);
    ck_assert_int_eq(parse(&c, text_with("output_distribution_classes", "[\"NormalOutput\"]"), &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "MixtureOfStudentTsOutput"));
    ck_assert_int_eq(parse(&c, text_with("output_distribution_classes", "\"StudentTOutput\""), &e), OD_BAD_INPUT);
}
END_TEST

START_TEST(one_student_takes_no_arguments) {
    static const char *const kwargs[] = {"", ", \"output_distribution_kwargs\": null",
                                         ", \"output_distribution_kwargs\": {}"};
    for (size_t i = 0; i < 3; i++) {
        char text[1024];
        od_config c;
        snprintf(
            text, sizeof text,
            "{\"patch_size\":4,\"stride\":4,\"embed_dim\":32,\"num_layers\":6,\"num_heads\":4,"
            "\"mlp_hidden_dim\":64,\"dropout\":0.0,\"spacewise_every_n_layers\":3,\"scaler_cls\":\"StdMeanScaler\","
            "\"output_distribution_classes\":[\"StudentTOutput\"]%s}",
            kwargs[i]);
        ck_assert_int_eq(parse(&c, text, NULL), OD_OK);
        ck_assert(!c.mixture && c.n_component == 1);
    }
}
END_TEST

START_TEST(bad_values_are_refused_by_key) {
    static const char *const cases[][2] = {
        {"patch_size", "0"},
        {"patch_size", "-8"},
        {"patch_size", "8.0"},
        {"patch_size", "\"8\""},
        {"patch_size", "9223372036854775807"},
        {"stride", "4"},
        {"embed_dim", "50"},
        {"embed_dim", "4100"},
        {"embed_dim", "12"},
        {"embed_dim", "8"},
        {"num_layers", "0"},
        {"num_layers", "65"},
        {"num_layers", "6"},
        {"num_heads", "0"},
        {"num_heads", "null"},
        {"mlp_hidden_dim", "true"},
        {"mlp_hidden_dim", "16385"},
        {"dropout", "\"none\""},
        {"spacewise_every_n_layers", "0"},
        {"spacewise_every_n_layers", "-2"},
        {"spacewise_every_n_layers", "8"},
        {"spacewise_first", "1"},
        {"stabilize_with_global", "null"},
        {"use_memory_efficient_attention", "\"yes\""},
        {"scale_factor_exponent", "-1"},
        {"scale_factor_exponent", "301"},
        {"scale_factor_exponent", "null"},
        {"output_distribution_kwargs", "{\"k_components\": 65}"},
        {"output_distribution_kwargs", "{\"k_components\": 2.5}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        od_config c;
        od_error e = {OD_OK, ""};
        ck_assert_msg(parse(&c, text_with(cases[i][0], cases[i][1]), &e) == OD_BAD_INPUT, "%s: %s", cases[i][0],
                      cases[i][1]);
        ck_assert_int_eq(e.status, OD_BAD_INPUT);
        ck_assert_msg(strstr(e.text, cases[i][0]) != NULL, "%s: %s gives: %s", cases[i][0], cases[i][1], e.text);
        ck_assert_ptr_nonnull(strstr(e.text, "config.json"));
    }
}
END_TEST

START_TEST(text_that_is_no_object_is_refused) {
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "[]",
                                        "3",
                                        "null",
                                        "{} x",
                                        "{\"a\": 1, \"a\": 1}",
                                        "{\"patch_size\": 1e999}",
                                        "\xff\xfe{}",
                                        "{\"a\\u0000\": 1}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        od_config c;
        od_error e = {OD_OK, ""};
        ck_assert_msg(parse(&c, texts[i], &e) == OD_BAD_INPUT, "%s", texts[i]);
        ck_assert_ptr_nonnull(strstr(e.text, "config.json"));
    }
    od_config twice;
    ck_assert_int_eq(parse(&twice, text_with("extra", "1, \"extra\": 1"), NULL), OD_BAD_INPUT);
    ck_assert_int_eq(parse(&twice, text_with("extra", "1, \"extra2\": 1"), NULL), OD_OK);
    char deep[5000];
    memset(deep, '[', sizeof deep);
    od_config c;
    char warning[8];
    ck_assert_int_eq(od_config_parse(&c, deep, sizeof deep, warning, sizeof warning, NULL), OD_BAD_INPUT);
}
END_TEST

START_TEST(first_unknown_key_is_named_and_known_ones_are_not) {
    od_config c;
    char warning[200], tiny[8];
    const char *text = text_with("surprise\\nkey", "{}");
    ck_assert_int_eq(od_config_parse(&c, text, strlen(text), warning, sizeof warning, NULL), OD_OK);
    ck_assert_msg(strstr(warning, "surprise?key") != NULL, "%s", warning);
    ck_assert_int_eq(od_config_parse(&c, text, strlen(text), tiny, sizeof tiny, NULL), OD_OK);
    ck_assert_uint_eq(strlen(tiny), 7);
    text = text_with("pre_xformers_checkpoint", "true");
    ck_assert_int_eq(od_config_parse(&c, text, strlen(text), warning, sizeof warning, NULL), OD_OK);
    ck_assert_str_eq(warning, "");
}
END_TEST

START_TEST(presets_are_those_of_model_md) {
    od_config c;
    od_error e;
    ck_assert_str_eq(od_config_preset_name(0), "seed-tiny");
    ck_assert_str_eq(od_config_preset_name(1), "toto-open-base");
    ck_assert_ptr_null(od_config_preset_name(2));
    ck_assert_int_eq(od_config_preset(&c, "seed-tiny", NULL), OD_OK);
    ck_assert(c.patch == 4 && c.d_model == 32 && c.n_layer == 6 && c.n_head == 4 && c.d_mlp == 64);
    ck_assert(c.space_every == 3 && c.space_first && c.scaler == OD_SCALER_STD_MEAN && !c.mixture);
    ck_assert_int_eq(od_config_check(&c, &e), OD_OK);
    ck_assert_int_eq(od_config_preset(&c, "toto-open-base", NULL), OD_OK);
    ck_assert(c.patch == 64 && c.d_model == 768 && c.n_layer == 12 && c.n_head == 12 && c.d_mlp == 3072);
    ck_assert(c.space_every == 12 && !c.space_first && c.scaler == OD_SCALER_CAUSAL_PATCH_STD_MEAN);
    ck_assert(c.mixture && c.n_component == 24 && c.stabilize && c.scale_exponent == 10 && c.xpos == OD_XPOS_CALL);
    ck_assert_int_eq(od_config_check(&c, &e), OD_OK);
    ck_assert_int_eq(od_config_preset(&c, "seed", &e), OD_BAD_INPUT);
    ck_assert(strstr(e.text, "'seed'") && strstr(e.text, "seed-tiny, toto-open-base"));
}
END_TEST

START_TEST(check_guards_what_no_file_can_say) {
    od_config good, c;
    od_config_preset(&good, "toto-open-base", NULL);
    c = good;
    c.scale_exponent = NAN;
    ck_assert_int_eq(od_config_check(&c, NULL), OD_BAD_INPUT);
    c = good;
    c.scaler = (enum od_scaler)3;
    ck_assert_int_eq(od_config_check(&c, NULL), OD_BAD_INPUT);
    c = good;
    c.xpos = (enum od_xpos_center)2;
    ck_assert_int_eq(od_config_check(&c, NULL), OD_BAD_INPUT);
    c = good;
    c.mixture = false;
    ck_assert_int_eq(od_config_check(&c, NULL), OD_BAD_INPUT);
    c = good;
    c.scaler = OD_SCALER_CAUSAL_STD_MEAN;
    ck_assert_int_eq(od_config_check(&c, NULL), OD_BAD_INPUT);
    c.stabilize = false;
    ck_assert_int_eq(od_config_check(&c, NULL), OD_OK);
}
END_TEST

/* D4096: the unembedding alone has P·D·D weights, 2^30 for P64; biases and a layer come on top. With P59 there are
 * 5·2^24 weights less, and the layer has 4·2^24 and some 50,000. */
START_TEST(more_than_a_gibi_of_parameters_is_refused) {
    od_config c;
    od_error e;
    od_config_preset(&c, "toto-open-base", NULL);
    c.d_model = 4096;
    c.n_head = 64;
    c.d_mlp = 1;
    c.n_layer = c.space_every = 1;
    ck_assert_int_eq(od_config_check(&c, &e), OD_BAD_INPUT);
    ck_assert(strstr(e.text, "parameters") && strstr(e.text, "1073741824"));
    c.patch = 59;
    ck_assert_int_eq(od_config_check(&c, &e), OD_OK);
}
END_TEST

/* Toto: [SPACE] + (n-1)·[TIME] or (n-1)·[TIME] + [SPACE], repeated. */
START_TEST(space_layers_stand_first_or_last_in_their_blocks) {
    static const struct {
        size_t every;
        bool first;
        const char *kinds; /* S space, T time */
    } cases[] = {{3, true, "STTSTT"},  {3, false, "TTSTTS"}, {0, true, "TTTTTT"}, {1, true, "SSSSSS"},
                 {1, false, "SSSSSS"}, {6, false, "TTTTTS"}, {2, true, "STSTST"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        od_config c;
        od_config_preset(&c, "seed-tiny", NULL);
        c.space_every = cases[i].every;
        c.space_first = cases[i].first;
        size_t n_time = 0;
        for (size_t l = 0; l < 6; l++) {
            bool space = cases[i].kinds[l] == 'S';
            ck_assert_int_eq(od_config_is_space(&c, l), space);
            if (!space) ck_assert_uint_eq(od_config_time_index(&c, l), n_time++);
        }
        ck_assert_uint_eq(od_config_time_layers(&c), n_time);
    }
}
END_TEST

START_TEST(names_are_the_official_ones) {
    ck_assert_str_eq(od_scaler_name(OD_SCALER_STD_MEAN), "StdMeanScaler");
    ck_assert_str_eq(od_scaler_name(OD_SCALER_CAUSAL_STD_MEAN), "CausalStdMeanScaler");
    ck_assert_str_eq(od_scaler_name(OD_SCALER_CAUSAL_PATCH_STD_MEAN), "CausalPatchStdMeanScaler");
    ck_assert_str_eq(od_xpos_name(OD_XPOS_CALL), "call");
    ck_assert_str_eq(od_xpos_name(OD_XPOS_ORIGIN), "origin");
}
END_TEST

Suite *suite_config(void) {
    Suite *s = suite_create("config");
    TCase *t = tcase_create("config.json");
    tcase_add_test(t, absent_keys_take_the_official_defaults);
    tcase_add_test(t, given_keys_replace_the_defaults);
    tcase_add_test(t, every_key_without_a_default_is_required);
    tcase_add_test(t, classes_are_known_by_their_last_name);
    tcase_add_test(t, other_scalers_are_never_stabilised);
    tcase_add_test(t, distribution_and_its_arguments_agree);
    tcase_add_test(t, one_student_takes_no_arguments);
    tcase_add_test(t, bad_values_are_refused_by_key);
    tcase_add_test(t, text_that_is_no_object_is_refused);
    tcase_add_test(t, first_unknown_key_is_named_and_known_ones_are_not);
    suite_add_tcase(s, t);
    t = tcase_create("config");
    tcase_add_test(t, presets_are_those_of_model_md);
    tcase_add_test(t, check_guards_what_no_file_can_say);
    tcase_add_test(t, more_than_a_gibi_of_parameters_is_refused);
    tcase_add_test(t, space_layers_stand_first_or_last_in_their_blocks);
    tcase_add_test(t, names_are_the_official_ones);
    suite_add_tcase(s, t);
    return s;
}
