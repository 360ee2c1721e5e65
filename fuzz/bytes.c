#include "fuzz/bytes.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void od_fuzz_claim(bool holds, const char *claim, const char *detail) {
    if (holds) return;
    fprintf(stderr, "FINDING broken claim: %s%s%s\n", claim, detail ? ": " : "", detail ? detail : "");
    abort();
}

void od_fuzz_refused(enum od_status status, const od_error *e, const char *what) {
    size_t n = strlen(what);
    od_fuzz_claim(status == OD_BAD_INPUT && e->status == status, "a refusal is bad input", e->text);
    od_fuzz_claim(strncmp(e->text, what, n) == 0 && strncmp(e->text + n, ": ", 2) == 0 && e->text[n + 2],
                  "a refusal says what it is about", e->text);
    for (const char *c = e->text; *c; c++)
        od_fuzz_claim((unsigned char)*c >= 0x20 && *c != 0x7f, "a refusal is one line, printable", e->text);
    json_t *utf8 = json_string(e->text); /* NULL for what is none */
    od_fuzz_claim(utf8 != NULL, "a refusal is UTF-8", e->text);
    json_decref(utf8);
}

const uint8_t *od_fuzz_guarded(unsigned slot, const uint8_t *data, size_t size) {
    enum { ROOM = 1 << 20 };
    static uint8_t *end[2];
    if (size > ROOM) return data;
    if (!end[slot]) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint8_t *at = mmap(NULL, ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED || mprotect(at + ROOM, page, PROT_NONE) != 0) return data;
        end[slot] = at + ROOM;
    }
    return memcpy(end[slot] - size, data, size);
}

/* No single allocation beyond 64 MiB: inputs have some KiB, and nothing that is accepted or refused may ask for memory
 * out of proportion to them. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    static char limit[] = "-malloc_limit_mb=64";
    static char **all; /* stays reachable: drivers other than libFuzzer keep no pointer to it */
    all = malloc(((size_t)*argc + 2) * sizeof *all);
    if (!all) return 0;
    all[0] = (*argv)[0];
    all[1] = limit; /* first: of two equal flags libFuzzer takes the last */
    for (int i = 1; i <= *argc; i++) all[i + 1] = (*argv)[i];
    *argv = all; /* libFuzzer's until the process ends */
    (*argc)++;
    return 0;
}
