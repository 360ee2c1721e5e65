/* A small model, a series and an engine, for the suites that run whole engines. Failures of the set-up fail the test
 * that is running. */
#ifndef OD_TESTS_REF_FIXTURE_H
#define OD_TESTS_REF_FIXTURE_H

#include "model/engine.h"

/* Engine i of the two: ref, ref64. For loop tests over both. */
const od_engine_api *fixture_api(int i);

/* seed-tiny's shape with a causal scaler without stabilisation, a mixture of 3 and generated weights. */
od_config fixture_config(void);

typedef struct fixture {
    const od_engine_api *api;
    od_model *model;
    od_engine *engine;
    size_t batch, variates, n_step; /* of the series */
    float *value;                   /* N(0,1) walk */
    uint8_t *mask;                  /* 1 */
    int32_t *id;                    /* 0 */
} fixture;

/* cache: option of the engine. Generated series, seeds fixed. */
void fixture_open(fixture *f, const od_engine_api *api, const od_config *config, enum od_cache cache, size_t batch,
                  size_t variates, size_t n_step);
void fixture_close(fixture *f);

/* Another engine on the same model. */
void fixture_engine(fixture *f, const od_options *options);

/* Steps [first, first + n) of every series. */
od_window fixture_window(const fixture *f, size_t first, size_t n);

/* A session with room for `limit` steps of the fixture's series. */
od_session *fixture_session(fixture *f, size_t limit);

void fixture_prefill(fixture *f, od_session *s, size_t n);                    /* the first n steps */
void fixture_decode(fixture *f, od_session *s, size_t first, size_t n_patch); /* teacher-forced from step `first` */
void fixture_own(fixture *f, od_session *s, size_t n_patch);

/* The last call's answers, copied into doubles. */
enum { ANSWER_MAX = 1 << 16 };
typedef struct answer {
    od_tensor tensor[16]; /* names and shapes */
    size_t n_tensor, n;
    double value[ANSWER_MAX]; /* tensor after tensor */
} answer;

/* Static storage for a test: no two answers of one slot (0 … 3) live at once. */
const answer *fixture_answer(fixture *f, od_session *s, int slot);

/* The values of one tensor; *t gets name and shape. */
const double *answer_find(const answer *a, const char *name, const od_tensor **t);

/* All tensors, bit for bit; or within err of each other relative to max(1, |value|): returns the largest. */
void answer_same_bits(const answer *a, const answer *b);
double answer_distance(const answer *a, const answer *b);

#endif
