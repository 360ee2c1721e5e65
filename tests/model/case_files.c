/* The case and files: the worked example, the corpus, real series, model folders, and copies in other folders. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/case_internal.h"
#include "model/file.h"
#include "model/suites.h"

static const char *const folders[] = {"corpus/forward", "corpus/validation", "corpus/known", "corpus/base"};

/* Calls check(path, c) for each *.json of the folder; returns their number. */
static unsigned each_case(const char *folder, void (*check)(const char *path, const od_case *c)) {
    char dir_path[256], path[1024];
    unsigned n = 0;
    snprintf(dir_path, sizeof dir_path, "%s/%s", OD_SOURCE_DIR, folder);
    DIR *dir = opendir(dir_path);
    ck_assert_msg(dir != NULL, "%s cannot be opened", dir_path);
    for (struct dirent *entry; (entry = readdir(dir));) {
        od_case c;
        od_error e = {0};
        if (!strstr(entry->d_name, ".json")) continue;
        snprintf(path, sizeof path, "%s/%s", dir_path, entry->d_name);
        ck_assert_msg(od_case_read(&c, path, &e) == OD_OK, "%s", e.text);
        check(path, &c);
        n++;
    }
    closedir(dir);
    return n;
}

static void check_canonical(const char *path, const od_case *c) {
    char *text, *file;
    size_t size, file_size;
    od_error e = {0};
    ck_assert_msg(od_case_format(&text, &size, c, path, &e) == OD_OK, "%s: %s", path, e.text);
    ck_assert_int_eq(od_file_read(&file, &file_size, path, OD_CASE_MAX_BYTES, &e), OD_OK);
    ck_assert_msg(size == file_size && memcmp(text, file, size) == 0, "%s is not in canonical form, which is:\n%s",
                  path, text);
    free(text);
    free(file);
}

START_TEST(the_worked_example_is_canonical) {
    od_case c;
    od_error e = {0};
    const char *path = OD_SOURCE_DIR "/model/case.example.json";
    ck_assert_msg(od_case_read(&c, path, &e) == OD_OK, "%s", e.text);
    check_canonical(path, &c);
    ck_assert(c.config.d_mlp == 64 && c.config.scale_exponent == 0.3 && c.config.n_component == 3);
    ck_assert(c.config.xpos == OD_XPOS_ORIGIN && c.weight_seed == 1 && c.gain == 1.25);
    ck_assert(c.batch == 2 && c.generator == OD_GEN_WALK && c.missing == 0.05 && c.group[2] == 1);
    ck_assert(c.n_op == 8 && c.op[3].own && c.op[3].session == 1 && c.op[6].steps == 16 && c.options.streams == 3);
}
END_TEST

START_TEST(corpus_files_are_canonical) {
    ck_assert_uint_gt(each_case(folders[_i], check_canonical), 0);
}
END_TEST

static unsigned n_real;

static void check_domain(const char *path, const od_case *c) {
    ck_assert_msg(od_case_in_domain(c), "%s is not where the contract is meant to hold", path);
    ck_assert_msg(c->note[0], "%s has no note for its reader", path);
    ck_assert_int_eq(strcmp(c->expect, "pass") != 0, strstr(path, "corpus/known/") != NULL);
    for (unsigned s = 0; s < od_case_sessions(c); s++) {
        od_series series;
        od_error e = {0};
        ck_assert_msg(od_case_series(&series, c, s, &e) == OD_OK, "%s: %s", path, e.text);
        od_series_free(&series);
    }
    n_real += c->generator == OD_GEN_CSV;
}

START_TEST(corpus_cases_lie_in_the_domain_and_have_their_series) {
    ck_assert_uint_gt(each_case(folders[_i], check_domain), 0);
}
END_TEST

START_TEST(the_forward_corpus_is_large_enough) {
    n_real = 0;
    ck_assert_uint_ge(each_case("corpus/forward", check_domain), 66);
    ck_assert_uint_ge(n_real, 14);
}
END_TEST

static uint64_t hashes[1024];
static unsigned n_hash;

static void check_new(const char *path, const od_case *c) {
    ck_assert_uint_lt(n_hash, 1024);
    uint64_t h = od_case_hash(c);
    for (unsigned i = 0; i < n_hash; i++) ck_assert_msg(hashes[i] != h, "%s is another case under a second name", path);
    hashes[n_hash++] = h;
}

START_TEST(no_two_forward_seeds_are_the_same_case) {
    ck_assert_uint_gt(each_case("corpus/forward", check_new), 0);
}
END_TEST

/* ---- CSV --------------------------------------------------------------------------------------------------------- */

static void put_file(const char *path, const char *text) {
    od_error e = {0};
    ck_assert_msg(od_file_write(path, text, strlen(text), &e) == OD_OK, "%s", e.text);
}

/* A case over FOLDER/x.csv: variates b, a; two rows of the batch; two sessions. Rows count 1, 2, … in column a, ten
 * times that in b. */
