/* The report's table of distances from float64: results' `arbiter.classes`, over all cases of all files. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "oracles/nearness.h"
#include "oracles/report_read.h"
#include "oracles/tolerance.h"

typedef struct sums {
    od_nearness near[OD_TENSORS];
    const char *name[OD_TENSORS]; /* of the worst tensor's case */
} sums;

/* null stands for what is no finite number. */
static double finite_or_infinite(const json_t *o, const char *key) {
    const double x = od_json_number(o, key);
    return isnan(x) ? INFINITY : x;
}

static size_t whole(const json_t *o, const char *key) {
    const json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 ? (size_t)n : 0;
}

static void add_class(sums *s, const json_t *one, const char *name) {
    const json_t *at = json_object_get(one, "at");
    int cls = 0;
    while (cls < OD_TENSORS && strcmp(od_json_text(one, "tensor"), od_tensor_class_name(cls)) != 0) cls++;
    if (cls == OD_TENSORS) return;
    od_nearness near = {.n = whole(one, "n"),
                        .n_far = whole(one, "far"),
                        .values = whole(one, "values"),
                        .log_ratio = finite_or_infinite(one, "log_ratio"),
                        .use = finite_or_infinite(one, "use"),
                        .ratio = finite_or_infinite(one, "ratio"),
                        .ref = finite_or_infinite(one, "ref_mae"),
                        .fast = finite_or_infinite(one, "fast_mae"),
                        .at = {.op = (unsigned)whole(at, "op"), .call = (unsigned)whole(at, "call")}};
    snprintf(near.name, sizeof near.name, "%s", od_json_text(at, "name"));
    if (od_nearness_merge(&s->near[cls], &near)) s->name[cls] = name;
}

static sums sum_up(const od_results *r) {
    sums s = {0};
    for (size_t i = 0; i < r->n_case; i++) {
        const json_t *one;
        size_t k;
        json_array_foreach(json_object_get(json_object_get(r->case_line[i], "arbiter"), "classes"), k, one)
            add_class(&s, one, od_json_text(r->case_line[i], "name"));
    }
    return s;
}

bool od_report_is_near(const od_results *r) {
    const sums s = sum_up(r);
    bool near = true;
    for (int i = 0; i < OD_TENSORS; i++) near = near && od_nearness_holds(&s.near[i]);
    return near;
}

void od_report_put_near(FILE *f, const od_results *r) {
    const sums s = sum_up(r);
    bool any = false;
    for (int i = 0; i < OD_TENSORS; i++) {
        const od_nearness *near = &s.near[i];
        if (near->n == 0) continue;
        if (!any)
            fprintf(
                f,
                "## Distance from float64\n\nA tensor's distance is its mean absolute error against ref64, in model "
                "space; a ratio is the fast path's over the reference's. Bounds: the geometric mean of a class %g; "
                "one tensor %g, or %g itself.\n\n| Class | Tensors | Geometric mean | Worst ratio | Reference | "
                "Fast path | Where | |\n|---|---|---|---|---|---|---|---|\n",
                od_bounds.near_mean, od_bounds.near_each, od_bounds.near_abs);
        any = true;
        fprintf(f, "| %s | %zu | %.3f | %.3g | %.2e | %.2e | %s, op %u call %u of ", od_tensor_class_name(i), near->n,
                od_nearness_mean(near), near->ratio, near->ref, near->fast, near->name, near->at.op, near->at.call);
        od_report_put_cell(f, s.name[i]);
        if (!od_nearness_holds(near))
            fprintf(f, " | TOO FAR (%zu) |\n", near->n_far);
        else
            fprintf(f, " | %s |\n", od_nearness_is_judged(near) ? "ok" : "few values");
    }
    if (any) fputc('\n', f);
}
