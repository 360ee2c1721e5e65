/* OpenBLAS' own memory, taken where a want of it can be told. */
#ifndef OD_REF_BLAS_H
#define OD_REF_BLAS_H

#include "model/status.h"

/* OpenBLAS takes a buffer a thread with a process' first product and keeps it. Where there is none to be had it asks
 * again and again, without an end (0.3.21, driver/others/memory.c: the loop around map_address), and nothing is said.
 * So the first product of so many threads is made here, behind a look whether there is so much: OD_NO_MEMORY. Leaves
 * OpenBLAS with that number of threads where it had to do something; does nothing from then on. */
enum od_status od_ref_blas_ready(unsigned threads, od_error *e);

#endif
