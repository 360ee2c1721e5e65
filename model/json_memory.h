/* Did Jansson find memory for all that was asked of it? A member or an element for which there is none is left out, and
 * the call that says so is one of hundreds that nobody looks at: what is written then lacks a part, what is read seems
 * badly written. So Jansson's allocations are watched, thread by thread, and whoever makes or reads a tree asks once.
 */
#ifndef OD_MODEL_JSON_MEMORY_H
#define OD_MODEL_JSON_MEMORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "model/status.h"

/* From here on, in this thread; what failed before is forgotten. */
void od_json_watch(void);

/* Has an allocation of Jansson's failed in this thread since od_json_watch, or since this was asked last? */
bool od_json_short(void);

/* The tree of a JSON text without duplicate keys, the caller's; watched from here on. OD_NO_MEMORY, or OD_BAD_INPUT
 * with line and column of what is no JSON, and *out is NULL; `what` begins the message. */
enum od_status od_json_load(json_t **out, const char *text, size_t size, const char *what, od_error *e);

#endif
