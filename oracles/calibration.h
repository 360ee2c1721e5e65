/* Healthy cases → an envelope: gathers their comparisons and draws the quantiles. Runs nothing. */
#ifndef OD_ORACLES_CALIBRATION_H
#define OD_ORACLES_CALIBRATION_H

#include "oracles/shift.h"

/* The comparisons of one key. */
typedef struct od_calibration_key {
    size_t n, cap;
    double *mae, *max_abs;
} od_calibration_key;

typedef struct od_calibration {
    od_calibration_key key[OD_TENSORS][OD_STEPS][OD_ENVELOPE_SIZES];
    od_shifts shifts;
    od_envelope_domain domain;
    size_t cases;
    size_t wide; /* cases left out: their gain is above the envelope's */
} od_calibration;

/* One more healthy case, whose evidence has measures. A comparison that is no finite number: OD_BAD_INPUT (healthy
 * engines have none). OD_NO_MEMORY. */
enum od_status od_calibration_add(od_calibration *c, const od_evidence *ev, od_error *e);

/* Sorts the comparisons and fills keys, shifts, domain and cases of *out; the rest is left alone. */
void od_calibration_make(od_envelope *out, od_calibration *c);
void od_calibration_free(od_calibration *c); /* a zeroed one is fine */

#endif
