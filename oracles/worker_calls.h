/* The calls of engines and sessions that live in workers. Private to worker_*.c. */
#ifndef OD_ORACLES_WORKER_CALLS_H
#define OD_ORACLES_WORKER_CALLS_H

#include "oracles/worker_process.h"

struct od_engine {
    od_worker *worker;
    size_t number;     /* the worker's */
    od_error *pending; /* of its place (worker_engine.c) */
};

/* Fills in everything that is called with an engine or a session: neither recapture nor poison. */
void od_worker_calls(od_engine_api *api);

enum od_status od_worker_recapture(od_engine *engine, od_error *e);
enum od_status od_worker_poison(od_engine *engine, od_error *e);
enum od_status od_worker_scramble(od_engine *engine, od_error *e);

/* Frees the texts of all od_stats so far. */
void od_worker_texts_free(void);

#endif
