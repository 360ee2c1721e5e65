/* new: prints case I of seed S. */
#include <stdlib.h>

#include "oracles/cli/cli.h"

static int run(const od_args *args) {
    od_error e = {0};
    enum od_profile profile = OD_PROFILE_DEFAULT;
    char *text = NULL;
    size_t size = 0;
    static od_case c;
    enum od_status s = OD_OK;
    if (!args->has_seed || !args->has_index || args->n_rest > 0)
        s = od_fail(&e, OD_BAD_INPUT, "new: --seed S --index I are needed, and nothing but --profile P beside them");
    if (s == OD_OK && args->profile) s = od_profile_parse(&profile, args->profile, &e);
    if (s == OD_OK) {
        od_case_generate(&c, args->seed, args->index, profile);
        s = od_case_format(&text, &size, &c, NULL, &e);
    }
    if (s == OD_OK && (fwrite(text, 1, size, stdout) != size || fflush(stdout) != 0))
        s = od_fail(&e, OD_IO, "the case cannot be written to the standard output");
    free(text);
    return s == OD_OK ? OD_EXIT_PASS : od_complain(&e);
}

static const struct argp_option options[] = {{"seed", OD_KEY_SEED, "S", 0, "Seed, 0 to 2^63-1", 0},
                                             {"index", OD_KEY_INDEX, "I", 0, "Number of the case", 0},
                                             {"profile", OD_KEY_PROFILE, "NAME", 0, OD_PROFILES_ABOUT, 0},
                                             {0}};

const od_command od_cmd_new = {
    .name = "new", .usage = "", .about = "Print case I of seed S", .options = options, .run = run};
