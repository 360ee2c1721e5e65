/* The kernel fold: small integers, whose sums are exact, and float64 in order, rounded once. */
#include <stdlib.h>
#include <string.h>

#include "gpu/fused_grid.h"
#include "tests/gpu/kernel_run.h"

static const struct {
    uint32_t patch, n_head, n_component, width;
} shapes[] = {{1, 3, 1, 1},   {2, 3, 1, 3},  {1, 4, 1, 4},   {3, 4, 2, 5},   {2, 4, 5, 30}, {4, 3, 1, 32},
              {1, 4, 24, 64}, {2, 4, 3, 96}, {1, 4, 2, 256}, {1, 4, 2, 257}, {1, 3, 1, 260}};
enum { RUNS = sizeof shapes / sizeof *shapes * TEST_ORDERS };

typedef struct weights {
    uint32_t patch, n_head, n_component, width;
    float *unembed, *unembed_bias, *head[4], *head_bias[4];
} weights;

static uint64_t random_state;

/* Floats of 24 random bits, or whole numbers -15 … 15. */
static float *drawn(size_t n, bool whole) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        const int bits = (int)(random_state >> 40) - (1 << 23);
        x[i] = whole ? (float)(bits % 16) : (float)bits * 0x1p-23f;
    }
    return x;
}

static weights make_weights(int i, bool whole) {
    weights w = {shapes[i].patch, shapes[i].n_head, shapes[i].n_component, shapes[i].width, NULL, NULL, {0}, {0}};
    random_state = (uint64_t)i;
    w.unembed = drawn((size_t)w.patch * w.width * w.width, whole);
    w.unembed_bias = drawn((size_t)w.patch * w.width, whole);
    for (uint32_t h = 0; h < w.n_head; h++) {
        w.head[h] = drawn((size_t)w.n_component * w.width, whole);
        w.head_bias[h] = drawn(w.n_component, whole);
    }
    return w;
}

static void free_weights(weights *w) {
    free(w->unembed);
    free(w->unembed_bias);
    for (uint32_t h = 0; h < w->n_head; h++) {
        free(w->head[h]);
        free(w->head_bias[h]);
    }
}

START_TEST(heads_and_unembedding_become_one_matrix) {
    for (int whole = 0; whole < 2; whole++) {
        weights w = make_weights(_i / TEST_ORDERS, whole);
        const size_t d = w.width, rows = w.n_head * w.n_component, outs = w.patch * rows;
        od_fold_args args = {.out = test_kernel_put(NULL, outs * d * 4),
                             .out_bias = test_kernel_put(NULL, outs * 4),
                             .unembed = test_kernel_put(w.unembed, w.patch * d * d * 4),
                             .unembed_bias = test_kernel_put(w.unembed_bias, w.patch * d * 4),
                             .patch = w.patch,
                             .n_head = w.n_head,
                             .n_component = w.n_component,
                             .width = w.width};
        for (uint32_t h = 0; h < w.n_head; h++) {
            args.head[h] = test_kernel_put(w.head[h], w.n_component * d * 4);
            args.head_bias[h] = test_kernel_put(w.head_bias[h], w.n_component * 4);
        }
        RUN(_i % TEST_ORDERS, fold, od_fold_grid(&args), args);
        float *out = malloc(outs * d * 4), *bias = malloc(outs * 4);
        test_kernel_get(out, args.out, outs * d * 4);
        test_kernel_get(bias, args.out_bias, outs * 4);
        for (size_t o = 0; o < outs; o++) {
            const size_t p = o / rows, h = o % rows / w.n_component, k = o % w.n_component;
            const float *head = w.head[h] + k * d;
            for (size_t i = 0; i < d; i++) {
                double sum = 0;
                for (size_t e = 0; e < d; e++) sum += (double)head[e] * w.unembed[(p * d + e) * d + i];
                ck_assert_float_eq(out[o * d + i], (float)sum);
            }
            double sum = 0;
            for (size_t e = 0; e < d; e++) sum += (double)head[e] * w.unembed_bias[p * d + e];
            ck_assert_float_eq(bias[o], (float)(sum + w.head_bias[h][k]));
        }
        free(out);
        free(bias);
        free_weights(&w);
    }
}
END_TEST

Suite *suite_fold(void) {
    Suite *suite = suite_create("fold");
    TCase *tc = tcase_create("closed forms");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(tc, heads_and_unembedding_become_one_matrix, 0, RUNS);
    suite_add_tcase(suite, tc);
    return suite;
}
