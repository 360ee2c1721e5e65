#include "model/status.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

size_t od_utf8_character(const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    static const struct {
        unsigned char first, last, size, lo, hi; /* of the first byte; in all; of the second byte */
    } rows[] = {{0x20, 0x7e, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
                {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
                {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f}};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        if (s[0] < rows[r].first || s[0] > rows[r].last) continue;
        if (rows[r].size > 1 && (s[1] < rows[r].lo || s[1] > rows[r].hi)) return 0;
        for (size_t i = 2; i < rows[r].size; i++)
            if ((s[i] & 0xc0) != 0x80) return 0;
        return rows[r].size;
    }
    return 0;
}

/* The same, less the control characters that are two bytes long (C1). */
static size_t character(const char *s) {
    const bool control = (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0;
    return control ? 0 : od_utf8_character(s);
}

void od_text_clean(char *s) {
    while (*s) {
        size_t n = character(s);
        if (n == 0) *s = '?';
        s += n ? n : 1;
    }
}

enum od_status od_vfail(od_error *e, enum od_status status, const char *format, va_list args) {
    if (e) {
        e->status = status;
        vsnprintf(e->text, sizeof e->text, format, args);
        od_text_clean(e->text);
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
