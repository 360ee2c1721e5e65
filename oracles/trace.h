/* Running a case's schedule on an engine, and keeping or comparing what every call answered.
 *
 * script  a case made ready once: model, series, limits; borrowed by everything below
 * player  one engine with the script's sessions open; plays the schedule as often as asked
 * trace   the answers of one play: every tensor's bytes and their XXH64 */
#ifndef OD_ORACLES_TRACE_H
#define OD_ORACLES_TRACE_H

#include "model/case.h"
#include "oracles/spent.h"

/* Prefill; decode fed from the series; decode fed with its own mean. */
enum od_step_class { OD_STEP_PREFILL, OD_STEP_DECODE, OD_STEP_OWN, OD_STEPS };
enum od_tensor_class {
    OD_TENSOR_DF,
    OD_TENSOR_LOC,
    OD_TENSOR_SCALE,
    OD_TENSOR_PROBS,
    OD_TENSOR_MEAN,
    OD_TENSOR_SCALER,
    OD_TENSOR_HIDDEN,
    OD_TENSORS
};

const char *od_step_class_name(enum od_step_class step);
const char *od_tensor_class_name(enum od_tensor_class tensor);

/* Class of an output by its name; OD_TENSORS for one that no engine should give. */
enum od_tensor_class od_tensor_classify(const char *name);

/* Are values of the class in data space (mean, scaler_*), to be divided by the unit? */
bool od_tensor_in_data_space(enum od_tensor_class tensor);

typedef struct od_script {
    const od_case *c;
    od_model *model;
    unsigned n_session;
    od_series series[OD_CASE_MAX_SESSIONS];
    size_t limit[OD_CASE_MAX_SESSIONS];
    bool has_decode;
    od_spent *spent; /* borrowed: players add what calls of their engines take; NULL: nobody asks */
} od_script;

/* Stages of a call in order of execution, for a model of L layers. */
enum { OD_STAGE_SCALER, OD_STAGE_LAYER /* of layer 0; layer i stands i behind it */ };
size_t od_stage_head(size_t n_layer);                 /* df, loc, scale, probs */
size_t od_stage_mean(size_t n_layer);                 /* the mean forecast, the last */
size_t od_stage_of(const char *name, size_t n_layer); /* of a tensor; SIZE_MAX for one that no engine should give */
/* Builds the case's model and series; spent is NULL. c is borrowed and must outlive *s. On error *s is empty. */
enum od_status od_script_create(od_script *s, od_case *c, od_error *e);
void od_script_destroy(od_script *s); /* a zeroed one is fine */

/* Where in the schedule a call stands. */
typedef struct od_call_at {
    unsigned op;   /* index in the case's schedule */
    unsigned call; /* of that entry: 0 for prefill, the patch of a decode */
    unsigned session;
    unsigned n_own; /* own patches that this session has been fed since its prefill, this call's included */
    enum od_step_class step;
} od_call_at;

typedef struct od_player {
    const od_engine_api *api;
    const od_script *script;
    od_engine *engine;
    od_session *session[OD_CASE_MAX_SESSIONS];
    bool scrambles; /* before every call of a play, where the engine can (scramble_undeclared) */
    bool late;      /* sessions are opened when the schedule first names them */
} od_player;

/* Creates the engine and opens all sessions; on error everything is closed again. */
enum od_status od_player_open(od_player *p, const od_engine_api *api, const od_script *script,
                              const od_options *options, od_error *e);
/* Creates the engine alone: each session is opened ahead of its first call, beside what the engine has captured for
 * those before it. An open that fails is an error of the play. */
enum od_status od_player_open_late(od_player *p, const od_engine_api *api, const od_script *script,
                                   const od_options *options, od_error *e);
void od_player_close(od_player *p); /* a zeroed one is fine */

/* Opens the script's sessions on the engine of another player, which stays its owner: od_player_leave closes them. */
enum od_status od_player_join(od_player *p, const od_player *host, const od_script *script, od_error *e);
void od_player_leave(od_player *p);

