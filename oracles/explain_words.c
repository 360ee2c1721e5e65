/* What the walk saw, in words (explain.h). Nothing is said that hidden states and float64 do not show. */
#include <math.h>
#include <string.h>

#include "oracles/explain.h"
#include "oracles/tolerance.h"

static const char *kind_of(const od_config *c, size_t layer) {
    return od_config_is_space(c, layer) ? "space" : "time";
}

char *od_stage_text(char *text, size_t size, const od_config *config, size_t stage) {
    if (stage == OD_STAGE_SCALER)
        snprintf(text, size, "scaler");
    else if (stage < od_stage_head(config->n_layer))
        snprintf(text, size, "layer %zu %s", stage - OD_STAGE_LAYER, kind_of(config, stage - OD_STAGE_LAYER));
    else
        snprintf(text, size, "%s", stage == od_stage_head(config->n_layer) ? "heads" : "mean");
    return text;
}

char *od_call_place_text(char *text, size_t size, const od_call_place *place) {
    char step[40] = "prefill";
    if (place->step > 0) snprintf(step, sizeof step, "decode step %u", place->step);
    snprintf(text, size, "%s of session %u (op %u call %u)", step, place->at.session, place->at.op, place->at.call);
    return text;
}

/* ---- coordinates ------------------------------------------------------------------------------------------------- */

/* An element's place; what a tensor does not have is SIZE_MAX. */
typedef struct coordinates {
    size_t batch, variate, patch, step, feature, component;
} coordinates;

static bool find_coordinates(coordinates *out, const od_config *c, enum od_tensor_class cls, const od_tensor *t,
                             size_t index) {
    const size_t none = SIZE_MAX;
    *out = (coordinates){none, none, none, none, none, none};
    if (t->rank < 3 || t->rank > 4) return false;
    size_t at[4] = {0};
    for (size_t k = t->rank; k-- > 0; index /= t->shape[k]) {
        if (t->shape[k] == 0) return false;
        at[k] = index % t->shape[k];
    }
    out->batch = at[0];
    out->variate = at[1];
    if (cls == OD_TENSOR_HIDDEN) {
        out->patch = at[2];
        out->feature = at[3];
    } else if (cls == OD_TENSOR_MEAN) {
        out->step = at[2]; /* of the patch behind the call's */
    } else if (cls != OD_TENSOR_SCALER || c->scaler != OD_SCALER_STD_MEAN) {
        out->patch = at[2] / c->patch;
        out->step = at[2] % c->patch;
        if (t->rank == 4) out->component = at[3];
    }
    return true;
}

bool od_explain_place(size_t at[3], const od_config *config, enum od_tensor_class cls, const od_tensor *view,
                      size_t index) {
    coordinates c;
    if (!find_coordinates(&c, config, cls, view, index)) return false;
    at[0] = c.batch;
    at[1] = c.variate;
    at[2] = c.patch;
    return true;
}

static void append(char *text, size_t size, const char *name, size_t value) {
    const size_t at = strlen(text);
    if (value != SIZE_MAX) snprintf(text + at, size - at, "%s%s %zu", at ? ", " : "", name, value);
}

char *od_explain_coordinates(char *text, size_t size, const od_explanation *x, size_t index) {
    const od_parting *p = &x->first;
    coordinates c;
    text[0] = '\0';
    if (!find_coordinates(&c, &x->script->model->config, p->cls, &p->view, index)) {
        append(text, size, "element", index);
        return text;
    }
    if (p->cls == OD_TENSOR_MEAN) c.patch = p->place.n_patch;
    append(text, size, "batch", c.batch);
    append(text, size, "variate", c.variate);
    append(text, size, "patch", c.patch == SIZE_MAX ? c.patch : c.patch + p->place.first_patch);
    append(text, size, "step", c.step);
    append(text, size, "feature", c.feature);
    append(text, size, "component", c.component);
    return text;
}

/* ---- the sentence ------------------------------------------------------------------------------------------------ */

static void where(char *text, size_t size, const od_explanation *x) {
    const od_config *c = &x->script->model->config;
    const size_t stage = x->first.stage, layer = stage - OD_STAGE_LAYER;
    if (stage == OD_STAGE_SCALER)
        snprintf(text, size, "the scaler, before layer 0");
    else if (stage == OD_STAGE_LAYER)
        snprintf(text, size, "layer 0 (%s-wise) or the patch embedding before it", kind_of(c, 0));
    else if (stage < od_stage_head(c->n_layer))
        snprintf(text, size, "layer %zu (%s-wise)", layer, kind_of(c, layer));
    else if (stage == od_stage_mean(c->n_layer))
        snprintf(text, size, "the mean forecast, whose distribution agrees");
    else if (x->n_hidden > 0)
        snprintf(text, size, "the heads behind layer %zu", c->n_layer - 1);
    else
        snprintf(text, size, "somewhere between the scaler and the outputs (no hidden states to see)");
}

static void when(char *text, size_t size, const od_explanation *x) {
    const od_call_place *p = &x->first.place;
    char session[40] = "";
    if (x->script->n_session > 1) snprintf(session, sizeof session, " of session %u", p->at.session);
    if (p->step == 0)
        snprintf(text, size, "first in the prefill%s", session);
    else
        snprintf(text, size, "first at decode step %u%s", p->step, session);
}

