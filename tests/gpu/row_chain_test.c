/* Small products in one kernel: exact small integers, a chain against its links one by one (bitwise), the rows of a
 * head, the bits of a row in any company, and how chains are planned. */
#include <math.h>
#include <string.h>

#include "gpu/row_chain.h"
#include "model/rng.h"
#include "tests/gpu/kernel_run.h"

enum { MOST_ROWS = 17, MOST = 133, ROOM = 40 };
static const uint32_t depths[] = {1, 2, 3, 4, 6, 30, 32, 64}, outs[] = {1, 3, 7, 32, MOST},
                      rows_of[] = {1, 7, 8, 9, MOST_ROWS};
enum {
    DEPTHS = sizeof depths / sizeof *depths,
    OUTS = sizeof outs / sizeof *outs,
    COUNTS = sizeof rows_of / sizeof *rows_of
};

static float a[MOST_ROWS * MOST], w[2 * MOST * MOST], bias[2 * MOST], scale[MOST], y[ROOM * MOST], before[ROOM * MOST];

static void run(const od_row_chain_args *chain, size_t capacity, int order) {
    RUN(order, row_chain, od_chain_grid(chain, capacity), *chain);
}

/* _i: depth and outs. Beyond the call's rows nothing is written. */
START_TEST(small_integers_are_exact) {
    const uint32_t depth = depths[_i % DEPTHS], n_out = outs[_i / DEPTHS];
    for (int k = 0; k < COUNTS; k++)
        for (uint32_t e = OD_EPILOGUE_BIAS; e <= OD_EPILOGUE_RESIDUAL; e++) {
            const uint32_t rows = rows_of[k];
            for (size_t i = 0; i < (size_t)rows * depth; i++) a[i] = test_small(i / depth, i % depth);
            for (size_t i = 0; i < (size_t)n_out * depth; i++) w[i] = test_small(i % depth, i / depth + 1);
            for (size_t j = 0; j < n_out; j++) bias[j] = (float)j;
            for (size_t i = 0; i < sizeof before / 4; i++) before[i] = 1000 + (float)i;
            od_call call = {.n_row = rows, .n_patch = 1, .n_token = rows, .head_patch = 1};
            call.scratch[OD_SCRATCH_ATTENDED] = test_kernel_put(a, (size_t)rows * depth * 4);
            call.scratch[OD_SCRATCH_X] = PUT(before);
            od_row_chain_args chain = {.call = test_kernel_put(&call, sizeof call)};
            const od_product_args p = {.w = test_kernel_put(w, (size_t)n_out * depth * 4),
                                       .bias = PUT(bias),
                                       .x = OD_SCRATCH_ATTENDED,
                                       .y = OD_SCRATCH_X,
                                       .outs = n_out,
                                       .depth = depth,
                                       .epilogue = e};
            ck_assert(od_chain_takes(&p) && od_chain_add(&chain, &p));
            run(&chain, ROOM, (_i + k) % TEST_ORDERS);
            test_kernel_get(y, call.scratch[OD_SCRATCH_X], sizeof y);
            for (size_t i = 0; i < sizeof y / 4; i++) {
                float sum = before[i];
                if (i < (size_t)rows * n_out) {
                    sum = (float)(i % n_out) + (e == OD_EPILOGUE_RESIDUAL ? before[i] : 0);
                    for (size_t f = 0; f < depth; f++) sum += a[i / n_out * depth + f] * w[i % n_out * depth + f];
                }
                SAME_FLOAT(y[i], sum);
            }
        }
}
END_TEST

/* A transformer layer's four products, of D and M; sums[i]: where product i's weights lie in w. */
typedef struct layer {
    od_call call;
    od_product_args p[4];
} layer;

/* D and M: whole float4s, none, fewer than a norm has parts, and both kinds in one. */
enum { MOST_D = 30, MOST_M = 33, WEIGHTS = 3 * MOST_M * MOST_D };
static const uint32_t sizes[][2] = {{12, 20}, {6, 9}, {5, 7}, {MOST_D, MOST_M}, {8, 6}};
enum { BIASES = 3 * MOST_D };
static float layer_w[4 * WEIGHTS], layer_bias[4 * BIASES];
enum { SIZES = sizeof sizes / sizeof *sizes };
static uint32_t D, M;

static void take_size(int i) {
    D = sizes[i % SIZES][0];
    M = sizes[i % SIZES][1];
}

