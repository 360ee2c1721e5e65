/* What the targets of raw bytes share: a claim that must hold, and what a refusal must look like. */
#ifndef OD_FUZZ_BYTES_H
#define OD_FUZZ_BYTES_H

#include <stdbool.h>

#include "fuzz/target.h"
#include "model/status.h"

/* Aborts with `claim` (and `detail`, where it is not NULL) unless it holds, so that the engine keeps the input. */
void od_fuzz_claim(bool holds, const char *claim, const char *detail);

/* A refusal is OD_BAD_INPUT (never OD_NO_MEMORY: an input is small), and its text is one line of UTF-8 without control
 * characters that begins with `what` and a colon, and goes on. */
void od_fuzz_refused(enum od_status status, const od_error *e, const char *what);

/* A copy of data whose end is that of accessible memory, so that a byte read behind it is seen also in libraries that
 * no sanitizer looks into (Jansson). It holds until the next call for the slot, 0 or 1. Beyond 1 MiB: data itself. */
const uint8_t *od_fuzz_guarded(unsigned slot, const uint8_t *data, size_t size);

#endif
