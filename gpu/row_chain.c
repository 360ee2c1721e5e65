#include "gpu/row_chain.h"

#include <assert.h>

/* Slots that other kernels read, but no later product: no use in keeping them. */
static bool is_kept(uint32_t slot) {
    return slot == OD_SCRATCH_X || slot == OD_SCRATCH_MLP;
}

/* Where a slot's rows lie in shared memory, if they do. */
static bool find(const od_row_chain_args *c, uint32_t slot, uint32_t *at) {
    for (uint32_t i = c->n_link; i-- > 0;)
        if (c->link[i].keep && c->link[i].y == slot) {
            *at = c->link[i].y_at;
            return true;
        }
    for (uint32_t i = 0; i < c->n_load; i++)
        if (c->load[i].slot == slot) {
            *at = c->load[i].at;
            return true;
        }
    return false;
}

static bool take(od_row_chain_args *c, uint32_t *at, uint32_t floats) {
    *at = c->floats;
    c->floats += floats;
    return c->floats <= OD_CHAIN_FLOATS;
}

/* The slot's rows, loaded if no link of the chain has made them. */
static bool place(od_row_chain_args *c, uint32_t *at, uint32_t slot, uint32_t width) {
    if (find(c, slot, at)) return true;
    if (c->n_load == OD_CHAIN_LOADS || !take(c, at, od_chain_slot_floats(width))) return false;
    c->load[c->n_load++] = (od_chain_load){.slot = slot, .at = *at, .width = width};
    return true;
}

bool od_chain_add(od_row_chain_args *chain, const od_product_args *p) {
    od_row_chain_args c = *chain;
    if (c.n_link == OD_CHAIN_LINKS) return false;
    od_chain_link l = {.w = p->w,
                       .bias = p->bias,
                       .norm = p->norm,
                       .outs = p->outs,
                       .depth = p->depth,
                       .epilogue = (uint8_t)p->epilogue,
                       .y = (uint8_t)p->y,
                       .head = p->rows == OD_ROWS_HEAD,
                       .keep = is_kept(p->y)};
    assert(p->epilogue != OD_EPILOGUE_RESIDUAL || l.keep);
    if (!place(&c, &l.x_at, p->x, p->depth)) return false;
    if (l.keep && (p->epilogue == OD_EPILOGUE_RESIDUAL
                       ? !place(&c, &l.y_at, p->y, p->outs)
                       : !find(&c, p->y, &l.y_at) && !take(&c, &l.y_at, od_chain_slot_floats(p->outs))))
        return false;
    if (!take(&c, &l.w_at, od_chain_link_floats(&l))) return false;
    c.link[c.n_link++] = l;
    *chain = c;
    return true;
}
