/* What the files of the case share among themselves and with their tests; no other room includes this. */
#ifndef OD_MODEL_CASE_INTERNAL_H
#define OD_MODEL_CASE_INTERNAL_H

#include "model/case.h"
#include "model/rng.h"

/* Upper bounds that od_case_check and case.schema.json share and that case.h does not name. */
enum {
    OD_CASE_MAX_GROUP = 127,
    OD_CASE_MAX_COLUMNS = 16,
    OD_CASE_MAX_FILE_PATH = 479, /* room for "/model.safetensors" behind a folder */
    OD_CASE_MAX_TOKENS = 1 << 18,
    OD_CASE_MAX_PARAMETERS = 1 << 28,
    OD_CASE_CHEAP = 1 << 24 /* multiply-adds of a generated case on one engine: some milliseconds */
};

/* One life of a session, from its prefill to the next reset or the end: decoded patches in order are the entries
 * first … last of the schedule that belong to the session. */
typedef struct od_case_life {
    unsigned prefill; /* index of its prefill in op[] */
    unsigned end;     /* index of the first op that is no longer in it */
    size_t steps;     /* of the prefill */
    size_t patches;   /* decoded, all told */
    size_t need;      /* raw steps of the series that it touches */
} od_case_life;

/* The next life of a session at or behind op[*at]; moves *at behind it. False where there is none. `patch` is P. */
bool od_case_next_life(od_case_life *life, const od_case *c, unsigned session, size_t patch, unsigned *at);

/* Longest prefill of a session, raw steps that its series needs, patches that it holds at most. */
typedef struct od_case_use {
    size_t steps, need, patches;
} od_case_use;

od_case_use od_case_session_use(const od_case *c, unsigned session);

size_t od_case_parameters(const od_config *config);

/* Multiply-adds of the whole schedule on one engine, roughly: tokens times weights, and attention. */
double od_case_work(const od_case *c);

/* Seed of session s: series_seed for session 0, else derived. Below 2^63. */
uint64_t od_case_session_seed(const od_case *c, unsigned session);

/* The canonical text; with `identity`, only what decides the outcome: no note, expect and finding, and external files
 * by their digests alone. new_path as in od_case_format. The case is not checked. */
enum od_status od_case_print(char **text, size_t *size, const od_case *c, const char *new_path, bool identity,
                             od_error *e);

/* path, as written in c, becomes relative to the folder of new_path. Absolute paths stay. out has OD_CASE_PATH bytes.
 */
enum od_status od_case_rebase(char *out, const od_case *c, const char *path, const char *new_path, od_error *e);

/* Fills *e with OD_BAD_INPUT and returns false. */
bool od_case_refuse(od_error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Random pieces that generator and mutator share (case_pick.c). */
uint64_t od_pick_seed(od_rng *rng);                           /* below 2^63 */
unsigned od_pick(od_rng *rng, unsigned lo, unsigned hi);      /* uniform, both included */
bool od_pick_chance(od_rng *rng, unsigned one_in);            /* true once in so many */
unsigned od_pick_size(od_rng *rng, unsigned lo, unsigned hi); /* half the time a boundary: tile-1, tile, tile+1 */
unsigned od_pick_edge(od_rng *rng, unsigned lo, unsigned hi); /* a power of two up to 512, or one beside it */
unsigned od_pick_steps(od_rng *rng, unsigned patches, unsigned patch); /* of a context: whole patches, or an edge */
void od_pick_config(od_config *config, od_rng *rng);                   /* small dimensions that pass od_config_check */
void od_pick_groups(od_case *c, od_rng *rng);                          /* new ids for all variates */

/* Parts of `from` take the place of those of c, which may not pass od_case_check then. A folder's model is no part: it
 * is neither taken nor replaced. */
enum { OD_PART_MODEL = 1, OD_PART_SERIES = 2, OD_PART_SCHEDULE = 4, OD_PART_OPTIONS = 8, OD_PARTS = 15 };
void od_case_take(od_case *c, const od_case *from, unsigned parts);

/* Profiles of case_edges.c: fill a case of od_case_init whose generator is chosen. */
void od_draw_boundary(od_case *c, od_rng *rng);
void od_draw_session(od_case *c, od_rng *rng);

#endif
