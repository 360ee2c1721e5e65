/* Checkpoints: both spellings, with and without the prefix, and everything that is refused. The official files are the
 * golden vectors; variants are written from one of them. */
#include "model/file.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "model/suites.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN
#endif
#endif

#define VECTORS OD_SOURCE_DIR "/tests/vectors/"

static const char *const vectors[] = {
    "all-padding-variate", "causal-patch-nostab", "causal-std",   "clamped-scale", "constant-series", "groups",
    "large-values",        "left-padding",        "long-context", "mini-base",     "one-patch",       "seed-tiny",
    "seed-tiny-16",        "seed-tiny-64",        "space-heavy",  "time-only"};
enum { N_VECTOR = sizeof vectors / sizeof vectors[0], MOST = 128 };

/* A vector's config and weights, to be changed and then written as a checkpoint of its own. */
typedef struct checkpoint {
    char *json;
    size_t json_size;
    od_safetensors st;
    size_t n;
    od_tensor t[MOST];
} checkpoint;

static checkpoint *open_vector(const char *name) {
    char path[512];
    checkpoint *c = calloc(1, sizeof *c);
    snprintf(path, sizeof path, VECTORS "%s/config.json", name);
    ck_assert_int_eq(od_file_read(&c->json, &c->json_size, path, 1 << 16, NULL), OD_OK);
    snprintf(path, sizeof path, VECTORS "%s/model.safetensors", name);
    ck_assert_int_eq(od_safetensors_open(&c->st, path, NULL), OD_OK);
    ck_assert_uint_le(c->st.n_tensor, MOST - 4);
    c->n = c->st.n_tensor;
    memcpy(c->t, c->st.tensors, c->n * sizeof *c->t);
    return c;
}

static void close_vector(checkpoint *c) {
    free(c->json);
    od_safetensors_close(&c->st);
    free(c);
}

static od_tensor *find(checkpoint *c, const char *name) {
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->t[i].name, name) == 0) return &c->t[i];
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

/* Writes the changed checkpoint and loads it, through the folder. */
static enum od_status load(od_model **out, const checkpoint *c, od_error *e) {
    char warning[128], dir[512];
    const char *weights = scratch("model.safetensors");
    ck_assert_int_eq(od_file_write(scratch("config.json"), c->json, c->json_size, NULL), OD_OK);
    ck_assert_int_eq(od_safetensors_write(weights, c->t, c->n, NULL), OD_OK);
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(weights, '/') - weights), weights);
    *out = (od_model *)dir; /* must become NULL on failure */
    return od_model_load(out, dir, OD_XPOS_ORIGIN, warning, sizeof warning, e);
}

static void refused(const checkpoint *c, const char *tensor, const char *says) {
    od_model *m;
    od_error e = {OD_OK, ""};
    ck_assert_int_eq(load(&m, c, &e), OD_BAD_INPUT);
    ck_assert_ptr_null(m);
    ck_assert_msg(strstr(e.text, tensor) && strstr(e.text, says), "%s", e.text);
    ck_assert_ptr_nonnull(strstr(e.text, "model.safetensors"));
}

/* Every weight of the file is the model's, bit for bit, and there is no other. */
static void same_weights(const od_model *m, const od_safetensors *st) {
    size_t sum = 0;
    ck_assert_uint_eq(m->n_weight, st->n_tensor);
    for (size_t i = 0; i < m->n_weight; i++) {
        const od_weight_spec *w = &m->weights[i];
        const od_tensor *t = od_safetensors_find(st, w->name);
        ck_assert_msg(t && od_tensor_size(t) == w->count, "%s", w->name);
        ck_assert_int_eq(memcmp(t->data, m->data + w->offset, w->count * sizeof(float)), 0);
        sum += w->count;
        size_t end = w->offset + w->count, next = i + 1 < m->n_weight ? m->weights[i + 1].offset : m->n_data;
        for (size_t k = end; k < next; k++) ck_assert(m->data[k] == 0);
    }
    ck_assert_uint_eq(sum, m->n_param);
}