static void make_layer(layer *l, uint32_t rows, const float *x, const float *attended) {
    static float slot[MOST_ROWS * 3 * MOST];
    const od_product_args shapes[4] = {
        {.x = OD_SCRATCH_ATTENDED, .y = OD_SCRATCH_X, .outs = D, .depth = D, .epilogue = OD_EPILOGUE_RESIDUAL},
        {.x = OD_SCRATCH_X, .y = OD_SCRATCH_MLP, .outs = M, .depth = D, .epilogue = OD_EPILOGUE_SWIGLU},
        {.x = OD_SCRATCH_MLP, .y = OD_SCRATCH_X, .outs = D, .depth = M, .epilogue = OD_EPILOGUE_RESIDUAL},
        {.x = OD_SCRATCH_X, .y = OD_SCRATCH_QKV, .outs = 3 * D, .depth = D, .epilogue = OD_EPILOGUE_BIAS}};
    *l = (layer){.call = {.n_row = rows, .n_patch = 1, .n_token = rows, .head_patch = 1}};
    l->call.scratch[OD_SCRATCH_X] = test_kernel_put(x, (size_t)rows * D * 4);
    l->call.scratch[OD_SCRATCH_ATTENDED] = test_kernel_put(attended, (size_t)rows * D * 4);
    l->call.scratch[OD_SCRATCH_MLP] = test_kernel_put(slot, (size_t)rows * M * 4);
    l->call.scratch[OD_SCRATCH_QKV] = test_kernel_put(slot, (size_t)rows * 3 * D * 4);
    const od_call *call = test_kernel_put(&l->call, sizeof l->call);
    for (int i = 0; i < 4; i++) {
        l->p[i] = shapes[i];
        l->p[i].call = call;
        l->p[i].w = test_kernel_put(layer_w + i * WEIGHTS, WEIGHTS * 4);
        l->p[i].bias = test_kernel_put(layer_bias + i * BIASES, BIASES * 4);
        if (i % 2) l->p[i].norm = PUT(scale);
    }
}

static void draw_layer(float *x, float *attended) {
    od_rng_fill_normal(layer_w, sizeof layer_w / sizeof *layer_w, 0, 0.3, 1, 0);
    od_rng_fill_normal(layer_bias, 4 * BIASES, 0, 1, 1, 1);
    od_rng_fill_normal(scale, MOST, 1, 0.2, 1, 2);
    od_rng_fill_normal(x, MOST_ROWS * D, 0, 1, 1, 3);
    od_rng_fill_normal(attended, MOST_ROWS * D, 0, 1, 1, 4);
}

static void results(float *x, float *qkv, const layer *l, uint32_t rows) {
    test_kernel_get(x, l->call.scratch[OD_SCRATCH_X], (size_t)rows * D * 4);
    test_kernel_get(qkv, l->call.scratch[OD_SCRATCH_QKV], (size_t)rows * 3 * D * 4);
}

/* One chain of four, four chains of one, and a row alone. */
START_TEST(a_chain_has_the_bits_of_its_links) {
    float x[MOST_ROWS * MOST_D], attended[MOST_ROWS * MOST_D], got[2][MOST_ROWS * MOST_D];
    float qkv[2][MOST_ROWS * 3 * MOST_D], one[MOST_D], one_qkv[3 * MOST_D];
    take_size(_i / TEST_ORDERS);
    draw_layer(x, attended);
    for (int apart = 0; apart < 2; apart++) {
        layer l;
        make_layer(&l, MOST_ROWS, x, attended);
        od_row_chain_args chain = {.call = l.p[0].call};
        for (int i = 0; i < 4; i++) {
            ck_assert(od_chain_add(&chain, &l.p[i]));
            if (!apart && i < 3) continue;
            run(&chain, MOST_ROWS, _i % TEST_ORDERS);
            chain = (od_row_chain_args){.call = l.p[0].call};
        }
        results(got[apart], qkv[apart], &l, MOST_ROWS);
    }
    ck_assert_mem_eq(got[0], got[1], MOST_ROWS * D * 4);
    ck_assert_mem_eq(qkv[0], qkv[1], MOST_ROWS * 3 * D * 4);
    for (size_t i = 0; i < MOST_ROWS * 3 * D; i++)
        if (!isfinite(qkv[0][i])) ck_abort_msg("%zu: %g", i, qkv[0][i]);
    for (size_t r = 0; r < MOST_ROWS; r += 5) {
        layer l;
        make_layer(&l, 1, x + r * D, attended + r * D);
        od_row_chain_args chain = {.call = l.p[0].call};
        for (int i = 0; i < 4; i++) ck_assert(od_chain_add(&chain, &l.p[i]));
        run(&chain, 64, _i % TEST_ORDERS);
        results(one, one_qkv, &l, 1);
        ck_assert_mem_eq(one, got[0] + r * D, D * 4);
        ck_assert_mem_eq(one_qkv, qkv[0] + r * 3 * D, 3 * D * 4);
    }
}
END_TEST

