/* bisect: what its two files share. */
#ifndef OD_ORACLES_CLI_BISECT_H
#define OD_ORACLES_CLI_BISECT_H

#include "oracles/bisect.h"
#include "oracles/cli/cli.h"

/* Bit i: switch i (od_options_name) differs. */
unsigned od_bisect_differing(const od_options *a, const od_options *b);

/* Writes JSON Lines (oracles/bisect.schema.json): a header, a line a setting, the answer. OD_IO, OD_NO_MEMORY. */
enum od_status od_bisect_write(const char *path, const od_bisect *b, const od_args *args, const od_judge *judge,
                               uint64_t hash, double seconds, int code, od_error *e);

#endif