START_TEST(every_golden_model_loads) {
    char dir[512], warning[128] = "x";
    od_error e = {OD_OK, ""};
    od_model *m;
    checkpoint *c = open_vector(vectors[_i]);
    snprintf(dir, sizeof dir, VECTORS "%s", vectors[_i]);
    ck_assert_msg(od_model_load(&m, dir, OD_XPOS_ORIGIN, warning, sizeof warning, &e) == OD_OK, "%s", e.text);
    ck_assert_str_eq(warning, "");
    ck_assert_int_eq(m->config.xpos, OD_XPOS_ORIGIN);
    same_weights(m, &c->st);
    od_model_destroy(m);
    for (enum od_xpos_center x = OD_XPOS_CALL; x <= OD_XPOS_ORIGIN; x++) {
        ck_assert_int_eq(
            od_model_parse(&m, c->json, c->json_size, c->st.owned, c->st.owned_size, x, warning, sizeof warning, &e),
            OD_OK);
        ck_assert_int_eq(m->config.xpos, x);
        same_weights(m, &c->st);
        od_model_destroy(m);
    }
    close_vector(c);
}
END_TEST

START_TEST(configurations_of_the_vectors_are_read_as_meant) {
    static const struct {
        const char *name;
        enum od_scaler scaler;
        bool stabilize, mixture, first;
        double exponent;
        size_t every, k;
    } cases[] = {
        {"seed-tiny", OD_SCALER_STD_MEAN, false, false, true, 10, 3, 1},
        {"causal-std", OD_SCALER_CAUSAL_STD_MEAN, false, true, true, 10, 2, 3},
        {"causal-patch-nostab", OD_SCALER_CAUSAL_PATCH_STD_MEAN, false, true, true, 10, 2, 2},
        {"clamped-scale", OD_SCALER_CAUSAL_PATCH_STD_MEAN, true, true, true, 0.3, 2, 2},
        {"mini-base", OD_SCALER_CAUSAL_PATCH_STD_MEAN, true, true, false, 10, 4, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        checkpoint *c = open_vector(cases[i].name);
        char warning[64];
        od_config k;
        ck_assert_int_eq(od_config_parse(&k, c->json, c->json_size, warning, sizeof warning, NULL), OD_OK);
        ck_assert(k.scaler == cases[i].scaler && k.stabilize == cases[i].stabilize && k.mixture == cases[i].mixture);
        ck_assert(k.space_first == cases[i].first && k.scale_exponent == cases[i].exponent);
        ck_assert(k.space_every == cases[i].every && k.n_component == cases[i].k);
        close_vector(c);
    }
}
END_TEST

/* Bit 0: the prefix `model.`; bit 1: the fused spelling; in 4 only every other tensor has the prefix. */
START_TEST(all_spellings_give_the_same_model) {
    static const char *const fused[][2] = {{"mlp.0.weight", "mlp.0.w12.weight"},
                                           {"mlp.0.bias", "mlp.0.w12.bias"},
                                           {"mlp.2.weight", "mlp.0.w3.weight"},
                                           {"mlp.2.bias", "mlp.0.w3.bias"}};
    checkpoint *c = open_vector("mini-base");
    unsigned renamed = 0;
    for (size_t i = 0; i < c->n; i++) {
        char name[OD_NAME_MAX + 32], stem[OD_NAME_MAX];
        snprintf(stem, sizeof stem, "%s", c->t[i].name);
        for (size_t f = 0; _i & 2 && f < 4; f++) {
            char *at = strstr(stem, fused[f][0]);
            if (!at) continue;
            snprintf(at, sizeof stem - (size_t)(at - stem), "%s", fused[f][1]);
            renamed++;
            break;
        }
        snprintf(name, sizeof name, "%s%s", _i & 1 || (_i == 4 && i % 2) ? "model." : "", stem);
        ck_assert_uint_lt(strlen(name), OD_NAME_MAX);
        memcpy(c->t[i].name, name, strlen(name) + 1);
    }
    ck_assert_uint_eq(renamed, _i & 2 ? 16 : 0);
    od_model *m;
    od_error e = {OD_OK, ""};
    ck_assert_msg(load(&m, c, &e) == OD_OK, "%s", e.text);
    same_weights(m, &c->st);
    od_model_destroy(m);
    close_vector(c);
}
END_TEST

/* Older checkpoints carry the rotary frequencies, once or in every layer; the official loader drops them. */
START_TEST(rotary_buffers_are_skipped) {
    static const float freqs[6];
    static const int64_t dummy[1];
    checkpoint *c = open_vector("mini-base");
    od_model *m;
    od_error e = {OD_OK, ""};
    od_tensor_set(&c->t[c->n++], "model.transformer.rotary_emb.freqs", OD_F32, 1, (size_t[]){6}, freqs);
    od_tensor_set(&c->t[c->n++], "transformer.layers.1.attention.rotary_emb.freqs", OD_F32, 1, (size_t[]){6}, freqs);
    od_tensor_set(&c->t[c->n++], "transformer.rotary_emb.dummy", OD_I64, 0, NULL, dummy);
    ck_assert_msg(load(&m, c, &e) == OD_OK, "%s", e.text);
    same_weights(m, &c->st);
    od_model_destroy(m);
    close_vector(c);
}
END_TEST

START_TEST(a_missing_tensor_is_named) {
    checkpoint *c = open_vector("mini-base");
    od_tensor *t = find(c, "transformer.layers.2.norm2.scale");
    *t = c->t[--c->n];
    refused(c, "transformer.layers.2.norm2.scale", "missing");
    close_vector(c);
}
END_TEST

START_TEST(an_unexpected_tensor_is_named) {
    static const float x[1];
    checkpoint *c = open_vector("mini-base");
    od_tensor_set(&c->t[c->n++], "transformer.layers.4.norm1.scale", OD_F32, 1, (size_t[]){1}, x);
    refused(c, "transformer.layers.4.norm1.scale", "no weight");
    close_vector(c);
}
END_TEST

START_TEST(a_weight_in_two_spellings_is_refused) {
    checkpoint *c = open_vector("mini-base");
    od_tensor t = *find(c, "unembed.bias");
    snprintf(t.name, sizeof t.name, "model.unembed.bias");
    c->t[c->n++] = t;
    refused(c, "model.unembed.bias", "two spellings");
    close_vector(c);
}
END_TEST

START_TEST(a_wrong_shape_is_named_with_both_shapes) {
    checkpoint *c = open_vector("mini-base");
    od_tensor *t = find(c, "transformer.layers.0.attention.wQKV.weight");
    t->shape[0] = 48; /* transposed */
    t->shape[1] = 144;
    refused(c, "wQKV.weight", "[48, 144]");
    refused(c, "wQKV.weight", "[144, 48]");
    t->rank = 1;
    t->shape[0] = 144 * 48;
    refused(c, "wQKV.weight", "[6912]");
    t->rank = 3;
    t->shape[0] = 144;
    t->shape[1] = 48;
    t->shape[2] = 1;
    refused(c, "wQKV.weight", "[144, 48, 1]");
    close_vector(c);
}
END_TEST

START_TEST(other_types_than_float32_are_refused) {
    static const double x[48];
    checkpoint *c = open_vector("mini-base");
    od_tensor *t = find(c, "transformer.layers.0.norm1.scale");
    t->dtype = OD_F64;
    t->data = x;
    refused(c, "transformer.layers.0.norm1.scale", "F64");
    close_vector(c);
}
END_TEST

START_TEST(weights_that_are_not_finite_are_named) {
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        checkpoint *c = open_vector("mini-base");
        od_tensor *t = find(c, "transformer.layers.3.norm1.scale");
        float x[48];
        memcpy(x, t->data, sizeof x);
        x[47] = bad[i];
        t->data = x;
        refused(c, "transformer.layers.3.norm1.scale", "element 47");
        close_vector(c);
    }
}
END_TEST

