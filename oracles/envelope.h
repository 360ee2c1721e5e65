/* The envelope: how far two healthy engines are apart, measured, so that a fault far below the contract is seen.
 *
 * `calibrate` plays healthy cases and sorts every contractual comparison by its key: tensor class, step class, and the
 * number of values in powers of 4, since the mean of few values scatters more and the largest of many is larger. Of
 * each key it keeps the median and the 99.9th percentile of MAE and of the largest difference. What the engines may
 * differ by is that percentile times a margin (tolerance.c, which has the derivation), never less than a floor of
 * rounding and never more than the contract.
 *
 * Of each tensor class and step class it also keeps the mean of fast - ref with its sign, case by case: a shift that no
 * single case shows is seen in the mean of many (shift.h).
 *
 * An envelope holds for the pair of engines and the math modes it was measured on, and for cases within its domain:
 * models no deeper and no wider, lives no longer than those that it was measured on. Others are held to the contract
 * alone. */
#ifndef OD_ORACLES_ENVELOPE_H
#define OD_ORACLES_ENVELOPE_H

#include "oracles/trace.h"

enum {
    OD_ENVELOPE_FORMAT = 1,
    OD_ENVELOPE_SIZES = 8, /* 1-4, 5-16, 17-64, …, 4097-16384, more */
    OD_ENVELOPE_MAX_BYTES = 1 << 20
};

/* Quantiles of one key's n comparisons, model space. */
typedef struct od_envelope_key {
    size_t n;
    double mae_p50, mae_p999, max_p50, max_p999;
} od_envelope_key;

/* A class's mean of fast - ref over a case, in so many healthy cases. */
typedef struct od_envelope_shift {
    size_t cases;
    double mean, sd;
} od_envelope_shift;

/* What the rounding of a case depends on beside its keys; of an envelope: the largest that it was measured on. */
typedef struct od_envelope_domain {
    size_t layers, width; /* of the model */
    size_t patches, own;  /* of a session, and of them fed back */
    double gain;          /* of generated weights */
} od_envelope_domain;

typedef struct od_envelope {
    od_envelope_key key[OD_TENSORS][OD_STEPS][OD_ENVELOPE_SIZES]; /* n = 0: nothing was measured */
    od_envelope_shift shift[OD_TENSORS][OD_STEPS];
    od_envelope_domain domain;
    char pair[64];                          /* "ref:twin" */
    char ref_device[160], fast_device[160]; /* as the engines report them */
    char ref_math[32], fast_math[32];
    char version[32], time[32], command[512]; /* who made it */
    size_t cases;
} od_envelope;

/* What a comparison is held to. */
typedef struct od_envelope_bound {
    double mae, max_abs;                      /* the contract's where the envelope has none, or none tighter */
    const od_envelope_key *mae_key, *max_key; /* where they come from; NULL: the contract */
} od_envelope_bound;

/* Bucket of a number of values, and its smallest and largest (0: no largest). */
unsigned od_envelope_size(size_t values);
void od_envelope_range(size_t *lo, size_t *hi, unsigned size);

/* The p-quantile of n > 0 numbers in ascending order, 0 < p <= 1: the smallest of them that so large a share of all is
 * not above (nearest rank). */
double od_quantile(const double *sorted, size_t n, double p);

/* Is the key measured often enough to have a 99.9th percentile? */
bool od_envelope_is_measured(const od_envelope_key *key);

/* The tighter of contract and envelope. A key that was measured too seldom takes the bound of its neighbour that is
 * wider as a rule: MAE that of fewer values, the largest difference that of more; there is none: the contract. */
od_envelope_bound od_envelope_bound_of(const od_envelope *envelope, enum od_tensor_class cls, enum od_step_class step,
                                       size_t values);

/* "" where a case is within the envelope's domain, else what is outside ("12 layers, measured up to 6"). */
void od_envelope_outside(char *text, size_t size, const od_envelope *envelope, const od_envelope_domain *of_case);

/* ---- envelope_file.c: oracles/envelope.schema.json ----------------------------------------------------------------
 */

/* text[0, size) → *out. Unknown or duplicate keys, wrong types, another format, a quantile below the one before:
 * OD_BAD_INPUT with the place, `name` in front. */
enum od_status od_envelope_parse(od_envelope *out, const char *text, size_t size, const char *name, od_error *e);
enum od_status od_envelope_read(od_envelope *out, const char *path, od_error *e);

/* Canonical text, malloc'd; the caller frees. parse(format(x)) has x's numbers, to five digits; formatting that again
 * gives the same text. OD_NO_MEMORY. */
enum od_status od_envelope_format(char **text, size_t *size, const od_envelope *envelope, od_error *e);
enum od_status od_envelope_write(const od_envelope *envelope, const char *path, od_error *e);

/* Was it measured on this pair in these math modes? OD_BAD_INPUT says what differs and how to make another; `name` is
 * the envelope's. */
enum od_status od_envelope_fits(const od_envelope *envelope, const char *name, const char *pair, const char *ref_math,
                                const char *fast_math, od_error *e);

#endif
