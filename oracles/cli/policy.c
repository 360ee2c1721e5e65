/* --policy: the envelope of a run, and what it says beside single cases. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/cli/cli.h"
#include "oracles/tolerance.h"

static const char built_in[] = "built in";

enum od_status od_policy_load(od_envelope *out, char *name, size_t size, const od_args *args, const char *pair,
                              const char *ref_math, const char *fast_math, od_error *e) {
    const bool wanted = args->policy && strcmp(args->policy, "envelope") == 0;
    name[0] = '\0';
    if (args->policy && !wanted && strcmp(args->policy, "contract") != 0)
        return od_fail(e, OD_BAD_INPUT, "--policy %.60s: contract or envelope would be right", args->policy);
    if (args->envelope && !wanted) return od_fail(e, OD_BAD_INPUT, "--envelope needs --policy envelope");
    if (!wanted) return OD_OK;
    snprintf(name, size, "%s", args->envelope ? args->envelope : built_in);
    enum od_status s = args->envelope ? od_envelope_read(out, name, e)
                                      : od_envelope_parse(out, od_built_in_envelope.text, od_built_in_envelope.size,
                                                          "the envelope built in", e);
    if (s != OD_OK) return s;
    return od_envelope_fits(out, args->envelope ? name : "the envelope built in", pair, ref_math, fast_math, e);
}

enum { COLUMNS = 7 };

static char *formatted(const char *format, double x) {
    char *text = NULL;
    return asprintf(&text, format, x) < 0 ? NULL : text;
}

static void fill(const char **cell, const od_tally *t, int cls, int step, const od_shift_test *s) {
    cell[0] = strdup(od_tensor_class_name((enum od_tensor_class)cls));
    cell[1] = strdup(od_step_class_name((enum od_step_class)step));
    cell[2] = formatted("%.0f", (double)s->seen.cases);
    cell[3] = formatted("%+.2e", s->seen.mean);
    cell[4] = formatted("%+.2e", t->envelope->shift[cls][step].mean);
    cell[5] = formatted("%.1f", s->z);
    cell[6] = strdup(s->state == OD_SHIFT_ALARM ? "SHIFTED" : "ok");
}

bool od_policy_print(const od_tally *t, bool bad_only) {
    static const char *const columns[COLUMNS] = {"CLASS", "STEP", "CASES", "MEAN SHIFT", "HEALTHY", "Z", ""};
    const char *cells[OD_TENSORS * OD_STEPS * COLUMNS] = {0};
    size_t n = 0, few = 0;
    if (!t->envelope) return true;
    if (t->outside)
        printf("outside of the envelope, held to the contract alone: %llu of %llu cases\n",
               (unsigned long long)t->outside, (unsigned long long)(t->outside + t->enveloped));
    for (int i = 0; i < OD_TENSORS; i++)
        for (int k = 0; k < OD_STEPS; k++) {
            const od_shift_test s = od_shift_judge(&t->shifts.of[i][k], &t->envelope->shift[i][k]);
            few += s.state == OD_SHIFT_NOT_ASKED && s.seen.cases > 0;
            if (s.state == OD_SHIFT_ALARM || (!bad_only && s.state == OD_SHIFT_HOLDS))
                fill(&cells[COLUMNS * n++], t, i, k, &s);
        }
    bool ok = true;
    for (size_t i = 0; i < COLUMNS * n; i++) ok = ok && cells[i];
    if (n) {
        printf("mean of fast - ref, by case: at most %g standard errors or %g from the healthy mean\n",
               od_bounds.shift_z, od_bounds.shift_floor);
        ok = od_grid_print(columns, COLUMNS, 0x3c, cells, n) && ok;
    }
    if (few && !bad_only)
        printf("not checked: a mean shift of %zu classes of tensors: fewer than %zu cases have them, here or in the "
               "envelope\n",
               few, od_bounds.shift_least);
    for (size_t i = 0; i < COLUMNS * n; i++) free((void *)(uintptr_t)cells[i]);
    return ok;
}
