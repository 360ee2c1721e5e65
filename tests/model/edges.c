/* Profiles boundary and session, what narrowing makes of cases, and that older profiles stay what they were. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "model/case_internal.h"
#include "model/suites.h"

enum { MANY = 1500 };

static od_case c;

static void check_good(uint64_t i) {
    od_error e = {0};
    ck_assert_msg(od_case_check(&c, &e) == OD_OK, "case %llu: %s", (unsigned long long)i, e.text);
    ck_assert_msg(od_case_in_domain(&c), "case %llu is outside the domain", (unsigned long long)i);
}

static unsigned patches_of(const od_op *op) {
    return (op->steps + (unsigned)c.config.patch - 1) / (unsigned)c.config.patch;
}

/* Each edge that kernels, buckets and caches have is drawn, and often. */
START_TEST(the_boundary_profile_draws_every_edge) {
    static const unsigned variates[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128},
                          batch[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64},
                          patches[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129},
                          tokens[] = {7, 8, 9, 63, 64, 65, 511, 512, 513};
    static unsigned n_variates[1024], n_batch[1024], n_patches[1024], n_tokens[1 << 16], n_kind[3], n_grown, n_long,
        n_both;
    unsigned n_wide = 0, n_head = 0, n_crowd = 0, n_apart = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        od_case_generate(&c, 1, i, OD_PROFILE_BOUNDARY);
        check_good(i);
        const unsigned p = (unsigned)c.config.patch, n = patches_of(&c.op[0]);
        n_variates[c.variates]++;
        n_batch[c.batch]++;
        n_patches[n]++;
        n_tokens[c.batch * c.variates * n]++;
        if (p > 2) n_kind[c.op[0].steps % p == 0 ? 0 : c.op[0].steps % p == 1 ? 1 : 2]++;
        n_long += n > 64;
        n_both += n > 64 && c.batch > 1;
        n_wide += c.config.d_model > 128 && c.batch * c.variates * n >= 64 && c.options.fused;
        n_head += c.config.d_model / c.config.n_head > 64;
        n_crowd += c.variates > 64 && c.config.space_every > 0;
        for (unsigned v = 0; c.n_group && v < 64 && c.group[v] != c.group[c.variates - 1]; v++) n_apart += v == 63;
        n_grown += c.n_op > 1 && c.op[1].kind == OD_OP_DECODE && n <= 64 && n + c.op[1].patches > 64;
    }
    const struct {
        const unsigned *edge, *count;
        size_t n;
    } all[] = {{variates, n_variates, sizeof variates / sizeof *variates},
               {batch, n_batch, sizeof batch / sizeof *batch},
               {patches, n_patches, sizeof patches / sizeof *patches},
               {tokens, n_tokens, sizeof tokens / sizeof *tokens}};
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < all[k].n; i++)
            ck_assert_msg(all[k].count[all[k].edge[i]] > 0, "size %zu: %u is never drawn", k, all[k].edge[i]);
    for (int k = 0; k < 3; k++) ck_assert_uint_gt(n_kind[k], MANY / 20);
    ck_assert_uint_gt(n_grown, 0);
    ck_assert_uint_gt(n_long, MANY / 10);  /* dear sizes are not given up for a large model */
    ck_assert_uint_gt(n_both, MANY / 25);  /* a 45th where a large size is given up for the model */
    ck_assert_uint_gt(n_wide, MANY / 100); /* products that no kernel for small ones takes, over a tile of rows */
    ck_assert_uint_gt(n_head, MANY / 100);
    ck_assert_uint_gt(n_crowd, MANY / 50);
    ck_assert_uint_gt(n_apart, MANY / 100); /* a tile of keys of which the last variate sees none */
}
END_TEST

