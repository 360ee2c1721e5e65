/* Engines with closed-form answers and misbehaviour on demand, to show that each oracle sees what it is for.
 *
 * Element i of tensor t (df 0, loc 1, scale 2, mean 3, scaler_loc 4, scaler_scale 5, and with hidden states hidden.0 6,
 * hidden.1 7) at call c of a session is 1 + t/8 + c/64 + (i mod 5)/1024, exact in float32; scaler_scale is 2
 * everywhere. */
#ifndef OD_TESTS_ORACLES_FAKE_ENGINE_H
#define OD_TESTS_ORACLES_FAKE_ENGINE_H

#include "model/case.h"

enum { FAKE_FEATURES = 16 }; /* of a hidden state */
enum fake_lie { FAKE_HONEST, FAKE_ADD, FAKE_NAN, FAKE_INF, FAKE_ZERO_ALL, FAKE_MISSING, FAKE_SHAPE };

typedef struct fake_knobs {
    enum fake_lie lie;
    int tensor, call; /* where: tensor number, call of the session */
    int (*where)(
        const od_options *); /* asked once an engine: the lie's tensor, -1 for an honest engine; NULL: `tensor` */
    bool (*refuses)(const od_options *); /* the engine cannot run cases with these options; NULL: it can */
    size_t element;
    double add;
    double add_all; /* to every element of that tensor at the call behind */

    /* It lies only in cases of at least that size, and in smaller ones adds to every element of the tensor behind. */
    unsigned min_batch, min_variates, min_sessions, min_layers;
    bool only_graph; /* it lies only with graph on */
    double add_small;
    unsigned steady; /* from that engine on only every second one lies; 0: all do */

    bool drift_runs;    /* answers depend on how often the engine's sessions were reset */
    bool drift_opens;   /* … on how many sessions were opened before */
    bool drift_engines; /* … on how many engines were created before */
    bool reads_stale;   /* a decode step depends on what the call before it left in shared memory */
    enum od_status fail_scramble;
    bool drift_late;                                   /* … but for the first call, where the mean alone does */
    size_t leak_host, leak_device;                     /* bytes kept with every reset */
    size_t hidden_malloc, hidden_pages, hidden_device; /* bytes a reset that no counter knows of: from malloc, pages of
                                                        * its own, on the device; given back with the engine */
    size_t hidden_once;                                /* the first so, by the third reset alone */
    size_t leak_open;                                  /* host bytes kept with every session that is closed */
    size_t leak_once;                                  /* host bytes kept by the third reset alone */
    double peak_factor;                                /* device peak with graph on, times the honest one; 0 = 1 */
    double host_factor;                                /* the same for the host */
    double microseconds, graph_factor; /* each call takes so long; with graph on so many times longer (0 = 1) */
    double each_microseconds; /* every call of the interface but probe, can and stats takes so long besides; n_each */
    double graph_jitter;      /* with graph on every other play takes so many times longer (0 = 1) */
    bool no_replay, no_hit;
    bool silent;            /* only the engine's first call replays */
    unsigned waits, copied; /* each call: for the device, bytes to it */
    bool captures_anew;     /* a graph with every prefill, not with the engine's first alone */
    bool emulated, rolled_back;
    unsigned fallbacks, replaced;
    enum od_status fail; /* of call `call`, from play `fail_from` of the engine on (0: the first) */
    unsigned fail_from;
    bool cannot;
    bool reads_weights; /* answers depend on every weight tensor but number `blind` - 1 (0: on all) */
    unsigned blind;
    unsigned fail_engines; /* this one and later engines cannot be created; 0: all can */

    /* What was seen. */
    unsigned n_create, n_open, n_reset, n_recapture, n_poison, n_scramble,
        n_live; /* n_live: engines and sessions not closed */
    struct {
        bool own;
        size_t n_step;
        float first; /* of the window's first row */
    } seen[64];
    unsigned n_seen;
    size_t last_limit;
    unsigned n_each;
    bool saw_tf32;
} fake_knobs;

/* Two engines of one kind, each with knobs of its own. Call fake_reset before each test. */
extern fake_knobs fake_ref_knobs, fake_fast_knobs;
const od_engine_api *fake_ref(void);
const od_engine_api *fake_fast(void);
void fake_reset(void);

/* What the engine answers when honest. */
double fake_value(int tensor, unsigned call, size_t element);

/* The oracles that the engines are for: all but speed, which needs time, and consistency, since an answer that ignores
 * the input does not follow it (causal_engine.h). */
unsigned fake_oracles(void);

/* A small case: seed-tiny, 1 x 2 series, prefill of 8 steps, two teacher-forced patches, one own. */
void fake_case(od_case *c);

/* A case with something of everything that shrinking takes away: 5 x 7 series in two groups, three sessions of seven
 * decoded patches each, a recapture, a second life of session 1. */
void fake_large_case(od_case *c);

#endif
