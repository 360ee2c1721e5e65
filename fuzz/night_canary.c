/* The canary: the same search by the same means on a build with a planted fault. A night that does not find it, and
 * judge it again, cannot say that there is nothing to be found. */
#include <string.h>

#include "fuzz/night.h"

static const double long_enough = 120; /* seconds of a night that has time for a second canary, at its half */

/* What each fault must be found by; one that is not here: by any oracle but engine, since a process that merely cannot
 * run is no canary. */
static const struct {
    const char *fault, *oracle;
} expected[] = {{"graph-frozen-argument", "accuracy"},
                {"kernel-tail", "accuracy"},
                {"causal-mask", "accuracy"},
                {"cache-position", "accuracy"},
                {"scaler-bessel", "accuracy"},
                {"softmax-tile", "accuracy"},
                {"group-mask", "accuracy"},
                {"feedback-row", "accuracy"},
                {"graph-shape", "accuracy"}};

bool od_night_canary_expects(const char *fault, const char *signature) {
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        size_t length = strlen(expected[i].oracle);
        if (strcmp(expected[i].fault, fault) == 0)
            return strncmp(signature, expected[i].oracle, length) == 0 && signature[length] == '/';
    }
    return signature[0] && strncmp(signature, "engine/", 7) != 0;
}

bool od_night_canary_found(const od_night_totals *t, const char *worker, unsigned *asked, unsigned *found) {
    *asked = *found = 0;
    for (size_t i = 0; i < json_array_size(t->canaries); i++) {
        const json_t *one = json_array_get(t->canaries, i);
        if (worker && strcmp(od_night_text(one, "worker"), worker) != 0) continue;
        ++*asked;
        *found += json_is_true(json_object_get(one, "found"));
    }
    return *asked > 0 && *found == *asked;
}

bool od_night_canary_due(const od_night *n, const od_night_slot *s) {
    if (strcmp(n->o.canary, "off") == 0 || s->canary_raw) return false;
    if (s->canaries == 0) return true;
    return s->canaries == 1 && !n->ending && n->o.seconds >= long_enough && od_night_spent(n) > 0.5 * n->fuzz_end;
}

void od_night_canary_tell(od_night *n, od_night_slot *s, bool found, const char *words) {
    od_night_say(n, "worker %s: canary %s %s: %s", s->name, n->o.canary, found ? "found" : "NOT FOUND", words);
    od_night_event(
        n, "canary",
        json_pack("{s:s, s:s, s:b, s:s}", "worker", s->name, "fault", n->o.canary, "found", found, "said", words),
        true);
}
