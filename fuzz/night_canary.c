/* The canary: the same search by the same means on a build with a planted fault. A night that does not find it, and
 * judge it again, cannot say that there is nothing to be found. */
#include <string.h>

#include "fuzz/night.h"

static const double long_enough = 120; /* seconds of a night that has time for a second canary, at its half */

/* Faults that make wrong numbers. They must be found by what compares numbers: the reference's with the fast path's,
 * or, since the lane `random` asks a relation of each case, the fast path's with its own under another switch or
 * schedule; what else such a run may stumble over is no sign that comparing works. Another fault: by any oracle but
 * engine, since a process that merely cannot run is no canary. */
static const char *const wrong_numbers[] = {
    "graph-frozen-argument", "kernel-tail", "causal-mask",  "cache-position", "scaler-bessel",
    "softmax-tile",          "group-mask",  "feedback-row", "graph-shape"};

static bool is_of(const char *signature, const char *oracle) {
    const size_t length = strlen(oracle);
    return strncmp(signature, oracle, length) == 0 && signature[length] == '/';
}

bool od_night_canary_expects(const char *fault, const char *signature) {
    for (size_t i = 0; i < sizeof wrong_numbers / sizeof *wrong_numbers; i++)
        if (strcmp(wrong_numbers[i], fault) == 0)
            return is_of(signature, "accuracy") || is_of(signature, "consistency");
    return signature[0] && !is_of(signature, "engine");
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
