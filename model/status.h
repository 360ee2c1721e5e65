/* Errors as values.
 *
 * Three kinds of trouble, never mixed (CONTRIBUTING.md): a programmer's error is an assert; bad input or a poor
 * environment is an od_status with a message made once, where it arose (what, where, what would be right); a
 * finding of an oracle is data. No library function here exits or prints. */
#ifndef OD_MODEL_STATUS_H
#define OD_MODEL_STATUS_H

#include <stdarg.h>
#include <stddef.h>

enum od_status {
    OD_OK = 0,
    OD_BAD_INPUT,    /* a file, a case, a model or an argument is wrong: exit 2 */
    OD_NO_MEMORY,    /* host or device memory is not to be had: exit 3 */
    OD_NO_DEVICE,    /* the engine's device or library is missing: exit 3 */
    OD_IO,           /* the file system refused: exit 3 */
    OD_DEVICE_FAULT, /* a device call failed, a guard band was overwritten: the engine is not to be used again */
    OD_UNSUPPORTED,  /* the engine cannot do this ("cannot" is not "wrong"): the case is skipped */
    OD_CRASHED,      /* the engine's process died (oracles/worker.h) */
    OD_HUNG          /* the engine's process gave no answer in time and was killed */
};

typedef struct od_error {
    enum od_status status;
    char text[480]; /* one line of UTF-8, no newline at the end */
} od_error;

/* Fills *e (may be NULL) and returns status, so that a failing function reads `return od_fail(e, OD_BAD_INPUT, …)`.
 * Control characters in the formatted text (a tensor's name may hold anything), and bytes that are no UTF-8 (of a path,
 * or of a character that was cut), are replaced by '?'. */
enum od_status od_fail(od_error *e, enum od_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum od_status od_vfail(od_error *e, enum od_status status, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Puts "prefix: " before the text of *e, which keeps its status; returns that status. e is not NULL. */
enum od_status od_error_prefix(od_error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* In place: control characters, and bytes that are no UTF-8, become '?'. A message quotes what a file holds, and may
 * have been cut in the middle of a character. */
void od_text_clean(char *s);

/* "ok", "bad input", … */
/* Bytes of the character at s, 0 where there is none: UTF-8 as RFC 3629 has it (shortest form, no surrogates), less C0
 * and DEL. s ends in a NUL, which is no continuation. */
size_t od_utf8_character(const char *s);

const char *od_status_name(enum od_status status);

/* *out = a * b (or a + b); false where it overflows size_t, *out is then untouched. */
static inline int od_size_mul(size_t *out, size_t a, size_t b) {
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return 0;
    *out = r;
    return 1;
}

static inline int od_size_add(size_t *out, size_t a, size_t b) {
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return 0;
    *out = r;
    return 1;
}

#endif
