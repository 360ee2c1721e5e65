/* Rotary and xPos tables. Float32 where the official code rounds to float32 (frequencies, xPos bases), double after. */
#include "model/rope.h"

#include <assert.h>
#include <math.h>

#include "faults/fault.h"

float od_rope_frequency(size_t i, size_t d_head) {
    float exponent = (float)(2 * i) / (float)d_head;
    float power = (float)pow(10000.0, (double)exponent);
    return 1.0f / power;
}

/* s_i of xPos: 0.4d and 1.4d are double products rounded once (Python's), the rest is float32 (torch's). */
static float xpos_base(size_t i, size_t d_head) {
    float shift = (float)(0.4 * (double)d_head), span = (float)(1.4 * (double)d_head);
    return ((float)(2 * i) + shift) / span;
}

enum od_status od_rope_create(od_rope *rope, size_t d_head, size_t n_position, od_heap *heap, od_error *e) {
    assert(d_head % 2 == 0 && d_head > 0 && n_position > 0);
    size_t half = d_head / 2, n_xpos;
    *rope = (od_rope){.n_position = n_position, .half = half};
    if (!od_size_mul(&n_xpos, n_position, 2))
        return od_fail(e, OD_NO_MEMORY, "rotary tables for %zu positions overflow a size", n_position);
    n_xpos--;
    rope->cosine = od_heap_alloc(heap, n_position, half * sizeof(double), "rotary cosines", e);
    if (rope->cosine) rope->sine = od_heap_alloc(heap, n_position, half * sizeof(double), "rotary sines", e);
    if (rope->sine) rope->xpos = od_heap_alloc(heap, n_xpos, half * sizeof(double), "xPos scales", e);
    if (!rope->xpos) {
        od_rope_destroy(rope, heap);
        return OD_NO_MEMORY;
    }
    for (size_t i = 0; i < half; i++) {
        double theta = od_rope_frequency(i, d_head), base = xpos_base(i, d_head);
        for (size_t t = 0; t < n_position; t++) {
            double angle = (double)t * theta;
            rope->cosine[t * half + i] = cos(angle);
            rope->sine[t * half + i] = sin(angle);
        }
        for (size_t r = 0; r < n_xpos; r++)
            rope->xpos[r * half + i] =
                pow(OD_FAULT_ON(XPOS_INVERSE) ? 1 / base : base, ((double)r - (double)(n_position - 1)) / 512);
    }
    return OD_OK;
}

void od_rope_destroy(od_rope *rope, od_heap *heap) {
    od_heap_free(heap, rope->cosine);
    od_heap_free(heap, rope->sine);
    od_heap_free(heap, rope->xpos);
    *rope = (od_rope){0};
}

size_t od_rope_center(enum od_xpos_center xpos, size_t t_max) {
    return xpos == OD_XPOS_CALL ? t_max / 2 : 0;
}