/* The same layer in float64. Each float32 sum of n terms is off by at most n·2^-24 of its terms' magnitudes, and what a
 * link is off by grows by the next ones' weights: for these sizes 2e-5 leaves room, and a left-out term is 1e-2. */
START_TEST(a_layer_is_near_float64) {
    float x[MOST_ROWS * MOST_D], attended[MOST_ROWS * MOST_D], got[MOST_ROWS * MOST_D], qkv[MOST_ROWS * 3 * MOST_D];
    take_size(_i / TEST_ORDERS);
    draw_layer(x, attended);
    layer l;
    make_layer(&l, MOST_ROWS, x, attended);
    od_row_chain_args chain = {.call = l.p[0].call};
    for (int i = 0; i < 4; i++) ck_assert(od_chain_add(&chain, &l.p[i]));
    run(&chain, MOST_ROWS, _i % TEST_ORDERS);
    results(got, qkv, &l, MOST_ROWS);
    for (size_t r = 0; r < MOST_ROWS; r++) {
        double h[MOST_D], m[MOST_M], normed[MOST_D], square = 0;
        for (size_t j = 0; j < D; j++) {
            h[j] = (double)x[r * D + j] + layer_bias[j];
            for (size_t f = 0; f < D; f++) h[j] += (double)attended[r * D + f] * layer_w[j * D + f];
            square += h[j] * h[j];
        }
        for (size_t j = 0; j < D; j++) normed[j] = h[j] / sqrt(square / D + 1e-8) * scale[j];
        for (size_t j = 0; j < M; j++) {
            double gate = layer_bias[BIASES + j], up = layer_bias[BIASES + M + j];
            for (size_t f = 0; f < D; f++) {
                gate += normed[f] * layer_w[WEIGHTS + j * D + f];
                up += normed[f] * layer_w[WEIGHTS + (M + j) * D + f];
            }
            m[j] = gate / (1 + exp(-gate)) * up;
        }
        square = 0;
        for (size_t j = 0; j < D; j++) {
            h[j] += layer_bias[2 * BIASES + j];
            for (size_t f = 0; f < M; f++) h[j] += m[f] * layer_w[2 * WEIGHTS + j * M + f];
            square += h[j] * h[j];
            ck_assert_msg(fabs(h[j] - got[r * D + j]) < 2e-5, "row %zu: %g, not %g", r, got[r * D + j], h[j]);
        }
        for (size_t j = 0; j < 3 * D; j++) {
            double q = layer_bias[3 * BIASES + j];
            for (size_t f = 0; f < D; f++)
                q += h[f] / sqrt(square / D + 1e-8) * scale[f] * layer_w[3 * WEIGHTS + j * D + f];
            ck_assert_msg(fabs(q - qkv[r * 3 * D + j]) < 2e-5, "row %zu: %g, not %g", r, qkv[r * 3 * D + j], q);
        }
    }
}
END_TEST

/* A row of zeros under a norm, whose root is then that of the 1e-8 alone: the bias, and no NaN. */
START_TEST(a_row_of_zeros_is_its_bias) {
    enum { DEPTH = 9, OUT = 3, ROWS = 2 };
    float zeros[ROWS * DEPTH] = {0}, got[ROWS * OUT];
    od_rng_fill_normal(w, OUT * DEPTH, 0, 1, 1, 0);
    for (int j = 0; j < OUT; j++) bias[j] = (float)j + 0.5f;
    for (int f = 0; f < DEPTH; f++) scale[f] = 2;
    od_call call = {.n_row = ROWS, .n_patch = 1, .n_token = ROWS, .head_patch = 1};
    call.scratch[OD_SCRATCH_X] = PUT(zeros);
    call.scratch[OD_SCRATCH_QKV] = test_kernel_put(NULL, sizeof got);
    od_row_chain_args chain = {.call = test_kernel_put(&call, sizeof call)};
    const od_product_args p = {.w = PUT(w),
                               .bias = PUT(bias),
                               .norm = PUT(scale),
                               .x = OD_SCRATCH_X,
                               .y = OD_SCRATCH_QKV,
                               .outs = OUT,
                               .depth = DEPTH,
                               .epilogue = OD_EPILOGUE_BIAS};
    ck_assert(od_chain_add(&chain, &p));
    run(&chain, ROWS, _i);
    test_kernel_get(got, call.scratch[OD_SCRATCH_QKV], sizeof got);
    for (int i = 0; i < ROWS * OUT; i++) SAME_FLOAT(got[i], bias[i % OUT]);
}
END_TEST

