/* The weight table and generated weights. */
#include "model/model.h"
#include "model/rng.h"
#include "model/suites.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static od_model *make(const char *preset) {
    od_config config;
    od_model *m;
    ck_assert_int_eq(od_config_preset(&config, preset, NULL), OD_OK);
    ck_assert_int_eq(od_model_create(&m, &config, NULL), OD_OK);
    return m;
}

/* The numbers of model.md; toto-ts counts the same. */
START_TEST(seed_tiny_has_68035_parameters) {
    od_model *m = make("seed-tiny");
    ck_assert_uint_eq(m->n_param, 68035);
    ck_assert_uint_eq(m->n_weight, 2 + 6 * 10 + 2 + 6);
    od_model_destroy(m);
}
END_TEST

START_TEST(toto_open_base_has_151306080_parameters) {
    od_model *m = make("toto-open-base");
    ck_assert_uint_eq(m->n_param, 151306080);
    ck_assert_uint_eq(m->n_weight, 2 + 12 * 10 + 2 + 8);
    od_model_destroy(m);
}
END_TEST

/* P8 D48 L4 H4 M96 K5, as TotoBackbone.state_dict() lists it (vector mini-base). */
START_TEST(shapes_are_the_official_ones) {
    static const struct {
        enum od_weight kind;
        size_t layer;
        const char *name;
        size_t rank, rows, cols, fan_in;
    } cases[] = {
        {OD_W_PATCH, 0, "patch_embed.projection.weight", 2, 48, 8, 8},
        {OD_W_PATCH_BIAS, 0, "patch_embed.projection.bias", 1, 48, 0, 8},
        {OD_W_NORM1, 0, "transformer.layers.0.norm1.scale", 1, 48, 0, 48},
        {OD_W_QKV, 1, "transformer.layers.1.attention.wQKV.weight", 2, 144, 48, 48},
        {OD_W_QKV_BIAS, 1, "transformer.layers.1.attention.wQKV.bias", 1, 144, 0, 48},
        {OD_W_OUT, 2, "transformer.layers.2.attention.wO.weight", 2, 48, 48, 48},
        {OD_W_OUT_BIAS, 2, "transformer.layers.2.attention.wO.bias", 1, 48, 0, 48},
        {OD_W_NORM2, 3, "transformer.layers.3.norm2.scale", 1, 48, 0, 48},
        {OD_W_MLP_IN, 3, "transformer.layers.3.mlp.0.weight", 2, 192, 48, 48},
        {OD_W_MLP_IN_BIAS, 3, "transformer.layers.3.mlp.0.bias", 1, 192, 0, 48},
        {OD_W_MLP_OUT, 3, "transformer.layers.3.mlp.2.weight", 2, 48, 96, 96},
        {OD_W_MLP_OUT_BIAS, 3, "transformer.layers.3.mlp.2.bias", 1, 48, 0, 96},
        {OD_W_UNEMBED, 0, "unembed.weight", 2, 384, 48, 48},
        {OD_W_UNEMBED_BIAS, 0, "unembed.bias", 1, 384, 0, 48},
        {OD_W_DF, 0, "output_distribution.df.weight", 2, 5, 48, 48},
        {OD_W_DF_BIAS, 0, "output_distribution.df.bias", 1, 5, 0, 48},
        {OD_W_LOC, 0, "output_distribution.loc_proj.weight", 2, 5, 48, 48},
        {OD_W_LOC_BIAS, 0, "output_distribution.loc_proj.bias", 1, 5, 0, 48},
        {OD_W_SCALE, 0, "output_distribution.scale_proj.weight", 2, 5, 48, 48},
        {OD_W_SCALE_BIAS, 0, "output_distribution.scale_proj.bias", 1, 5, 0, 48},
        {OD_W_MIXTURE, 0, "output_distribution.mixture_weights.weight", 2, 5, 48, 48},
        {OD_W_MIXTURE_BIAS, 0, "output_distribution.mixture_weights.bias", 1, 5, 0, 48},
    };
    od_config c = {.patch = 8,
                   .d_model = 48,
                   .n_layer = 4,
                   .n_head = 4,
                   .d_mlp = 96,
                   .space_every = 4,
                   .scaler = OD_SCALER_CAUSAL_PATCH_STD_MEAN,
                   .mixture = true,
                   .n_component = 5};
    od_model *m;
    ck_assert_int_eq(od_model_create(&m, &c, NULL), OD_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const od_weight_spec *w = od_model_spec(m, cases[i].kind, cases[i].layer);
        ck_assert_str_eq(w->name, cases[i].name);
        ck_assert(w->kind == cases[i].kind && w->layer == cases[i].layer && w->rank == cases[i].rank);
        ck_assert(w->shape[0] == cases[i].rows && (w->rank == 1 || w->shape[1] == cases[i].cols));
        ck_assert_uint_eq(w->count, cases[i].rows * (w->rank == 1 ? 1 : cases[i].cols));
        ck_assert_uint_eq(w->fan_in, cases[i].fan_in);
        ck_assert_ptr_eq(od_model_weight(m, cases[i].kind, cases[i].layer), m->data + w->offset);
    }
    ck_assert_uint_eq(m->n_param, 114500); /* sum of p.numel() in the official model */
    od_model_destroy(m);
}
END_TEST