/* "3.1e-03 from float64 on average, 2.1e-01 at most", of one engine. */
static void distance(char *text, size_t size, const od_comparison *c) {
    if (c->mismatch > 0)
        snprintf(text, size, "NaN or Inf in %zu of %zu values, where float64 has none like it", c->mismatch, c->n);
    else
        snprintf(text, size, "%.1e from float64 on average, %.1e at most", c->mae, c->max_abs);
}

/* "2.1e-08 of float64 (at most 1.3e-07)" */
static void nearness(char *text, size_t size, const od_comparison *c) {
    if (isfinite(c->mae))
        snprintf(text, size, "%.1e of float64 (at most %.1e)", c->mae, c->max_abs);
    else
        snprintf(text, size, "no number of float64");
}

static void who(char *text, size_t size, const od_explanation *x) {
    const od_parting *p = &x->first;
    char ref[120], fast[120], near_ref[80], near_fast[80];
    distance(ref, sizeof ref, &p->ref);
    distance(fast, sizeof fast, &p->fast);
    nearness(near_ref, sizeof near_ref, &p->ref);
    nearness(near_fast, sizeof near_fast, &p->fast);
    const char *wrong = x->n_breach > 0 ? "is wrong" : "is farther off than rounding takes it";
    if (p->structure[0])
        snprintf(text, size, "%.320s", p->structure);
    else if (!p->has_truth)
        snprintf(text, size, "the engines are %.1e apart on average, and the arbiter does not give it", p->pair.mae);
    else if (p->blame == OD_BLAME_FAST)
        snprintf(text, size, "the fast path %s (%s), the reference is within %s", wrong, fast, near_ref);
    else if (p->blame == OD_BLAME_REF)
        snprintf(text, size, "the reference %s (%s), the fast path is within %s", wrong, ref, near_fast);
    else if (p->blame == OD_BLAME_BOTH)
        snprintf(text, size, "both are wrong (the fast path: %s; the reference: %s)", fast, ref);
    else if (isnan(p->pair.mae))
        snprintf(text, size, "NaN stands at the same places in all three, so that nothing shows that they agree");
    else
        snprintf(text, size, "the contract is broken, but %s (the fast path within %s, the reference within %s)",
                 p->pair.n < od_bounds.near_values ? "so few values blame nobody"
                                                   : "neither is to blame: both are as far from float64",
                 near_fast, near_ref);
}

static void nothing_parts(char *text, size_t size, const od_explanation *x) {
    od_nearness all = {0};
    for (int i = 0; i < OD_TENSORS; i++) {
        const od_nearness *near = &x->near[i];
        if (!od_nearness_holds(near)) {
            snprintf(text, size,
                     "no tensor parts, but the %zu of class %s together are %.2f times as far from float64 as "
                     "the reference's, more than %g; see the heat map for where it begins",
                     near->n, od_tensor_class_name((enum od_tensor_class)i), od_nearness_mean(near),
                     od_bounds.near_mean);
            return;
        }
        od_nearness_merge(&all, near);
    }
    snprintf(
        text, size,
        "the engines do not part: %zu tensors%s of %zu calls differ by no more than rounding may, the outputs by at "
        "most %.1f %% of the contract; by geometric mean the fast path is %.2f times as far from "
        "float64 as the reference",
        x->n_tensor, x->n_hidden ? ", hidden states among them," : "", x->heat.n_call, 100 * x->share,
        od_nearness_mean(&all));
}

char *od_explain_sentence(char *text, size_t size, const od_explanation *x) {
    char place[160], time[80], cause[400];
    if (!x->first.found) {
        nothing_parts(text, size, x);
        return text;
    }
    where(place, sizeof place, x);
    when(time, sizeof time, x);
    who(cause, sizeof cause, x);
    snprintf(text, size, "%s, %s: %s", place, time, cause);
    const size_t at = strlen(text);
    if (x->n_breach == 0)
        snprintf(text + at, size - at, "; every output still keeps the contract (at most %.1f %% of it)",
                 100 * x->share);
    return text;
}

char *od_explain_limits(char *text, size_t size, const od_explanation *x) {
    const od_config *c = &x->script->model->config;
    const od_parting *p = &x->first;
    text[0] = '\0';
    if (!p->found || p->stage == OD_STAGE_SCALER || p->stage == od_stage_mean(c->n_layer)) return text;
    if (p->stage == od_stage_head(c->n_layer)) {
        if (x->n_hidden > 0 && p->has_truth && p->blame == OD_BLAME_NONE)
            snprintf(text, size, "no layer stands out: what rounding costs grows from stage to stage");
        else if (x->n_hidden > 0)
            snprintf(text, size, "all hidden states agree; unembedding and heads are not told apart");
        else
            snprintf(text, size, "without hidden states no layer can be named");
        return text;
    }
    const size_t layer = p->stage - OD_STAGE_LAYER;
    const bool cached = p->place.step > 0 && x->script->c->options.cache != OD_CACHE_OFF;
    snprintf(text, size, "hidden states are what layers give: attention and MLP of a layer are not told apart%s",
             cached && !od_config_is_space(c, layer)
                 ? ", nor what it computes from the keys and values that it finds cached"
                 : "");
    return text;
}