static od_case csv_case(void) {
    od_case c;
    char text[256] = "@t,a,b\n", *p = text + strlen(text);
    for (int i = 1; i <= 12; i++) p += i == 4 ? sprintf(p, "x,%d,NA\n", i) : sprintf(p, "x,%d,%d\n", i, 10 * i);
    put_file(scratch("x.csv"), text);
    od_case_init(&c);
    c.batch = c.variates = c.n_column = 2;
    c.generator = OD_GEN_CSV;
    strcpy(c.csv.path, "x.csv");
    ck_assert_int_eq(od_file_digest(&c.csv.bytes, &c.csv.xxh64, scratch("x.csv"), NULL), OD_OK);
    strcpy(c.column[0], "b");
    strcpy(c.column[1], "a");
    c.csv_start = 1;
    c.csv_stride = 2;
    c.op[c.n_op++] = (od_op){.kind = OD_OP_PREFILL, .session = 0, .steps = 4};
    c.op[c.n_op++] = (od_op){.kind = OD_OP_PREFILL, .session = 1, .steps = 3};
    snprintf(c.path, sizeof c.path, "%s", scratch("case.json"));
    return c;
}

START_TEST(csv_rows_and_columns_are_those_asked_for) {
    od_case c = csv_case();
    od_series s;
    od_error e = {0};
    ck_assert_msg(od_case_series(&s, &c, 0, &e) == OD_OK, "%s", e.text);
    /* rows 1 … 4 (counted from 0), then from row 3; b is missing in row 3 */
    const float value[] = {20, 30, 0, 50, 2, 3, 4, 5, 0, 50, 60, 70, 4, 5, 6, 7};
    const uint8_t mask[] = {1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1};
    ck_assert_mem_eq(s.value, value, sizeof value);
    ck_assert_mem_eq(s.mask, mask, sizeof mask);
    od_series_free(&s);
    ck_assert_int_eq(od_case_series(&s, &c, 1, &e), OD_OK);
    ck_assert(s.n_step == 3 && s.value[3] == 4 && s.value[9] == 6); /* session 1 starts a stride later */
    od_series_free(&s);
}
END_TEST

START_TEST(csv_trouble_is_named) {
    od_case c = csv_case(), d;
    od_series s;
    od_error e = {0};
    d = c;
    d.op[0].steps = 10;
    ck_assert_int_eq(od_case_series(&s, &d, 0, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "has 12 rows; batch row 1 of session 0 takes 10, beginning with row 3"));
    d = c;
    strcpy(d.column[1], "c");
    ck_assert_int_eq(od_case_series(&s, &d, 0, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "no column 'c'"));
    d = c;
    d.csv.bytes++;
    ck_assert_int_eq(od_case_series(&s, &d, 0, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "bytes, the case says"));
    d = c;
    d.csv.xxh64 ^= 1;
    ck_assert_int_eq(od_case_series(&s, &d, 0, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "XXH64 is"));
    d = c;
    strcpy(d.csv.path, "none.csv");
    ck_assert_int_eq(od_case_series(&s, &d, 0, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "none.csv"));
    ck_assert(s.value == NULL && s.mask == NULL && s.id == NULL);
}
END_TEST

