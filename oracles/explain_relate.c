/* The first tensor in which a relation's second play differs from the first one (explain.h): the relation is held once
 * more, with hidden states. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/explain.h"

/* The first run of those that the relation needs that did not work. */
static const od_attempt *failed_run(const od_evidence *ev, const od_related *related) {
    const od_attempt *const run[] = {&ev->ref_run, &ev->fast_run, &related->run};
    for (size_t i = 0; i < sizeof run / sizeof *run; i++)
        if (run[i]->status != OD_OK) return run[i];
    return NULL;
}

static void fill(od_rerun_parting *r, const od_script *script, const od_related *related) {
    *r = (od_rerun_parting){.found = true,
                            .again = true,
                            .place = od_call_place_of(script, &related->first),
                            .stage = od_stage_of(related->name, script->model->config.n_layer),
                            .row = (size_t)related->first_row,
                            .index = related->index,
                            .was = related->was,
                            .is = related->is};
    memcpy(r->name, related->name, sizeof r->name);
}

static void tell_why(od_rerun_parting *r, const od_related *related) {
    if (related->broken)
        snprintf(r->why, sizeof r->why, "a tensor is missing, or of another shape");
    else if (related->outside[0])
        snprintf(r->why, sizeof r->why, "not played: %.80s", related->outside);
    else
        snprintf(r->why, sizeof r->why, related->compared > 0 ? "it holds" : "nothing was compared");
}

enum od_status od_explain_relation(od_rerun_parting *r, const od_script *script, const od_setup *setup,
                                   unsigned relation, bool hidden, od_error *e) {
    *r = (od_rerun_parting){0};
    od_evidence *ev = calloc(1, sizeof *ev);
    od_case *c = malloc(sizeof *c);
    if (!ev || !c) {
        free(ev);
        free(c);
        return od_fail(e, OD_NO_MEMORY, "no memory to hold a relation again");
    }
    *c = *script->c;
    c->options.hidden = hidden; /* also of the second play's, which is a copy turned another way */
    od_script again = *script;
    again.c = c;
    const od_setup setting = {
        .ref = setup->ref, .fast = setup->fast, .isolated = setup->isolated, .relations = 1u << relation};
    od_evidence_gather(ev, &again, &setting, OD_NEED_RELATIONS);
    const od_related *related = &ev->related[relation];
    const od_attempt *failed = failed_run(ev, related);
    enum od_status s = OD_OK;
    if (related->broken && !related->misshapen) { /* whatever became of the play behind it */
        fill(r, script, related);
    } else if (failed) {
        s = failed->status;
        *e = failed->error;
    } else {
        tell_why(r, related);
    }
    od_evidence_free(ev);
    free(ev);
    free(c);
    return s;
}
