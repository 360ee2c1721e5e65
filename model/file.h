/* Whole files in and out, with messages that say what was wrong. */
#ifndef OD_MODEL_FILE_H
#define OD_MODEL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "model/status.h"

/* Reads a regular file of at most limit bytes. *bytes is malloc'd with one NUL behind the size bytes; the caller frees.
 * Missing file, a folder, a device or too many bytes: OD_BAD_INPUT; a failing read: OD_IO. */
enum od_status od_file_read(char **bytes, size_t *size, const char *path, size_t limit, od_error *e);

/* The first `room` bytes of a regular file, zeros behind its end, and the size of the whole. */
enum od_status od_file_begin(char *bytes, size_t room, size_t *size, const char *path, od_error *e);

/* Writes through path.tmp-<pid> and rename: either the whole new file stands there afterwards or the old state.
 * A missing folder, or something at path that is no regular file: OD_BAD_INPUT; all else that fails: OD_IO. */
enum od_status od_file_write(const char *path, const void *bytes, size_t size, od_error *e);

/* The same for n pieces one after the other. */
typedef struct od_piece {
    const void *bytes;
    size_t size;
} od_piece;

enum od_status od_file_write_pieces(const char *path, const od_piece *pieces, size_t n, od_error *e);

/* fclose; false also where something before it failed, which fclose forgets (a stream of memory that could not grow).
 */
bool od_stream_close(FILE *f);

/* The same for a stream of open_memstream(text, …): on false *text is freed and NULL. glibc's fclose says nothing of a
 * last realloc that failed, and leaves NULL. */
bool od_text_close(FILE *f, char **text);

/* Size and XXH64 of a regular file, read in pieces. */
enum od_status od_file_digest(uint64_t *size, uint64_t *xxh64, const char *path, od_error *e);

/* out = path, or dir(base_file)/path where path is relative; normalises nothing. OD_BAD_INPUT where it does not fit. */
enum od_status od_path_beside(char *out, size_t out_size, const char *base_file, const char *path, od_error *e);

#endif
