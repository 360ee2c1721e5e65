/* The switches as one table: parsing, printing and lists all read it. */
#include "model/options.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A kind is how a switch is spelt; `at` is where it lives in od_options. lo and hi bound the numbers. */
enum kind { FLAG, CACHE, COUNT, SEED };

typedef struct option {
    const char *name;
    enum kind kind;
    size_t at;
    uint64_t lo, hi;
} option;

/* The order of lists and of canonical JSON. `hidden` asks for outputs, it switches nothing: not here. */
static const option options_table[] = {
    {"graph", FLAG, offsetof(od_options, graph), 0, 1},
    {"cache", CACHE, offsetof(od_options, cache), OD_CACHE_OFF, OD_CACHE_FIXED},
    {"fused", FLAG, offsetof(od_options, fused), 0, 1},
    {"autotune", FLAG, offsetof(od_options, autotune), 0, 1},
    {"tf32", FLAG, offsetof(od_options, tf32), 0, 1},
    {"threads", COUNT, offsetof(od_options, threads), 1, 64},
    {"streams", COUNT, offsetof(od_options, streams), 1, 4},
    {"captures", COUNT, offsetof(od_options, captures), 1, 1024},
    {"order", SEED, offsetof(od_options, order), 0, INT64_MAX},
};
enum { N_OPTION = sizeof options_table / sizeof options_table[0] };

od_options od_options_default(void) {
    return (od_options){.graph = true,
                        .cache = OD_CACHE_FIXED,
                        .fused = false,
                        .autotune = false,
                        .tf32 = false,
                        .threads = 1,
                        .streams = 2,
                        .captures = 8,
                        .order = 1,
                        .hidden = false};
}

od_options od_options_plain(const od_options *options) {
    od_options plain = *options;
    plain.graph = plain.autotune = plain.fused = false;
    return plain;
}

const char *od_cache_name(enum od_cache cache) {
    static const char *const names[] = {"off", "dynamic", "fixed"};
    assert(cache <= OD_CACHE_FIXED);
    return names[cache];
}

const char *od_options_name(size_t i) {
    return i < N_OPTION ? options_table[i].name : NULL;
}

char *od_options_value(const od_options *options, size_t i, char *text, size_t size) {
    assert(i < N_OPTION);
    const char *at = (const char *)options + options_table[i].at;
    switch (options_table[i].kind) {
    case FLAG: snprintf(text, size, "%s", *(const bool *)at ? "on" : "off"); break;
    case CACHE: snprintf(text, size, "%s", od_cache_name(*(const enum od_cache *)(const void *)at)); break;
    case COUNT: snprintf(text, size, "%u", *(const unsigned *)(const void *)at); break;
    case SEED: snprintf(text, size, "%" PRIu64, *(const uint64_t *)(const void *)at); break;
    }
    return text;
}

/* Digits alone: strtoull would take blanks, signs and, with a minus, wrap. */
static bool parse_number(uint64_t *out, const char *text, uint64_t lo, uint64_t hi) {
    uint64_t n = 0;
    if (!text[0]) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(n, (uint64_t)10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
            return false;
    }
    *out = n;
    return n >= lo && n <= hi;
}

static enum od_status set_value(od_options *options, const option *o, const char *value, od_error *e) {
    char *at = (char *)options + o->at;
    uint64_t n;
    switch (o->kind) {
    case FLAG:
        if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
            return od_fail(e, OD_BAD_INPUT, "option %s: '%s' is none of on, off", o->name, value);
        *(bool *)at = strcmp(value, "on") == 0;
        return OD_OK;
    case CACHE:
        for (enum od_cache c = OD_CACHE_OFF; c <= OD_CACHE_FIXED; c++)
            if (strcmp(value, od_cache_name(c)) == 0) {
                *(enum od_cache *)(void *)at = c;
                return OD_OK;
            }
        return od_fail(e, OD_BAD_INPUT, "option %s: '%s' is none of off, dynamic, fixed", o->name, value);
    case COUNT:
    case SEED:
        if (!parse_number(&n, value, o->lo, o->hi))
            return od_fail(e, OD_BAD_INPUT, "option %s: '%s' is no whole number from %" PRIu64 " to %" PRIu64, o->name,
                           value, o->lo, o->hi);
        if (o->kind == COUNT)
            *(unsigned *)(void *)at = (unsigned)n;
        else
            *(uint64_t *)(void *)at = n;
        return OD_OK;
    }
    return OD_OK;
}

enum od_status od_options_set(od_options *options, const char *assignment, od_error *e) {
    const char *equals = strchr(assignment, '=');
    size_t length = equals ? (size_t)(equals - assignment) : strlen(assignment);
    for (size_t i = 0; i < N_OPTION; i++) {
        const option *o = &options_table[i];
        if (strlen(o->name) != length || memcmp(o->name, assignment, length) != 0) continue;
        if (!equals) return od_fail(e, OD_BAD_INPUT, "option %s: no value, write %s=VALUE", o->name, o->name);
        return set_value(options, o, equals + 1, e);
    }
    char list[128] = "";
    for (size_t i = 0, used = 0; i < N_OPTION && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", options_table[i].name);
    return od_fail(e, OD_BAD_INPUT, "option '%.*s' is none of %s", length > 64 ? 64 : (int)length, assignment, list);
}