START_TEST(tensors_lie_apart_aligned_and_in_order) {
    od_model *m = make("seed-tiny");
    size_t end = 0, sum = 0;
    ck_assert_uint_eq((uintptr_t)m->data % 64, 0);
    for (size_t i = 0; i < m->n_weight; i++) {
        const od_weight_spec *w = &m->weights[i];
        ck_assert_uint_eq(w->offset % 64, 0);
        ck_assert_uint_ge(w->offset, end);
        end = w->offset + w->count;
        sum += w->count;
        ck_assert_ptr_eq(od_model_spec(m, w->kind, w->layer), w);
        for (size_t k = 0; k < i; k++) ck_assert_str_ne(m->weights[k].name, w->name);
    }
    ck_assert_uint_le(end, m->n_data);
    ck_assert_uint_eq(sum, m->n_param);
    for (size_t i = 0; i < m->n_data; i++) ck_assert(m->data[i] == 0);
    od_model_destroy(m);
    od_model_destroy(NULL);
}
END_TEST

START_TEST(unchecked_configs_are_refused) {
    od_config c;
    od_model *m = (od_model *)&c;
    od_error e;
    od_config_preset(&c, "seed-tiny", NULL);
    c.d_model = 33;
    ck_assert_int_eq(od_model_create(&m, &c, &e), OD_BAD_INPUT);
    ck_assert_ptr_null(m);
    ck_assert_ptr_nonnull(strstr(e.text, "embed_dim"));
}
END_TEST

/* U(±gain/√fan_in): draw i of the stream (seed, XXH64 of the name). Norm scales: 1 + 0.2·N(0,1). */
START_TEST(every_generated_weight_is_its_definition) {
    const double gains[] = {1, 0.5, 1.25};
    for (int g = 0; g < 3; g++) {
        od_model *m = make("seed-tiny");
        od_model_generate(m, 99, gains[g], 1);
        for (size_t k = 0; k < m->n_weight; k++) {
            const od_weight_spec *w = &m->weights[k];
            od_rng rng = od_rng_make(99, od_rng_name_key(w->name));
            bool norm = w->kind == OD_W_NORM1 || w->kind == OD_W_NORM2;
            double bound = gains[g] / sqrt((double)w->fan_in);
            for (size_t i = 0; i < w->count; i++) {
                double u = (double)(od_rng_at(&rng, i) >> 11) * 0x1p-53;
                float want = norm ? (float)(1 + 0.2 * od_rng_normal(&rng)) : (float)(bound * (2 * u - 1));
                ck_assert_msg(m->data[w->offset + i] == want, "%s %zu", w->name, i);
            }
        }
        od_model_destroy(m);
    }
}
END_TEST

/* Made with numpy.random.Philox and python-xxhash from the definition: seed 42, gain 1. The normal goes through log and
 * cos, whose last bit may differ between libraries: one float32 rounding is allowed. */
