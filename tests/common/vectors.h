/* Golden vectors for tests: a folder of tests/vectors, run through any engine, and how far the answers lie off. Check
 * is not needed here: failures come back as od_error, for the test to report. */
#ifndef OD_TESTS_COMMON_VECTORS_H
#define OD_TESTS_COMMON_VECTORS_H

#include "model/safetensors.h"
#include "oracles/forward.h"

/* Names of the 16 vectors in order; NULL past the end. */
const char *od_vector_name(size_t i);

typedef struct od_vector {
    char name[64];
    od_model *model;
    od_safetensors file;    /* case.safetensors: inputs and golden values */
    od_forward_input input; /* borrows from file and from copies below */
    float *value;
    uint8_t *mask;
    int32_t *id;
} od_vector;

/* Loads tests/vectors/<name>. The caller closes *v; on error it is empty. */
enum od_status od_vector_open(od_vector *v, const char *name, enum od_xpos_center xpos, od_error *e);
void od_vector_close(od_vector *v);

typedef struct od_vector_error {
    double mae, max;  /* of |got - want|, divided by `unit` */
    double relative;  /* largest |got - want| / max(1, |want|) */
    double first_mae; /* mae over the first `first` entries of axis 2 (a forecast's first patch), or of all */
    size_t worst;     /* index of the largest difference */
    bool finite;      /* all differences are; else mae and max are NaN */
} od_vector_error;

/* got against want, of one shape (OD_BAD_INPUT otherwise). unit > 0: the length of 1 in model space. first: 0 = all. */
enum od_status od_vector_compare(od_vector_error *out, const od_tensor *got, const od_tensor *want, double unit,
                                 size_t first, od_error *e);

/* What data space is divided by to come into model space: the mean of prefill.scaler_scale for forecasts and for the
 * scaler's loc and scale, else 1. `golden` finds a tensor by its name. */
double od_vector_unit(const char *name, const od_tensor *prefill_scale);

/* Every golden tensor of v against the result's: each must be there, in the golden shape, and no tensor more. `visit`
 * is called for each (first_mae: the first patch of forecasts); *n counts the tensors compared. */
typedef void od_vector_visit(void *context, const od_tensor *golden, const od_vector_error *error);
enum od_status od_vector_each(size_t *n, const od_vector *v, const od_forward_result *result, od_vector_visit *visit,
                              void *context, od_error *e);

#endif
