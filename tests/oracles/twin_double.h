/* The twin behind a thin wall: an engine that passes every call on, and misbehaves on demand. It changes what comes out
 * of the interface alone, and knows of the inside no more than an oracle does. */
#ifndef OD_TESTS_ORACLES_TWIN_DOUBLE_H
#define OD_TESTS_ORACLES_TWIN_DOUBLE_H

#include "model/case.h"

/* "A bit": the last value of each row of loc is the next float32. "Off": all of loc by 1e-3. */
enum double_fault {
    DOUBLE_HONEST,
    DOUBLE_REFUSES_DECODE, /* every decode step is bad input */
    DOUBLE_FAULTS_PLAIN,   /* a device fault, after four plays with plain launches */
    DOUBLE_OFF,            /* off, in every call */
    DOUBLE_SLIGHT,         /* loc off by 5e-7, in every call */
    DOUBLE_MISSING,        /* no df, in every call */
    DOUBLE_NAN_OWN,        /* NaN in loc after an own patch */
    DOUBLE_REPLACED,       /* three values replaced by zero, it says */
    DOUBLE_READS_SCRATCH,  /* a bit, in the first call after scratch memory was poisoned */
    DOUBLE_AFTER_RESET,    /* a bit, in the second life of the engine's first session */
    DOUBLE_NEXT_ENGINE,    /* a bit, on an engine like one before it */
    DOUBLE_LEAKS_HOST,     /* 64 bytes with every reset */
    DOUBLE_LEAKS_DEVICE,
    DOUBLE_PEAK,          /* with graphs twice the device's peak */
    DOUBLE_SLOW,          /* five times the time with graphs, while another engine is there to compare with */
    DOUBLE_NO_REPLAY,     /* no graph is replayed, it says */
    DOUBLE_SILENT,        /* one graph is replayed, and no call fell back, it says */
    DOUBLE_NO_HIT,        /* no decode call uses the cache, it says */
    DOUBLE_BLIND,         /* one tensor of weights stays what it was at first */
    DOUBLE_CAPTURES_MANY, /* 20 graphs more, it says */
    DOUBLE_CAPTURES_ANEW, /* a graph more with every third prefill, it says */
    DOUBLE_WAITS,         /* 100 waits more with every prefill, it says */
    DOUBLE_COPIES,        /* a megabyte more with every prefill, it says */
    DOUBLE_GRAPH,         /* a bit, with plain launches */
    DOUBLE_CACHE,         /* a bit, with a dynamic cache */
    DOUBLE_ABA,           /* a bit, where the session's life before began with another value */
    DOUBLE_BATCH,         /* a bit, in sessions of batch 1 */
    DOUBLE_GROUPS,        /* a bit in the first variate, where the last one's first value exceeds 1/2 */
    DOUBLE_SESSIONS,      /* a bit, where another session was called since the prefill */
    DOUBLE_SWITCHES,      /* a bit, on an engine of other streams than the first one's */
    DOUBLE_RECOMPUTE,     /* off, without a cache */
    DOUBLE_CHUNKS,        /* off, in decode steps before the third patch */
    DOUBLE_VARIATES,      /* off in the first two variates, where the second one's first value is the larger */
    DOUBLE_LATER          /* off in the first variate's context, where its last value exceeds 2 */
};

extern enum double_fault double_fault;

/* Reset before each test: what it remembers of engines and weights is forgotten, and it is honest. */
void double_reset(void);
unsigned double_n_live(void); /* engines and sessions that were not closed */
const od_engine_api *double_engine(void);

/* A case inside the domain of every relation in which every fault above shows, and each in one oracle or relation
 * alone: two sessions in turn, 2 x 4 series in groups 0 0 1 1, graphs and a fixed cache. */
void double_case(od_case *c);

#endif
