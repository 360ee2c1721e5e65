/* The twin, with a constant added to one of its outputs: a fault as small as one likes. */
#ifndef OD_TESTS_ORACLES_SHIFTED_ENGINE_H
#define OD_TESTS_ORACLES_SHIFTED_ENGINE_H

#include "model/engine.h"

typedef struct shifted_knobs {
    const char *tensor; /* its name; NULL: none */
    double by;          /* added to every element */
    bool nan;           /* its first element is NaN instead */
} shifted_knobs;

extern shifted_knobs shifted;
const od_engine_api *shifted_engine(void); /* its name is "twin" */

#endif
