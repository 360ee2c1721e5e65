/* The suites of ref/: one a file, listed in main.c. */
#ifndef OD_TESTS_REF_SUITES_H
#define OD_TESTS_REF_SUITES_H

#include <check.h>

Suite *suite_vectors(void);  /* the official code's values */
Suite *suite_ops32(void);    /* closed forms of the small pieces, float32 */
Suite *suite_ops64(void);    /* the same in float64 */
Suite *suite_scaler(void);   /* closed forms of the three scalers */
Suite *suite_identity(void); /* identities of whole engines */
Suite *suite_session(void);  /* a session's life: decode, reset, several at once */
Suite *suite_errors(void);   /* bad input, failing allocations */

#endif
