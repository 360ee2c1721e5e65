/* Features of a judged case: small numbers with names that say what it is like and what it showed. A fuzzer that keeps
 * an input for each new one spreads over shapes, schedules and switches, and climbs towards error by classes of the
 * share of the contract, also where it cannot see into the code. `corpus stats` lists those that no case has. */
#ifndef OD_ORACLES_FEATURES_H
#define OD_ORACLES_FEATURES_H

#include "oracles/judge.h"

enum { OD_FEATURES = 4096, OD_FEATURES_OF_CASE = 8192, OD_FEATURE_NAME = 80 };

/* Families, each of up to three coordinates; what they are: features.c's table. */
enum od_feature_family {
    OD_FEATURE_BATCH,
    OD_FEATURE_VARIATES,
    OD_FEATURE_PATCHES,
    OD_FEATURE_CONTEXT,
    OD_FEATURE_SHAPE,
    OD_FEATURE_TOKENS,
    OD_FEATURE_KEYS,
    OD_FEATURE_SERIES,
    OD_FEATURE_PADDING,
    OD_FEATURE_GROUPS,
    OD_FEATURE_LAYERS,
    OD_FEATURE_HEAD,
    OD_FEATURE_PATCH,
    OD_FEATURE_HEAD_DIM,
    OD_FEATURE_MLP,
    OD_FEATURE_SWITCHES,
    OD_FEATURE_LIMITS,
    OD_FEATURE_OPS,
    OD_FEATURE_TRIGRAM,
    OD_FEATURE_SESSIONS,
    OD_FEATURE_RUN,
    OD_FEATURE_BUCKETS,
    OD_FEATURE_COUNTER,
    OD_FEATURE_ERROR,
    OD_FEATURE_DRIFT,
    OD_FEATURE_ERROR_OF_PATH,
    OD_FEATURE_FAMILIES
};

/* Fills id[cap] with the features of the case, and of its verdict where v is not NULL and engines ran: as many times as
 * they occur (an entry of a schedule may repeat), in no order; returns how many. What does not fit is left out. The
 * case's config is filled (od_case_model). */
size_t od_features_of(uint16_t *id, size_t cap, const od_case *c, const od_verdict *v);

/* "variates", "ops", "error", … */
const char *od_feature_family_name(enum od_feature_family family);

/* The number of a feature by its coordinates; the last class stands for all beyond it. Those that a family lacks: 0. */
unsigned od_feature_id(enum od_feature_family family, unsigned i, unsigned j, unsigned k);

/* OD_FEATURE_FAMILIES for a number that is none. */
enum od_feature_family od_feature_family_of(unsigned id);

/* "variates=15", "ops=decode>own run,other session"; "" for a number that is none. Returns text. */
const char *od_feature_name(char *text, size_t size, unsigned id);

/* Does some legal case have it, whatever engines answer? Never of families that depend on answers (counters, errors),
 * nor of pieces of schedules that od_case_check refuses. */
bool od_feature_is_reachable(unsigned id);

/* Class of a share of the contract: 0 below 1e-4, then half octaves; the last one: a breach, or NaN. */
enum { OD_SHARE_CLASSES = 28 };
unsigned od_share_class(double share);

/* Class of a size: each edge of a power of two from 4 on (t-1, t, t+1) alone, and what is between two of them. 0 for 0
 * and 1. */
unsigned od_edge_class(size_t n);

/* 0, 1, 2, 3-4, 5-8, … */
unsigned od_count_class(size_t n);

#endif
