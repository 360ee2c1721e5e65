#include "oracles/witness.h"

#include <assert.h>
#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define OD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OD_ASAN 1
#endif
#endif

const char *od_witness_name(enum od_witness w) {
    static const char *const names[OD_WITNESSES] = {"malloc", "RssAnon", "the device's driver"};
    return names[w];
}

size_t od_witness_malloc(void) {
#if defined(OD_ASAN) || !defined(__GLIBC__)
    return 0;
#else
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#endif
}

/* The second number of statm less the third, in pages. */
size_t od_witness_rss(void) {
#ifdef OD_ASAN
    return 0;
#else
    char text[128];
    const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t n = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (n <= 0) return 0;
    text[n] = '\0';
    char *at = text;
    strtoull(at, &at, 10); /* the address space */
    const unsigned long long resident = strtoull(at, &at, 10), shared = strtoull(at, &at, 10);
    return resident > shared ? (size_t)(resident - shared) * (size_t)sysconf(_SC_PAGESIZE) : 0;
#endif
}

enum { PAIRS = OD_WITNESS_REPEAT * (OD_WITNESS_REPEAT - 1) / 2 };

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

od_slope od_slope_fit(const size_t *y, size_t n, double z) {
    double slope[PAIRS];
    size_t k = 0;
    assert(n <= OD_WITNESS_REPEAT);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) slope[k++] = ((double)y[j] - (double)y[i]) / (double)(j - i);
    if (k == 0) return (od_slope){.low = -(double)INFINITY};
    qsort(slope, k, sizeof *slope, by_size);
    const double m = (double)n;
    const double rank = ((double)k - z * sqrt(m * (m - 1) * (2 * m + 5) / 18)) / 2; /* counted from 1 */
    return (od_slope){.value = (slope[(k - 1) / 2] + slope[k / 2]) / 2,
                      .low = rank >= 1 ? slope[(size_t)rank - 1] : -(double)INFINITY};
}

bool od_witnessed_grew(const od_witnessed *w, size_t i, double bytes, double pages) {
    for (int k = 0; k < OD_WITNESSES; k++) {
        const double more = (double)w->bytes[k][i] - (double)w->bytes[k][i - 1];
        if (more >= (k == OD_WITNESS_MALLOC ? bytes : pages)) return true;
    }
    return false;
}
