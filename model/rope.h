/* Tables of rotary position embedding and xPos, made once in double from Toto's float32 frequencies (model.md, 6).
 *
 *   angle  t·θ_i, θ_i = float32(1)/float32(10000^(float32(2i)/float32(d)))
 *   xPos   s_i^(m/512), s_i = (2i + 0.4d)/(1.4d) in float32 arithmetic, m = t - centre
 *
 * Feature j of a head uses rotation pair j/2 but xPos scale j mod (d/2): the official code's peculiarity, kept. */
#ifndef OD_MODEL_ROPE_H
#define OD_MODEL_ROPE_H

#include "model/config.h"
#include "model/heap.h"

typedef struct od_rope {
    size_t n_position; /* positions 0 … n_position-1 */
    size_t half;       /* d/2 */
    double *cosine;    /* [n_position, half] */
    double *sine;      /* [n_position, half] */
    double *xpos;      /* [2·n_position-1, half]; row m + n_position-1 holds s^(m/512), m = -(n_position-1) … */
} od_rope;

/* Tables for head dim d (even) and n_position >= 1 positions, from `heap`. */
enum od_status od_rope_create(od_rope *rope, size_t d_head, size_t n_position, od_heap *heap, od_error *e);
void od_rope_destroy(od_rope *rope, od_heap *heap);

/* Centre of a call whose largest position is t_max: floor(t_max/2) or 0. A query at position t uses row
 * (t - centre), a key its negative. */
size_t od_rope_center(enum od_xpos_center xpos, size_t t_max);

/* θ_i as the float32 that it is. */
float od_rope_frequency(size_t i, size_t d_head);

#endif
