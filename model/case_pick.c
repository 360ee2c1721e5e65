/* Random pieces of cases, for the generator and the mutator. */
#include <string.h>

#include "model/case_internal.h"

uint64_t od_pick_seed(od_rng *rng) {
    return od_rng_next(rng) >> 1;
}

unsigned od_pick(od_rng *rng, unsigned lo, unsigned hi) {
    return (unsigned)od_rng_range(rng, lo, hi);
}

bool od_pick_chance(od_rng *rng, unsigned one_in) {
    return od_rng_range(rng, 1, one_in) == 1;
}

unsigned od_pick_size(od_rng *rng, unsigned lo, unsigned hi) {
    /* tile-1, tile, tile+1 for the tiles 4, 8, 16, 32, 64 of kernels, and the smallest sizes */
    static const unsigned edges[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65};
    unsigned inside[sizeof edges / sizeof edges[0]], n = 0;
    for (unsigned i = 0; i < sizeof edges / sizeof edges[0]; i++)
        if (edges[i] >= lo && edges[i] <= hi) inside[n++] = edges[i];
    if (n && od_pick_chance(rng, 2)) return inside[od_pick(rng, 0, n - 1)];
    return od_pick(rng, lo, hi);
}

void od_pick_config(od_config *m, od_rng *rng) {
    static const unsigned heads_dim[] = {4, 6, 8, 10, 12, 16, 18, 32}, components[] = {1, 2, 3, 5, 8, 24};
    static const double exponents[] = {10, 10, 1, 0.3};
    memset(m, 0, sizeof *m);
    m->patch = od_pick_size(rng, 1, 16);
    m->n_head = od_pick(rng, 1, 4);
    m->d_model = m->n_head * heads_dim[od_pick(rng, 0, 7)];
    m->n_layer = od_pick(rng, 1, 6);
    m->d_mlp = od_pick_size(rng, 1, 65);
    do {
        m->space_every = od_pick(rng, 0, (unsigned)m->n_layer);
    } while (m->space_every && m->n_layer % m->space_every);
    m->space_first = od_pick_chance(rng, 2);
    m->scaler = (enum od_scaler)od_pick(rng, OD_SCALER_STD_MEAN, OD_SCALER_CAUSAL_PATCH_STD_MEAN);
    m->stabilize = m->scaler == OD_SCALER_CAUSAL_PATCH_STD_MEAN && !od_pick_chance(rng, 3);
    m->scale_exponent = m->stabilize ? exponents[od_pick(rng, 0, 3)] : 10;
    m->mixture = !od_pick_chance(rng, 3);
    m->n_component = m->mixture ? components[od_pick(rng, 0, 5)] : 1;
    m->xpos = od_pick_chance(rng, 3) ? OD_XPOS_ORIGIN : OD_XPOS_CALL;
}

void od_pick_groups(od_case *c, od_rng *rng) {
    unsigned highest = od_pick(rng, 1, 3);
    c->n_group = c->variates;
    for (unsigned v = 0; v < c->variates; v++) c->group[v] = (int32_t)od_pick(rng, 0, highest);
}
