/* libFuzzer's own mutations for fuzz_model, of one part of the input at a time: config.json, the header or the data,
 * with the lengths that stand before them put right; else nearly every byte that is put in would end at a wrong length.
 * One step in eight is of all bytes, lengths too. */
#include <string.h>

#include "fuzz/target.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* libFuzzer's */

enum { ROOM = 1 << 16, BEFORE = 4, HEADER = 8 };

/* The little-endian number of n bytes at p, at most `most`. */
static size_t length(const uint8_t *p, int n, size_t most) {
    uint64_t x = 0;
    while (n-- > 0) x = x << 8 | p[n];
    return x < most ? (size_t)x : most;
}

static void put(uint8_t *p, int n, uint64_t x) {
    for (int i = 0; i < n; i++) p[i] = (uint8_t)(x >> (8 * i));
}

/* One mutation of part k. */
static size_t mutate(uint8_t *data, size_t size, size_t max_size, unsigned k) {
    static uint8_t part[ROOM];
    size_t n[3]; /* of config.json, header, data */
    n[0] = length(data, BEFORE, size - BEFORE - HEADER);
    n[1] = length(data + BEFORE + n[0], HEADER, size - BEFORE - HEADER - n[0]);
    n[2] = size - BEFORE - HEADER - n[0] - n[1];
    const size_t begin[3] = {BEFORE, BEFORE + n[0] + HEADER, BEFORE + n[0] + HEADER + n[1]};
    size_t room = max_size - size + n[k], behind = begin[k] + n[k];
    if (room == 0) return size;
    memcpy(part, data + begin[k], n[k]);
    size_t now = LLVMFuzzerMutate(part, n[k], room);
    memmove(data + begin[k] + now, data + behind, size - behind);
    memcpy(data + begin[k], part, now);
    size = size - n[k] + now;
    n[k] = now;
    put(data, BEFORE, n[0]);
    put(data + BEFORE + n[0], HEADER, n[1]);
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    if (size < BEFORE + HEADER || max_size > ROOM || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
    for (unsigned i = 0; i <= seed / 8 % 3; i++) size = mutate(data, size, max_size, (seed >> (8 + 4 * i)) % 3);
    if (seed % 64 == 1) { /* a header to the last byte, or one further: the bound itself is seldom hit by chance */
        size_t n = length(data, BEFORE, size - BEFORE - HEADER);
        put(data + BEFORE + n, HEADER, size - BEFORE - HEADER - n + (seed >> 20) % 2);
    }
    return size;
}