START_TEST(seed_42_gives_the_known_weights) {
    static const struct {
        enum od_weight kind;
        size_t layer, i;
        float value;
    } known[] = {
        {OD_W_PATCH, 0, 0, 0x1.39650ep-2f},         {OD_W_PATCH, 0, 1, 0x1.b08572p-3f},
        {OD_W_PATCH, 0, 127, 0x1.6d87c0p-2f},       {OD_W_QKV, 5, 0, -0x1.ce14dep-11f},
        {OD_W_QKV, 5, 3071, -0x1.4550eep-3f},       {OD_W_MLP_OUT_BIAS, 2, 0, -0x1.67a8ecp-4f},
        {OD_W_MLP_OUT_BIAS, 2, 31, 0x1.b191ccp-5f}, {OD_W_DF_BIAS, 0, 0, -0x1.057660p-4f},
        {OD_W_NORM1, 0, 0, 0x1.b250b0p-1f},         {OD_W_NORM1, 0, 1, 0x1.3719c8p+0f},
        {OD_W_NORM1, 0, 31, 0x1.bc8c4cp-1f},
    };
    od_model *m = make("seed-tiny");
    od_model_generate(m, 42, 1, 1);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        float got = od_model_weight(m, known[i].kind, known[i].layer)[known[i].i];
        float slack = known[i].kind == OD_W_NORM1 ? 0x1p-23f : 0;
        ck_assert_msg(fabsf(got - known[i].value) <= slack, "%zu: %a", i, (double)got);
    }
    od_model_destroy(m);
}
END_TEST

START_TEST(generation_leaves_the_gaps_zero_and_fills_all_else) {
    od_model *m = make("seed-tiny");
    size_t zeros = 0;
    od_model_generate(m, 1, 1, 1);
    for (size_t i = 0; i < m->n_weight; i++) {
        size_t end = m->weights[i].offset + m->weights[i].count;
        size_t next = i + 1 < m->n_weight ? m->weights[i + 1].offset : m->n_data;
        for (size_t k = m->weights[i].offset; k < end; k++) zeros += m->data[k] == 0;
        for (size_t k = end; k < next; k++) ck_assert(m->data[k] == 0);
    }
    ck_assert_uint_eq(zeros, 0); /* a uniform float is 0 about once in 2^25 */
    od_model_destroy(m);
}
END_TEST

/* The stream hangs on the name alone: a deeper model shares the first layers' weights. */
START_TEST(weights_depend_on_seed_and_name_alone) {
    od_config c;
    od_model *a, *b, *other = make("seed-tiny");
    od_config_preset(&c, "seed-tiny", NULL);
    ck_assert_int_eq(od_model_create(&a, &c, NULL), OD_OK);
    c.n_layer = 9;
    ck_assert_int_eq(od_model_create(&b, &c, NULL), OD_OK);
    od_model_generate(a, 5, 1, 1);
    od_model_generate(b, 5, 1, 1);
    od_model_generate(other, 6, 1, 1);
    for (size_t i = 0; i < a->n_weight; i++) {
        const od_weight_spec *w = &a->weights[i];
        size_t bytes = w->count * sizeof(float);
        ck_assert_int_eq(memcmp(a->data + w->offset, od_model_weight(b, w->kind, w->layer), bytes), 0);
        ck_assert_int_ne(memcmp(a->data + w->offset, other->data + w->offset, bytes), 0);
    }
    od_model_destroy(a);
    od_model_destroy(b);
    od_model_destroy(other);
}
END_TEST

START_TEST(threads_change_no_bit) {
    od_config c;
    od_model *alone, *many;
    od_config_preset(&c, "seed-tiny", NULL);
    c.d_model = 512; /* large enough for threads to be worth it: 14 million parameters */
    c.d_mlp = 1024;
    ck_assert_int_eq(od_model_create(&alone, &c, NULL), OD_OK);
    od_model_generate(alone, 5, 1, 1);
    for (unsigned threads = 2; threads <= 64; threads *= 4) {
        ck_assert_int_eq(od_model_create(&many, &c, NULL), OD_OK);
        od_model_generate(many, 5, 1, threads);
        ck_assert_int_eq(memcmp(alone->data, many->data, alone->n_data * sizeof(float)), 0);
        od_model_destroy(many);
    }
    od_model_destroy(alone);
}
END_TEST

Suite *suite_model(void) {
    Suite *s = suite_create("model");
    TCase *t = tcase_create("table");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, seed_tiny_has_68035_parameters);
    tcase_add_test(t, toto_open_base_has_151306080_parameters);
    tcase_add_test(t, shapes_are_the_official_ones);
    tcase_add_test(t, tensors_lie_apart_aligned_and_in_order);
    tcase_add_test(t, unchecked_configs_are_refused);
    suite_add_tcase(s, t);
    t = tcase_create("generate");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, every_generated_weight_is_its_definition);
    tcase_add_test(t, seed_42_gives_the_known_weights);
    tcase_add_test(t, generation_leaves_the_gaps_zero_and_fills_all_else);
    tcase_add_test(t, weights_depend_on_seed_and_name_alone);
    tcase_add_test(t, threads_change_no_bit);
    suite_add_tcase(s, t);
    return s;
}
