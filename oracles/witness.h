/* What the operating system, the allocator and the driver say of memory in use: witnesses beside an engine's own
 * counters, which know nothing of what the engine forgot to count. They see the whole process, or the whole card, and
 * so carry noise: a slope over several identical requests is judged by its lower confidence bound. */
#ifndef OD_ORACLES_WITNESS_H
#define OD_ORACLES_WITNESS_H

#include <stdbool.h>
#include <stddef.h>

/* malloc: bytes handed out by glibc's allocator and not given back, exact but for splinters that it leaves with a
 * block. RssAnon: VmRSS without pages of files, which come 16 at a time as code is first run; free heap that is used
 * again hides growth there. device: what the driver says is in use on the card (od_stats.device_used), by anybody. */
enum od_witness { OD_WITNESS_MALLOC, OD_WITNESS_RSS, OD_WITNESS_DEVICE, OD_WITNESSES };

const char *od_witness_name(enum od_witness w);

/* Bytes now; 0: not known here. Under AddressSanitizer neither is known, since freed memory stays in use for a while.
 * No witness allocates. */
size_t od_witness_malloc(void);
size_t od_witness_rss(void);

enum { OD_WITNESS_REPEAT = 16 };

/* Readings after each of n identical requests. */
typedef struct od_witnessed {
    size_t n;
    size_t bytes[OD_WITNESSES][OD_WITNESS_REPEAT];
} od_witnessed;

/* Growth with each request. */
typedef struct od_slope {
    double value; /* median of the slopes between all pairs of points (Theil and Sen): a step that stays has none */
    double low;   /* lower bound of its one-sided confidence interval, from the distribution of Kendall's tau (Sen);
                   * -inf where there are too few points to have one */
} od_slope;

/* n <= OD_WITNESS_REPEAT readings, one a request. z: quantile of the normal distribution, 3.09 for 99.9 %. */
od_slope od_slope_fit(const size_t *y, size_t n, double z);

/* Did any witness grow from reading i - 1 to reading i, malloc by so many bytes, those who count pages by so many? */
bool od_witnessed_grew(const od_witnessed *w, size_t i, double bytes, double pages);

#endif
