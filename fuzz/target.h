/* What a target is made of: libFuzzer's entry points, and how bytes become a case. */
#ifndef OD_FUZZ_TARGET_H
#define OD_FUZZ_TARGET_H

#include "model/case.h"

/* Runs one input; 0, or -1 for an input that libFuzzer should not keep. Aborts on a finding. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Structure-aware steps on the case that the bytes hold (mutator.c). Both return a size <= max_size and write canonical
 * case text; all randomness comes from seed. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2, uint8_t *out,
                                 size_t max_out_size, unsigned seed);

/* Adds defaults of ours to libFuzzer's arguments where the caller gave none. Touches no engine. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* bytes → case: their own text where it parses, else the case generated from their XXH64. base: see od_case_parse. */
void od_fuzz_case(od_case *c, const uint8_t *data, size_t size, const char *base);

/* That base: a name in the folder OD_CORPUS (corpus/forward), from which relative paths in inputs resolve. */
const char *od_fuzz_base(void);

#endif
