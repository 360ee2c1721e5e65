/* Metamorphic relations: a case played another way, and how the answers must follow from those of the first play. What
 * each one is, how it is held and where: docs/consistency.md. Nothing here runs an engine (evidence_relate.c does). */
#ifndef OD_ORACLES_RELATIONS_H
#define OD_ORACLES_RELATIONS_H

#include "oracles/trace.h"

struct od_evidence;

enum { OD_RELATIONS = 12, OD_NO_ROW = -1, OD_RELATED_STEPS = 64 };

/* Where the first play has the answer to call k of an entry of the second play's schedule: at call k of entry `op`, or,
 * with `part`, in steps [from + k·P, from + k·P + n) of the `whole` ones that prefill `op` answered. */
typedef struct od_place {
    unsigned op;
    bool part;
    size_t from, n, whole;
} od_place;

/* The case of a second play. */
typedef struct od_variant {
    od_case c;
    od_script script; /* of c; the model is borrowed from the first play's script, the series are its own */
    od_place place[OD_CASE_MAX_OPS];
    int row[OD_CASE_MAX_BATCH * OD_CASE_MAX_VARIATES]; /* row of the first play by row of this one; OD_NO_ROW: changed
                                                        * on purpose, not compared */
} od_variant;

/* Who plays it: new sessions on the engine of the first play; that play's own sessions, which then play the case
 * itself again; an engine of the variant's options. */
enum od_relation_on { OD_ON_NEW_SESSIONS, OD_ON_SAME_SESSIONS, OD_ON_NEW_ENGINE };

typedef struct od_relation {
    const char *name;
    const char *about; /* one line for lists */
    const char *where; /* its domain, for lists */
    bool contract;     /* held to the contract, else bit by bit */
    bool by_name;      /* asked only where somebody names it: the model's own definition breaks it */
    enum od_relation_on on;
    const char *(*outside)(const struct od_evidence *ev); /* NULL inside its domain, else why not, in a few words */
    unsigned (*plays)(const od_script *first);            /* NULL: one */
    void (*vary)(od_variant *v, const od_script *first, unsigned play); /* turns a copy of the first play's case into
                                                                         * that of the second */
} od_relation;

/* Relation i, i < OD_RELATIONS. */
const od_relation *od_relation_at(unsigned i);

/* Number of the relation of that name; OD_BAD_INPUT lists the names. */
enum od_status od_relation_find(unsigned *number, const char *name, od_error *e);

/* Those that are asked where none is named. */
unsigned od_relations_default(void);

/* The one of a set (of one relation or more) whose turn it is: they go round as `turn` counts up. */
unsigned od_relations_turn(unsigned set, uint64_t turn);

/* Makes *v for play number `play`; relation NULL: the case itself. OD_NO_MEMORY leaves it empty. */
enum od_status od_variant_create(od_variant *v, const od_relation *relation, const od_script *first, unsigned play,
                                 od_error *e);
void od_variant_destroy(od_variant *v); /* a zeroed one is fine */

/* A decode call of the second play; the errors are its worst tensor's, in model space. */
typedef struct od_related_step {
    od_call_at at;
    double mae, max_abs;
} od_related_step;

/* What the plays of one relation showed. */
typedef struct od_related {
    bool asked;
    char outside[80]; /* why it was not played; "" = it was */
    od_attempt run;   /* the last of its plays */
    size_t compared;  /* tensors */
    bool broken;      /* the first tensor that is not as it must be: */
    bool misshapen;   /* it is missing, too many, or of another shape or type; row, index and numbers say nothing */
    unsigned play;
    od_call_at at;    /* of the second play */
    od_call_at first; /* the same answer in the first one's */
    enum od_tensor_class cls;
    char name[OD_NAME_MAX];
    int row, first_row; /* of the second play, and of the first; bit by bit only */
    size_t index;       /* in the row; bit by bit only */
    double was, is;
    double mae, max_abs;                    /* of that tensor, in model space; contract only */
    double most_share;                      /* of the contract, that any tensor used */
    od_related_step step[OD_RELATED_STEPS]; /* the first of them; contract only, and also behind a breach */
    size_t n_step;
} od_related;

/* A sink (arg: od_matching *, zeroed but for the first five) that holds a second play against the first one's trace and
 * notes what it finds in *out. OD_NO_MEMORY. */
typedef struct od_matching {
    const od_trace *first;
    const od_case *first_case;
    const od_variant *v;
    bool contract;
    od_related *out;
    size_t call;   /* where the first play's last answer was found */
    void *pair[2]; /* rows side by side, the first play's and the second's */
    size_t cap;    /* bytes of each */
} od_matching;

enum od_status od_relation_match(void *arg, const od_call_at *at, const od_outputs *out, od_error *e);
void od_matching_free(od_matching *m);

#endif
