/* A shared object as somebody else would build it: the twin under another name, which goes wrong in cases of batch 3 as
 * FOREIGN says: crash, hang, lie (one element of one tensor), exit, abort, lost (a device fault, and nothing works any
 * more in this process), scribble (over every descriptor), print (on stdout; in all of them), abi, name, entry (a
 * crash; in all). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpu/gpu.h"

static const od_engine_api *inner;
static od_engine_api api;
static const char *mode = "";
static bool bad, lost;

static enum od_status session_open(od_session **out, od_engine *engine, size_t batch, size_t variates, size_t limit,
                                   od_error *e) {
    bad = batch == 3;
    if (lost) return od_fail(e, OD_DEVICE_FAULT, "the device is lost: a new process would be right");
    if (strcmp(mode, "print") == 0) {
        puts("noise of a plug-in");
        fflush(stdout);
    }
    return inner->session_open(out, engine, batch, variates, limit, e);
}

static void crash(void) {
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static enum od_status decode(od_session *session, const od_window *next, od_error *e) {
    if (bad && strcmp(mode, "crash") == 0) crash();
    while (bad && strcmp(mode, "hang") == 0) sleep(1000);
    if (bad && strcmp(mode, "exit") == 0) exit(0);
    if (bad && strcmp(mode, "abort") == 0) abort();
    for (int fd = 0; bad && strcmp(mode, "scribble") == 0 && fd < 64; fd++)
        if (write(fd, "nothing of the protocol", 23) < 0) continue;
    lost = lost || (bad && strcmp(mode, "lost") == 0);
    if (lost) return od_fail(e, OD_DEVICE_FAULT, "the device is lost: a new process would be right");
    return inner->decode(session, next, e);
}

static enum od_status outputs(od_session *session, od_outputs *out, od_error *e) {
    const enum od_status s = inner->outputs(session, out, e);
    if (s == OD_OK && bad && strcmp(mode, "lie") == 0) ((float *)(uintptr_t)out->tensor[0].data)[1] += 0.5f;
    return s;
}

const od_engine_api *od_engine_entry(void) {
    if (getenv("FOREIGN")) mode = getenv("FOREIGN");
    if (strcmp(mode, "entry") == 0) crash();
    inner = od_twin_engine();
    api = *inner;
    api.abi += strcmp(mode, "abi") == 0;
    api.name = strcmp(mode, "name") == 0 ? "twin" : "wrapped";
    api.session_open = session_open;
    api.decode = decode;
    api.outputs = outputs;
    return &api;
}