START_TEST(the_session_profile_is_all_schedules) {
    unsigned n_sessions[OD_CASE_MAX_SESSIONS + 1] = {0}, n_recapture = 0, n_reset = 0, n_long = 0, longest = 0;
    for (uint64_t i = 0; i < MANY / 2; i++) {
        od_case_generate(&c, 1, i, OD_PROFILE_SESSION);
        check_good(i);
        ck_assert_msg(od_case_is_stateful(&c), "case %llu", (unsigned long long)i);
        n_sessions[od_case_sessions(&c)]++;
        for (unsigned k = 0; k < c.n_op; k++) {
            n_recapture += c.op[k].kind == OD_OP_RECAPTURE;
            n_reset += c.op[k].kind == OD_OP_RESET;
            n_long += c.op[k].patches > 8;
        }
        if (c.n_op > longest) longest = c.n_op;
    }
    for (int s = 1; s <= OD_CASE_MAX_SESSIONS; s++) ck_assert_uint_gt(n_sessions[s], MANY / 80);
    ck_assert_uint_gt(n_recapture, MANY / 20);
    ck_assert_uint_gt(n_reset, MANY / 20);
    ck_assert_uint_gt(n_long, MANY / 40);
    ck_assert_uint_gt(longest, 15);
}
END_TEST

/* A seed and an index that somebody noted mean what they meant, in a program of whatever compiler: two draws in one
 * expression would come in the order that it likes. A domain that is narrowed draws a few cases anew, and then the hash
 * with them: three of the 200 of the default profile since rows of few steps count as alike. */
START_TEST(profiles_are_what_they_were) {
    static const struct {
        enum od_profile profile;
        unsigned n;
        uint64_t hash;
    } pinned[] = {{OD_PROFILE_DEFAULT, 200, 0xb12527c93a5ca85e},
                  {OD_PROFILE_RATE, 200, 0xaf774e269ebff8eb},
                  {OD_PROFILE_BASE, 20, 0x65527b626c469d94},
                  {OD_PROFILE_BOUNDARY, 200, 0xe47f2235159925c9},
                  {OD_PROFILE_SESSION, 200, 0x232737e3fd090786}};
    ck_assert_int_eq(OD_CASE_FORMAT, 1);
    for (size_t k = 0; k < sizeof pinned / sizeof *pinned; k++) {
        uint64_t hash[200];
        for (unsigned i = 0; i < pinned[k].n; i++) {
            od_case_generate(&c, 1, i, pinned[k].profile);
            hash[i] = od_case_hash(&c);
        }
        ck_assert_uint_eq(XXH64(hash, pinned[k].n * sizeof *hash, 0), pinned[k].hash);
    }
}
END_TEST

/* As above: a fuzzer's input is mutated and narrowed alike wherever it is replayed. Whoever changes what is drawn
 * changes the hash. */
START_TEST(mutants_are_the_same_by_every_compiler) {
    enum { STEPS = 400 };
    static od_case other;
    uint64_t hash[3 * STEPS];
    od_case_generate(&c, 5, 0, OD_PROFILE_DEFAULT);
    for (uint64_t i = 0; i < STEPS; i++) {
        if (i % 8 == 0) od_case_generate(&c, 5, i, OD_PROFILE_DEFAULT);
        od_case_mutate(&c, i);
        hash[3 * i] = od_case_hash(&c);
        od_case_generate(&other, 6, i, OD_PROFILE_MIXED);
        od_case_cross(&c, &other, i);
        hash[3 * i + 1] = od_case_hash(&c);
        other = c;
        od_case_keep_prefills(&other);
        od_case_make_stateful(&other, i);
        hash[3 * i + 2] = od_case_hash(&other);
    }
    ck_assert_uint_eq(XXH64(hash, sizeof hash, 0), 0x28709e3c5b51d07d);
}
END_TEST

/* So that a case of a mixed run can be named by either profile, and none of them is left out. */
START_TEST(the_mixed_profile_takes_turns) {
    static const enum od_profile turns[] = {OD_PROFILE_DEFAULT, OD_PROFILE_BOUNDARY, OD_PROFILE_DEFAULT,
                                            OD_PROFILE_SESSION};
    enum od_profile p;
    ck_assert_int_eq(od_profile_parse(&p, "mixed", NULL), OD_OK);
    for (uint64_t i = 0; i < 40; i++) {
        od_case_generate(&c, 4, i, turns[i % 4]);
        const uint64_t hash = od_case_hash(&c);
        od_case_generate(&c, 4, i, p);
        ck_assert_uint_eq(od_case_hash(&c), hash);
    }
}
END_TEST

