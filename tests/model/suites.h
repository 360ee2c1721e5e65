/* The suites of model/: one a file, listed in main.c. */
#ifndef OD_TESTS_MODEL_SUITES_H
#define OD_TESTS_MODEL_SUITES_H

#include <check.h>
#include <stdbool.h>

Suite *suite_status(void); /* status.c: errors, sizes; heap and tensor as well */
Suite *suite_rng(void);
Suite *suite_file(void);
Suite *suite_options(void);
Suite *suite_config(void);
Suite *suite_safetensors(void);
Suite *suite_safetensors_write(void);
Suite *suite_model(void); /* the weight table and generated weights */
Suite *suite_load(void);  /* checkpoints */
Suite *suite_rope(void);
Suite *suite_series(void);
Suite *suite_csv(void);
Suite *suite_case(void);
void case_files_add(Suite *s); /* the part of suite_case that needs files */
Suite *suite_case_series(void);
Suite *suite_generate(void);
Suite *suite_domain(void);
Suite *suite_edges(void);

/* Fixtures: a fresh folder for each test, removed with all that is in it. */
void scratch_setup(void);
void scratch_teardown(void);

/* FOLDER/name; the text lives until the end of the test. At most 16 a test. */
const char *scratch(const char *name);

/* Makes a locale with a decimal comma and switches LC_NUMERIC to it; false where localedef cannot. */
bool scratch_comma_locale(void);

/* Files in the folder, so that a test sees that nothing was left behind. */
unsigned scratch_count(void);

#endif
