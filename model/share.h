/* Work in parts that threads share. */
#ifndef OD_MODEL_SHARE_H
#define OD_MODEL_SHARE_H

#include <stddef.h>

/* Calls part(arg, i) once for each i < n, on the calling thread and up to n_thread - 1 others (64 at most; fewer where
 * no more are to be had). Which thread takes which part is chance: parts must not depend on each other. Returns when
 * all are done. */
void od_share(void (*part)(void *arg, size_t i), void *arg, size_t n, unsigned n_thread);

#endif