START_TEST(contexts_alone_have_no_steps_and_stay_in_the_domain) {
    for (uint64_t i = 0; i < MANY / 4; i++) {
        od_case_generate(&c, 2, i, i % 2 ? OD_PROFILE_DEFAULT : OD_PROFILE_SESSION);
        unsigned others = 0, left = 0;
        for (unsigned k = 0; k < c.n_op; k++) others += c.op[k].kind != OD_OP_DECODE;
        od_case_keep_prefills(&c);
        check_good(i);
        for (unsigned k = 0; k < c.n_op; k++) left += c.op[k].kind != OD_OP_DECODE;
        ck_assert_uint_eq(left, others);
        ck_assert_uint_eq(left, c.n_op);
    }
}
END_TEST

START_TEST(a_case_is_made_stateful_once_and_by_its_seed_alone) {
    unsigned n_made = 0;
    for (uint64_t i = 0; i < MANY / 4; i++) {
        od_case_generate(&c, 3, i, i % 2 ? OD_PROFILE_DEFAULT : OD_PROFILE_RATE);
        const od_case before = c;
        const bool was = od_case_is_stateful(&c);
        od_case_make_stateful(&c, i);
        check_good(i);
        ck_assert(od_case_is_stateful(&c));
        const uint64_t hash = od_case_hash(&c);
        ck_assert_int_eq(hash == od_case_hash(&before), was);
        od_case_make_stateful(&c, i + 1);
        ck_assert_uint_eq(od_case_hash(&c), hash);
        c = before;
        od_case_make_stateful(&c, i);
        ck_assert_uint_eq(od_case_hash(&c), hash);
        n_made += !was;
    }
    ck_assert_uint_gt(n_made, MANY / 40);
}
END_TEST

/* Sizes at which kernels change their way need several changes at once; one mutation of a plain case reaches each. */
START_TEST(one_mutation_reaches_large_sizes) {
    enum { STEPS = 6000 };
    unsigned n_wide = 0, n_crowd = 0, n_rows = 0, n_large = 0, n_kept = 0;
    for (uint64_t i = 0; i < STEPS; i++) {
        od_case_init(&c);
        c.op[c.n_op++] = (od_op){.kind = OD_OP_PREFILL, .steps = 16};
        od_case_mutate(&c, i);
        check_good(i);
        bool stepped = false;
        for (unsigned k = 0; k < c.n_op; k++) stepped = stepped || c.op[k].kind == OD_OP_DECODE;
        n_wide += c.config.d_model > 128;
        n_crowd += c.variates > 64 && c.n_group > 0 && c.config.space_every > 0 && !c.options.fused;
        for (unsigned k = 0; k < c.n_op; k++) n_rows += patches_of(&c.op[k]) > 128 && c.batch * c.variates > 1;
        n_large += c.generator == OD_GEN_LARGE && stepped;
        n_kept += c.generator == OD_GEN_NORMAL && c.variates == 1 && c.batch == 1 && c.preset[0] != 0;
    }
    ck_assert_uint_gt(n_wide, 0);
    ck_assert_uint_gt(n_crowd, 0);
    ck_assert_uint_gt(n_rows, 0);
    ck_assert_uint_gt(n_large, 0);
    ck_assert_uint_gt(n_kept, STEPS / 3); /* and the most are small steps */
}
END_TEST

Suite *suite_edges(void) {
    Suite *s = suite_create("edges");
    TCase *t = tcase_create("edges");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, the_boundary_profile_draws_every_edge);
    tcase_add_test(t, the_session_profile_is_all_schedules);
    tcase_add_test(t, the_mixed_profile_takes_turns);
    tcase_add_test(t, profiles_are_what_they_were);
    tcase_add_test(t, mutants_are_the_same_by_every_compiler);
    tcase_add_test(t, contexts_alone_have_no_steps_and_stay_in_the_domain);
    tcase_add_test(t, a_case_is_made_stateful_once_and_by_its_seed_alone);
    tcase_add_test(t, one_mutation_reaches_large_sizes);
    suite_add_tcase(s, t);
    return s;
}
