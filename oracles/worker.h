/* Engines that live in processes of their own (docs/worker.md): what may crash, hang or leave something behind does it
 * there. od_worker_engine gives an engine like any other, whose every call is a message to a worker; od_worker_serve is
 * the worker's side.
 *
 * A worker that dies is OD_CRASHED, one that gives no answer in time is killed and OD_HUNG, one that breaks the
 * protocol is killed and OD_DEVICE_FAULT: each once more for every later call on its engines. The next engine created
 * gets a new worker. What went wrong in a call that has no status (stats, session_close, destroy) is told by the next
 * one that has one, at the latest by the next `create` or `probe`.
 *
 * Threads: engines of different od_worker_engine may be called at the same time, each by one thread.
 * od_worker_engine and od_worker_engines_end are called by one thread, the latter while no other calls an engine. */
#ifndef OD_ORACLES_WORKER_H
#define OD_ORACLES_WORKER_H

#include "model/case.h"

enum { OD_WORKERS = 128 }; /* engines of od_worker_engine at a time */

typedef struct od_worker_terms {
    const char *name;        /* the engine's in signatures; NULL: as it calls itself */
    const char *word;        /* for messages, until it has said its name; NULL: argv[0] */
    const char *const *argv; /* the command, NULL-ended; argv[0] is looked for in PATH where it has no slash */
    double timeout;          /* seconds that a call may take */
    bool fresh;              /* a process for each engine that is created, else one for all, until it dies */
} od_worker_terms;

/* Starts a worker and asks who it is. *out is valid until od_worker_engines_end; terms are copied. OD_BAD_INPUT: it
 * speaks another protocol or engine ABI, its name is no name, or it says no with that status; OD_IO: it cannot be
 * started; OD_CRASHED, OD_HUNG, OD_DEVICE_FAULT as above. */
enum od_status od_worker_engine(const od_engine_api **out, const od_worker_terms *terms, od_error *e);

/* Ends the engine's worker, if it has one that is idle; what goes wrong is told by od_worker_engines_end. A worker ends
 * with the thread that started it: before one ends, it calls this for its engines. */
void od_worker_engine_rest(const od_engine_api *api);

/* Ends every worker. No engine of one may be alive. The first thing that went wrong there, or before and was not told;
 * e may be NULL. */
enum od_status od_worker_engines_end(od_error *e);

/* Serves an engine to the other end of the stream until that closes; memory: the shared memory's descriptor. Everything
 * that is wrong in a message is answered with OD_BAD_INPUT and text; OD_BAD_INPUT or OD_IO where the stream is of no
 * more use. Owns none of the descriptors. */
enum od_status od_worker_serve(const od_engine_api *api, int in, int out, int memory, od_error *e);

/* Serves nothing: answers the first request with what is wrong. */
enum od_status od_worker_refuse(int in, int out, od_error *e);

#endif