START_TEST(variate_labels_are_refused_plainly) {
    static const char *const names[] = {"target_variate_label", "model.exogenous_variate_label"};
    static const float x[48];
    for (int i = 0; i < 2; i++) {
        checkpoint *c = open_vector("mini-base");
        od_tensor_set(&c->t[c->n++], names[i], OD_F32, 1, (size_t[]){48}, x);
        refused(c, names[i], "variate labels");
        close_vector(c);
    }
}
END_TEST

/* A config.json that asks for 4 GB must not get them before the weights are seen to be lacking. The limit on address
 * space makes the allocation fail (a sanitizer's shadow does not live under such a limit: there the test says less). */
START_TEST(a_huge_config_with_tiny_weights_fails_on_the_weights) {
    static const char json[] =
        "{\"patch_size\":1,\"stride\":1,\"embed_dim\":4096,\"num_layers\":3,\"num_heads\":64,\"mlp_hidden_dim\":16384,"
        "\"dropout\":0,\"spacewise_every_n_layers\":-1,\"scaler_cls\":\"StdMeanScaler\","
        "\"output_distribution_classes\":[\"StudentTOutput\"]}";
    static const char empty[] = "\2\0\0\0\0\0\0\0{}";
    char warning[64];
    od_model *m;
    od_error e;
#ifndef UNDER_ASAN
    struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
#endif
    ck_assert_int_eq(
        od_model_parse(&m, json, strlen(json), empty, sizeof empty - 1, OD_XPOS_CALL, warning, sizeof warning, &e),
        OD_BAD_INPUT);
    ck_assert_msg(strstr(e.text, "patch_embed.projection.weight") && strstr(e.text, "missing"), "%s", e.text);
}
END_TEST

