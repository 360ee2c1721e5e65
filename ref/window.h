/* What a caller hands in, checked before anything is computed; the same for both precisions. */
#ifndef OD_REF_WINDOW_H
#define OD_REF_WINDOW_H

#include "model/engine.h"

/* Left padding that makes n_step a multiple of patch (model.md, 1). */
size_t od_ref_window_padding(size_t n_step, size_t patch);

/* OD_BAD_INPUT where the window has no step, rows overlap, a real value is not finite, or a patch (counted after left
 * padding) holds unequal ids. `call` begins the message: "prefill". */
enum od_status od_ref_window_check(const od_window *window, size_t batch, size_t variates, size_t patch,
                                   const char *call, od_error *e);

#endif
