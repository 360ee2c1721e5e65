/* A request is what a user of an engine does: open a session, give it a context, decode some patches, close it. Drawn
 * from a seed, played call by call so that several can be interleaved, and compared bit by bit. */
#ifndef OD_TESTS_GPU_REQUEST_H
#define OD_TESTS_GPU_REQUEST_H

#include "model/engine.h"
#include "model/rng.h"
#include "tests/gpu/suites.h"

typedef struct request {
    size_t batch, variates;
    size_t steps;   /* of context */
    size_t patches; /* decode calls */
    size_t spare;   /* steps that the session could hold beside */
    uint32_t own;   /* bit i: decode i is fed its own mean */
    bool missing;   /* some steps are missing */
    unsigned groups;
    uint64_t seed; /* of the values */
} request;

/* Largest values, decode calls at most 32; the smallest are 1, and 0 decode calls. */
typedef struct request_range {
    size_t batch, variates, steps, patches;
} request_range;

/* Three of four sizes are spread evenly over their logarithms (most requests are small), the fourth evenly. */
request request_draw(od_rng *rng, const request_range *range);

/* A request's session on an engine. Its series are [batch·variates] rows of `stride` steps, which several players of
 * one request share. `row` >= 0: that element of the batch alone. */
typedef struct series {
    size_t patch, stride;
    float *value;
    uint8_t *mask;
    int32_t *id;
} series;

void series_make(series *s, const request *r, size_t patch);
void series_free(series *s);

typedef struct player {
    const od_engine_api *api;
    od_engine *engine;
    const request *request;
    const series *series;
    long row;
    od_session *session;
    size_t next; /* the call to come: 0 prefill, i decode i - 1 */
} player;

/* Fails the test on an error. */
void player_open(player *p, od_engine *engine, const request *r, const series *s, long row);
bool player_done(const player *p);
void player_call(player *p); /* the next call */
void player_close(player *p);

/* From open to the last call; the player and the series are then the caller's to close and free. */
void player_play(player *p, series *s, od_engine *engine, const request *r, size_t patch);

/* All outputs of the last calls are equal bit by bit, and finite. With `row` >= 0, a's are of that element of b's
 * batch. The test fails with the tensor's name and place. */
void same_outputs(const player *a, const player *b, const char *what);

/* XXH64 over names, shapes and bytes of the last call's outputs, starting from `seed`. */
uint64_t outputs_hash(const player *p, uint64_t seed);

/* Plays alone from open to close on the engine: the hash over all its calls' outputs. */
uint64_t request_hash(od_engine *engine, const request *r, size_t patch);

/* Models under test, by number: 0 seed-tiny; 1 wider, a mixture, 12-wide heads; 2 head dimension 6, K 1, odd sizes; 3
 * as toto-open-base, of D 128; 4 toto-open-base itself. NULL: past the end. */
const char *test_config(od_config *config, unsigned number);

/* Engine options to test, by number: fused off and on, each without a cache, with a growing and with a fixed one.
 * False: past the end. `text` names them. */
bool test_options(od_options *options, char *text, size_t size, unsigned number);

/* Does the engine under test take the options for the model? */
bool test_can(const od_config *config, const od_options *options);

/* Model of a configuration with weights from a seed, engine of a model; both fail the test on an error. */
od_model *test_model(const od_config *config, uint64_t seed);
od_model *test_tiny(void); /* of seed-tiny */
od_engine *test_engine_of(const od_model *model, const od_options *options);
od_stats test_stats(od_engine *engine);

double test_seconds(void);

#endif
