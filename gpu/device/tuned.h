/* What timing once has chosen (options.autotune): a table of keys and values that all engines of a process share. With
 * OD_AUTOTUNE_FILE set it is read from that file first, and kept there: a line an entry, key, blank, value. A choice
 * never changes a result's bits, so a table from elsewhere can only make things slower. Safe between threads. */
#ifndef OD_GPU_DEVICE_TUNED_H
#define OD_GPU_DEVICE_TUNED_H

#include <stdbool.h>
#include <stddef.h>

#include "model/status.h"

enum { OD_TUNED_KEY = 200, OD_TUNED_VALUE = 160, OD_TUNED_DEVICE = 80 }; /* bytes, with the closing 0 */

/* Copies the value of a key; false if there is none. OD_IO or OD_BAD_INPUT (the line's number) if the file is there and
 * cannot be read: every call says so, and none writes the file, until od_tuned_clear. */
enum od_status od_tuned_get(const char *key, char value[OD_TUNED_VALUE], bool *found, od_error *e);

/* Enters a value (keys and values: no blanks, no control characters) and writes the file anew, with what others have
 * put there since: OD_IO if that fails. */
enum od_status od_tuned_put(const char *key, const char *value, od_error *e);

/* Forgets all, so that the next call reads the file again (tests). */
void od_tuned_clear(void);

#endif
