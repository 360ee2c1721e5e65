/* A safetensors file spelt out by hand: the length in front, an entry of the header. */
#ifndef OD_TESTS_MODEL_SAFETENSORS_BYTES_H
#define OD_TESTS_MODEL_SAFETENSORS_BYTES_H

#include <stdint.h>

static inline void put_length(unsigned char *at, uint64_t n) {
    for (int i = 0; i < 8; i++) at[i] = (unsigned char)(n >> (8 * i));
}

#define ENTRY(name, dtype, shape, begin, end)                                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

#endif
