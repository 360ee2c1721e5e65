/* A Markdown report from result files: what was run and judged, and no figure that a line does not hold. */
#ifndef OD_ORACLES_REPORT_H
#define OD_ORACLES_REPORT_H

#include "model/status.h"

/* Reads n files of JSON Lines (result.schema.json) and makes the report's text, malloc'd; the caller frees. Its first
 * line carries the overall verdict. Where every case lies in corpus/validation and its file's name begins with the
 * number of one of the eleven tests ("07-speed.json", "10a-varying.json"), it is the validation report: the tests by
 * name, and a test without a case is NOT RUN. A file that cannot be read, has no header or no case: OD_BAD_INPUT with
 * path and line. A line of a type that this version does not know is refused, not skipped.
 */
enum od_status od_report_markdown(char **text, const char *const *paths, size_t n, od_error *e);

#endif