START_TEST(heads_take_the_last_patches_of_each_row) {
    enum { R = 3, S = 5, OUT = 4 };
    const uint32_t depth = depths[_i / 2], head = _i % 2 ? S : 1;
    static float x[R * S * MOST];
    for (size_t i = 0; i < (size_t)R * S * depth; i++) x[i] = i % depth ? 0 : (float)(i / depth + 1);
    memset(bias, 0, sizeof bias);
    for (size_t i = 0; i < (size_t)OUT * depth; i++) w[i] = i % depth ? 0 : (float)(i / depth + 1);
    od_call call = {.n_row = R, .n_patch = S, .n_token = R * S, .head_patch = head};
    call.scratch[OD_SCRATCH_X] = test_kernel_put(x, (size_t)R * S * depth * 4);
    call.scratch[OD_SCRATCH_HEADS] = test_kernel_put(NULL, (size_t)R * head * OUT * 4);
    od_row_chain_args chain = {.call = test_kernel_put(&call, sizeof call)};
    const od_product_args p = {.w = test_kernel_put(w, (size_t)OUT * depth * 4),
                               .bias = PUT(bias),
                               .x = OD_SCRATCH_X,
                               .y = OD_SCRATCH_HEADS,
                               .outs = OUT,
                               .depth = depth,
                               .rows = OD_ROWS_HEAD};
    ck_assert(od_chain_add(&chain, &p));
    run(&chain, 64, _i % TEST_ORDERS);
    test_kernel_get(y, call.scratch[OD_SCRATCH_HEADS], (size_t)R * head * OUT * 4);
    for (size_t i = 0; i < (size_t)R * head * OUT; i++) {
        const size_t row = i / OUT / head, patch = S - head + i / OUT % head;
        SAME_FLOAT(y[i], (float)((row * S + patch + 1) * (i % OUT + 1)));
    }
}
END_TEST

START_TEST(a_full_chain_takes_no_more) {
    od_row_chain_args chain = {0}, as_it_was;
    od_product_args p = {.w = w, .bias = bias, .x = OD_SCRATCH_ATTENDED, .y = OD_SCRATCH_X, .outs = 8, .depth = 8};
    for (int i = 0; i < OD_CHAIN_LINKS; i++) ck_assert(od_chain_add(&chain, &p));
    as_it_was = chain;
    ck_assert(!od_chain_add(&chain, &p));
    ck_assert_mem_eq(&chain, &as_it_was, sizeof chain);
    chain = (od_row_chain_args){0};
    p.depth = 64;
    p.outs = OD_CHAIN_WEIGHTS / p.depth;
    ck_assert(od_chain_takes(&p) && od_chain_add(&chain, &p));
    as_it_was = chain;
    ck_assert(!od_chain_add(&chain, &p)); /* no room for as much again */
    ck_assert_mem_eq(&chain, &as_it_was, sizeof chain);
    p.outs++;
    ck_assert(!od_chain_takes(&p));
}
END_TEST

Suite *suite_row_chain(void) {
    Suite *s = suite_create("row_chain");
    TCase *t = tcase_create("row_chain");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(t, small_integers_are_exact, 0, DEPTHS * OUTS);
    tcase_add_loop_test(t, a_chain_has_the_bits_of_its_links, 0, TEST_ORDERS * SIZES);
    tcase_add_loop_test(t, a_layer_is_near_float64, 0, TEST_ORDERS * SIZES);
    tcase_add_loop_test(t, a_row_of_zeros_is_its_bias, 0, TEST_ORDERS);
    tcase_add_loop_test(t, heads_take_the_last_patches_of_each_row, 0, 2 * DEPTHS);
    tcase_add_test(t, a_full_chain_takes_no_more);
    suite_add_tcase(s, t);
    return s;
}
