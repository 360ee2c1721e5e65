#include "model/status.h"

#include <stdio.h>
#include <string.h>

static void clean(char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = '?';
}

enum od_status od_vfail(od_error *e, enum od_status status, const char *format, va_list args) {
    if (e) {
        e->status = status;
        vsnprintf(e->text, sizeof e->text, format, args);
        clean(e->text);
    }
    return status;
}

enum od_status od_fail(od_error *e, enum od_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    od_vfail(e, status, format, args);
    va_end(args);
    return status;
}

enum od_status od_error_prefix(od_error *e, const char *format, ...) {
    char head[sizeof e->text], tail[sizeof e->text];
    va_list args;
    va_start(args, format);
    vsnprintf(head, sizeof head, format, args);
    va_end(args);
    memcpy(tail, e->text, sizeof tail);
    return od_fail(e, e->status, "%.200s: %.270s", head, tail);
}

const char *od_status_name(enum od_status status) {
    switch (status) {
    case OD_OK: return "ok";
    case OD_BAD_INPUT: return "bad input";
    case OD_NO_MEMORY: return "out of memory";
    case OD_NO_DEVICE: return "no device";
    case OD_IO: return "input/output error";
    case OD_DEVICE_FAULT: return "device fault";
    case OD_UNSUPPORTED: return "unsupported";
    case OD_CRASHED: return "crashed";
    case OD_HUNG: return "hung";
    }
    return "unknown status";
}
