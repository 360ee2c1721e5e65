#include "oracles/nearness.h"

#include <math.h>
#include <string.h>

#include "oracles/tolerance.h"

static double at_least(double distance) {
    return fmax(distance, od_bounds.near_floor);
}

void od_nearness_add(od_nearness *near, double ref, double fast, size_t values, const char *name,
                     const od_call_at *at) {
    od_nearness one = {.n = 1, .values = values, .ref = ref, .fast = fast, .at = *at};
    if (isfinite(ref) && isfinite(fast)) {
        one.ratio = at_least(fast) / at_least(ref);
        one.log_ratio = log(one.ratio);
        /* A tensor may be far off by the reference's distance, or in itself, but not by both. */
        if (values >= od_bounds.near_values) one.use = fmin(one.ratio / od_bounds.near_each, fast / od_bounds.near_abs);
    } else {
        one.ratio = one.log_ratio = one.use = INFINITY;
    }
    one.n_far = !od_within(one.use, 1);
    strncpy(one.name, name, sizeof one.name - 1);
    od_nearness_merge(near, &one);
}

bool od_nearness_merge(od_nearness *near, const od_nearness *other) {
    if (other->n == 0) return false;
    const bool worse = near->n == 0 || other->use > near->use;
    od_nearness sum = worse ? *other : *near;
    sum.n = near->n + other->n;
    sum.values = near->values + other->values;
    sum.n_far = near->n_far + other->n_far;
    sum.log_ratio = near->log_ratio + other->log_ratio;
    *near = sum;
    return worse;
}

double od_nearness_mean(const od_nearness *near) {
    return near->n ? exp(near->log_ratio / (double)near->n) : NAN;
}

bool od_nearness_is_judged(const od_nearness *near) {
    return near->values >= od_bounds.near_class;
}

bool od_nearness_holds(const od_nearness *near) {
    return near->n_far == 0 && (!od_nearness_is_judged(near) || od_within(od_nearness_mean(near), od_bounds.near_mean));
}