START_TEST(missing_files_are_named) {
    char warning[64];
    od_model *m;
    od_error e;
    checkpoint *c = open_vector("seed-tiny");
    const char *config = scratch("config.json");
    char dir[512];
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(config, '/') - config), config);
    ck_assert_int_eq(od_model_load(&m, dir, OD_XPOS_CALL, warning, sizeof warning, &e), OD_BAD_INPUT);
    ck_assert(!m && strstr(e.text, dir) && strstr(e.text, "config.json"));
    ck_assert_int_eq(od_file_write(config, c->json, c->json_size, NULL), OD_OK);
    ck_assert_int_eq(od_model_load(&m, dir, OD_XPOS_CALL, warning, sizeof warning, &e), OD_BAD_INPUT);
    ck_assert(!m && strstr(e.text, dir) && strstr(e.text, "model.safetensors"));
    ck_assert_int_eq(od_file_write(config, "{", 1, NULL), OD_OK);
    ck_assert_int_eq(od_model_load(&m, dir, OD_XPOS_CALL, warning, sizeof warning, NULL), OD_BAD_INPUT);
    ck_assert_int_eq(od_model_load(&m, dir, OD_XPOS_CALL, warning, sizeof warning, &e), OD_BAD_INPUT);
    ck_assert(!m && strstr(e.text, dir) && strstr(e.text, "config.json"));
    char *endless = malloc(6000);
    memset(endless, 'd', 5999);
    endless[5999] = 0;
    ck_assert_int_eq(od_model_load(&m, endless, OD_XPOS_CALL, warning, sizeof warning, &e), OD_BAD_INPUT);
    free(endless);
    close_vector(c);
}
END_TEST

Suite *suite_load(void) {
    Suite *s = suite_create("load");
    TCase *t = tcase_create("load");
    tcase_add_checked_fixture(t, scratch_setup, scratch_teardown);
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, every_golden_model_loads, 0, N_VECTOR);
    tcase_add_test(t, configurations_of_the_vectors_are_read_as_meant);
    tcase_add_loop_test(t, all_spellings_give_the_same_model, 0, 5);
    tcase_add_test(t, rotary_buffers_are_skipped);
    tcase_add_test(t, a_missing_tensor_is_named);
    tcase_add_test(t, an_unexpected_tensor_is_named);
    tcase_add_test(t, a_weight_in_two_spellings_is_refused);
    tcase_add_test(t, a_wrong_shape_is_named_with_both_shapes);
    tcase_add_test(t, other_types_than_float32_are_refused);
    tcase_add_test(t, weights_that_are_not_finite_are_named);
    tcase_add_test(t, variate_labels_are_refused_plainly);
    tcase_add_test(t, a_huge_config_with_tiny_weights_fails_on_the_weights);
    tcase_add_test(t, missing_files_are_named);
    suite_add_tcase(s, t);
    return s;
}