/* Every session back to the state after open: by reset, or by closing and opening it. */
enum od_status od_player_reset(od_player *p, od_error *e);
enum od_status od_player_reopen(od_player *p, od_error *e);

/* Scratch memory overwritten, where the engine can do that. */
enum od_status od_player_poison(od_player *p, od_error *e);

/* Plays the schedule once, the sessions being fresh. After each prefill and decode `sink` (may be NULL) sees the
 * outputs, which are borrowed for the call; what it returns other than OD_OK ends the play. Errors carry "op 2 call 1
 * (decode of session 0): " in front; *last, where not NULL, is the call that was made last. */
typedef enum od_status (*od_sink)(void *arg, const od_call_at *at, const od_outputs *out, od_error *e);
enum od_status od_player_play(od_player *p, od_sink sink, void *arg, od_call_at *last, od_error *e);

/* A fresh engine plays the schedule once and goes. Errors as in od_player_open and od_player_play. */
enum od_status od_player_once(const od_engine_api *api, const od_script *script, const od_options *options,
                              od_sink sink, void *arg, od_error *e);

/* Where a play stands; zeroed: at its beginning. */
typedef struct od_progress {
    unsigned op, call;
    struct od_cursor {
        size_t step; /* raw steps that the session has been given */
        unsigned n_own;
    } session[OD_CASE_MAX_SESSIONS];
} od_progress;

/* The schedule's next prefill or decode, with the resets and recaptures ahead of it: what a play is made of, so that
 * engines can be walked side by side. Fills *where; *out (may be NULL) is borrowed until the session's next call. Past
 * the last call *more is false and neither is filled. Errors as in od_player_play. */
enum od_status od_player_step(od_player *p, od_progress *at, od_call_at *where, od_outputs *out, bool *more,
                              od_error *e);

/* One run of an engine: did it work, and if not, where and why. */
typedef struct od_attempt {
    bool ran;
    enum od_status status;
    od_call_at at; /* of the call that failed */
    bool closing;  /* it failed while everything was being closed: `at` says nothing */
    od_error error;
} od_attempt;

typedef struct od_trace_tensor {
    enum od_tensor_class cls;
    od_tensor view; /* data is NULL: od_trace_view fills it in */
    size_t offset, bytes;
    uint64_t hash;
} od_trace_tensor;

typedef struct od_trace_call {
    od_call_at at;
    double unit;     /* mean of the session's prefill scaler_scale; 1 where that is no positive number */
    size_t first, n; /* its tensors */
} od_trace_call;

typedef struct od_trace {
    size_t n_call, cap_call, n_tensor, cap_tensor, n_byte, cap_byte;
    od_trace_call *call;
    od_trace_tensor *tensor;
    char *bytes;
    double unit[OD_CASE_MAX_SESSIONS]; /* of the newest prefill of each session */
} od_trace;

/* A sink (arg: od_trace *) that keeps everything. Empty the trace with od_trace_clear before a play; memory stays for
 * the next case until od_trace_free. */
enum od_status od_trace_record(void *arg, const od_call_at *at, const od_outputs *out, od_error *e);
void od_trace_clear(od_trace *t);
void od_trace_free(od_trace *t);

/* Tensor i with its data, borrowed until the trace changes. */
od_tensor od_trace_view(const od_trace *t, size_t i);

/* First difference of a play from a trace, bit by bit. */
typedef struct od_difference {
    const od_trace *trace;
    size_t call; /* calls seen so far */
    bool differs;
    od_call_at at;
    enum od_tensor_class cls;
    char name[OD_NAME_MAX]; /* the tensor; of the trace, where the play lacks it */
    double was, is;         /* at the first differing element; NaN where the shapes differ */
    size_t index;
} od_difference;

/* A sink (arg: od_difference *, zeroed but for trace) that compares and keeps nothing; never fails. */
enum od_status od_trace_match(void *arg, const od_call_at *at, const od_outputs *out, od_error *e);

#endif