/* A case written into another folder names the same file from there, has the same hash and the same series. */
START_TEST(copies_keep_their_files) {
    od_case c, copy;
    od_series a, b;
    od_error e = {0};
    ck_assert_int_eq(od_case_read(&c, OD_SOURCE_DIR "/corpus/forward/real-nile-std-mean.json", &e), OD_OK);
    const char *path = scratch("copy.json");
    ck_assert_msg(od_case_write(&c, path, &e) == OD_OK, "%s", e.text);
    ck_assert_msg(od_case_read(&copy, path, &e) == OD_OK, "%s", e.text);
    ck_assert_str_ne(copy.csv.path, c.csv.path);
    ck_assert(copy.csv.path[0] != '/');
    ck_assert_uint_eq(od_case_hash(&c), od_case_hash(&copy));
    ck_assert_int_eq(od_case_series(&a, &c, 0, &e), OD_OK);
    ck_assert_msg(od_case_series(&b, &copy, 0, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(a.n_step, b.n_step);
    ck_assert_mem_eq(a.value, b.value, a.n_step * sizeof(float));
    od_series_free(&a);
    od_series_free(&b);
    /* and back: the text of the original */
    char text[OD_CASE_PATH];
    ck_assert_int_eq(od_case_rebase(text, &copy, copy.csv.path, c.path, &e), OD_OK);
    ck_assert_str_eq(text, "../series/nile.csv");
}
END_TEST

START_TEST(a_copy_needs_its_file_and_leaves_nothing_behind) {
    od_case c = csv_case();
    od_error e = {0};
    strcpy(c.csv.path, "gone.csv");
    snprintf(c.path, sizeof c.path, "%s/corpus/forward/x.json", OD_SOURCE_DIR);
    unsigned before = scratch_count();
    ck_assert_int_eq(od_case_write(&c, scratch("copy.json"), &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "gone.csv"));
    ck_assert_uint_eq(scratch_count(), before);
    strcpy(c.csv.path, "/absolute/x.csv"); /* stays what it is */
    ck_assert_msg(od_case_write(&c, scratch("copy.json"), &e) == OD_OK, "%s", e.text);
}
END_TEST

START_TEST(reading_refuses_what_is_no_case_file) {
    od_case c;
    od_error e = {0};
    ck_assert_int_eq(od_case_read(&c, scratch("none.json"), &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "none.json"));
    ck_assert_int_eq(od_case_read(&c, OD_SOURCE_DIR "/model", &e), OD_BAD_INPUT);
    put_file(scratch("broken.json"), "{\n  \"format\": 1,\n  \"model\" 3\n}\n");
    ck_assert_int_eq(od_case_read(&c, scratch("broken.json"), &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "broken.json: line 3, column"));
}
END_TEST

/* ---- model folders ----------------------------------------------------------------------------------------------- */

static od_case folder_case(void) {
    od_case c;
    od_case_init(&c);
    c.preset[0] = 0;
    c.config = (od_config){.xpos = OD_XPOS_ORIGIN};
    c.op[c.n_op++] = (od_op){.kind = OD_OP_PREFILL, .steps = 16};
    strcpy(c.model_folder, "seed-tiny");
    strcpy(c.path, OD_SOURCE_DIR "/tests/vectors/case.json");
    const char *dir = OD_SOURCE_DIR "/tests/vectors/seed-tiny";
    char path[1024];
    snprintf(path, sizeof path, "%s/config.json", dir);
    ck_assert_int_eq(od_file_digest(&c.model_config.bytes, &c.model_config.xxh64, path, NULL), OD_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    ck_assert_int_eq(od_file_digest(&c.model_weights.bytes, &c.model_weights.xxh64, path, NULL), OD_OK);
    return c;
}

START_TEST(a_folder_gives_the_model) {
    od_case c = folder_case(), back;
    od_model *model;
    od_error e = {0};
    char *text;
    size_t size;
    ck_assert_msg(od_case_format(&text, &size, &c, NULL, &e) == OD_OK, "%s", e.text);
    ck_assert_msg(od_case_parse(&back, text, size, c.path, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(od_case_hash(&c), od_case_hash(&back));
    ck_assert_msg(od_case_model(&model, &back, &e) == OD_OK, "%s", e.text);
    ck_assert(back.config.patch == 4 && back.config.n_layer == 6 && back.config.xpos == OD_XPOS_ORIGIN);
    ck_assert_uint_eq(model->n_param, 68035); /* the seed's test model */
    ck_assert_uint_eq(od_case_parameters(&back.config), 68035);
    ck_assert_uint_eq(od_case_limit(&back, 0), 16);
    od_model_destroy(model);
    free(text);
}
END_TEST

START_TEST(a_changed_folder_is_refused) {
    od_model *model;
    od_error e = {0};
    od_case c = folder_case();
    c.model_weights.xxh64 ^= 1;
    ck_assert_int_eq(od_case_model(&model, &c, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "model.safetensors: XXH64 is"));
    ck_assert_ptr_null(model);
    c = folder_case();
    c.model_config.bytes--;
    ck_assert_int_eq(od_case_model(&model, &c, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "config.json: has"));
    c = folder_case();
    strcpy(c.model_folder, "no-such-folder");
    ck_assert_int_eq(od_case_model(&model, &c, &e), OD_BAD_INPUT);
    c = folder_case();
    c.op[0].steps = 65536; /* only the folder's patch size shows that this is too much */
    ck_assert_int_eq(od_case_model(&model, &c, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "GiB"));
    ck_assert_ptr_null(model);
}
END_TEST

START_TEST(presets_have_their_parameters) {
    od_config config;
    ck_assert_int_eq(od_config_preset(&config, "seed-tiny", NULL), OD_OK);
    ck_assert_uint_eq(od_case_parameters(&config), 68035);
    ck_assert_int_eq(od_config_preset(&config, "toto-open-base", NULL), OD_OK);
    ck_assert_uint_eq(od_case_parameters(&config), 151306080);
}
END_TEST

void case_files_add(Suite *s) {
    TCase *t = tcase_create("files");
    int n_folder = (int)(sizeof folders / sizeof folders[0]);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, scratch_setup, scratch_teardown);
    tcase_add_test(t, the_worked_example_is_canonical);
    tcase_add_loop_test(t, corpus_files_are_canonical, 0, n_folder);
    tcase_add_loop_test(t, corpus_cases_lie_in_the_domain_and_have_their_series, 0, n_folder);
    tcase_add_test(t, the_forward_corpus_is_large_enough);
    tcase_add_test(t, no_two_forward_seeds_are_the_same_case);
    tcase_add_test(t, csv_rows_and_columns_are_those_asked_for);
    tcase_add_test(t, csv_trouble_is_named);
    tcase_add_test(t, copies_keep_their_files);
    tcase_add_test(t, a_copy_needs_its_file_and_leaves_nothing_behind);
    tcase_add_test(t, reading_refuses_what_is_no_case_file);
    tcase_add_test(t, a_folder_gives_the_model);
    tcase_add_test(t, a_changed_folder_is_refused);
    tcase_add_test(t, presets_have_their_parameters);
    suite_add_tcase(s, t);
}
