/* The kernel front against the three that it stands for: bit by bit the same series, statistics, state and patches,
 * over calls that follow each other. What those three compute has its closed forms in scaler_test.c and kernels_test.c.
 */
#include <stdlib.h>
#include <string.h>

#include "gpu/fused_grid.h"
#include "model/config.h"
#include "tests/gpu/kernel_run.h"

/* Steps on both sides of a tile, of what is not cut into tiles, of several tiles, and of the batches that sums are made
 * in. */
static const struct {
    uint32_t patch, n_patch;
    uint32_t capacity; /* of the bucket, in patches a row */
} shapes[] = {{4, 1, 1},     {4, 8, 8},     {4, 16, 16},   {4, 17, 17},   {4, 17, 70},   {4, 80, 80},
              {1, 7, 7},     {1, 65, 65},   {1, 257, 300}, {3, 171, 171}, {7, 9, 9},     {60, 3, 3},
              {64, 9, 16},   {64, 8, 8},    {100, 5, 5},   {512, 3, 3},   {4, 100, 100}, {4, 160, 160},
              {4, 161, 161}, {1, 641, 641}, {1, 320, 320}, {1, 321, 321}, {60, 20, 20}};
enum { SHAPES = sizeof shapes / sizeof *shapes, KINDS = 5, MASKS = 4, CALLS = 4, MORE_ROWS = 2 };

static uint64_t random_state;

static uint32_t draw(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

/* Everything of a session and of a call that the kernels write. */
enum part { VALUE, MASK, ID, LOC, SCALE, STATE, PATCHES, PARTS };
static const char *const part_names[PARTS] = {"series", "mask", "ids", "loc", "scale", "state", "patches"};

typedef struct world {
    uint32_t rows, patch, step_stride, patch_stride;
    size_t bytes[PARTS];
    void *part[PARTS];
} world;

static world make_world(uint32_t rows, uint32_t patch, uint32_t patches) {
    world w = {.rows = rows, .patch = patch, .step_stride = patches * patch + 3, .patch_stride = patches + 1};
    const size_t steps = (size_t)rows * w.step_stride;
    const size_t bytes[PARTS] = {steps * 4, steps,     (size_t)rows * w.patch_stride * 4,
                                 steps * 4, steps * 4, rows * sizeof(od_scaler_state),
                                 steps * 4};
    memcpy(w.bytes, bytes, sizeof bytes);
    for (int i = 0; i < PARTS; i++) w.part[i] = test_kernel_put(NULL, bytes[i]);
    return w;
}

/* The call, with the world's part of it. */
static const od_call *put_call(const world *w, od_call call) {
    call.value = w->part[VALUE];
    call.mask = w->part[MASK];
    call.id = w->part[ID];
    call.loc = w->part[LOC];
    call.scale = w->part[SCALE];
    call.state = w->part[STATE];
    call.step_stride = w->step_stride;
    call.patch_stride = w->patch_stride;
    call.n_row = w->rows;
    call.n_token = w->rows * call.n_patch;
    call.scratch[OD_SCRATCH_PATCHES] = w->part[PATCHES];
    return test_kernel_put(&call, sizeof call);
}

static void run_three(const world *w, int order, const od_call *call, const od_front_args *how) {
    const od_call *device = put_call(w, *call);
    const od_ingest_args in = {.call = device,
                               .value = call->scratch[OD_SCRATCH_IN_VALUE],
                               .mask = call->scratch[OD_SCRATCH_IN_MASK],
                               .id = call->scratch[OD_SCRATCH_IN_ID],
                               .new_count = call->new_count,
                               .patch = w->patch};
    RUN(order, ingest, ((od_grid){w->rows, 1, 32, 0}), in);
    const od_scaler_args scaler = {.call = device,
                                   .minimum = how->minimum,
                                   .low_factor = how->low_factor,
                                   .high_factor = how->high_factor,
                                   .rows = w->rows,
                                   .patch = w->patch,
                                   .last_count = call->n_patch * w->patch,
                                   .kind = how->kind,
                                   .stabilize = how->stabilize};
    RUN(order, scaler, test_cover(w->rows, 8), scaler);
    const size_t count = (size_t)w->rows * call->n_patch * w->patch;
    const od_patchify_args cut = {
        .call = device, .out = w->part[PATCHES], .n_patch = call->n_patch, .patch = w->patch, .count = count};
    RUN(order, patchify, test_cover(count, 32), cut);
}

static void compare(const world *a, const world *b, uint32_t call) {
    for (int i = 0; i < PARTS; i++) {
        char *x = malloc(a->bytes[i]), *y = malloc(a->bytes[i]);
        test_kernel_get(x, a->part[i], a->bytes[i]);
        test_kernel_get(y, b->part[i], a->bytes[i]);
        size_t at = 0;
        while (at < a->bytes[i] && x[at] == y[at]) at++;
        ck_assert_msg(at == a->bytes[i], "call %u: %s differ at byte %zu of %zu (patch %u, %u rows)", call,
                      part_names[i], at, a->bytes[i], a->patch, a->rows);
        free(x);
        free(y);
    }
}

/* What a call brings in. */
typedef struct window {
    void *value, *mask, *id, *mean; /* on the device */
} window;

static window draw_window(uint32_t rows, uint32_t count, uint32_t patch, int masks) {
    const uint32_t n = rows * count;
    float *value = malloc(n * sizeof *value), *mean = malloc(rows * patch * sizeof *mean);
    uint8_t *mask = malloc(n);
    int32_t *id = malloc(n / patch * sizeof *id);
    for (uint32_t k = 0; k < n; k++) {
        const bool real[MASKS] = {true, draw() % 2, draw() % 50 == 0, k % count >= count / 2};
        value[k] = ((float)(draw() % 20001) - 10000) / 777 * (draw() % 500 ? 1 : 1e4f);
        mask[k] = real[masks];
    }
    for (uint32_t k = 0; k < rows * patch; k++) mean[k] = (float)(draw() % 1000) / 31;
    for (uint32_t k = 0; k < n / patch; k++) id[k] = (int32_t)draw();
    const window w = {test_kernel_put(value, n * sizeof *value), test_kernel_put(mask, n),
                      test_kernel_put(id, n / patch * sizeof *id), test_kernel_put(mean, rows * patch * sizeof *mean)};
    free(value);
    free(mean);
    free(mask);
    free(id);
    return w;
}

/* Number i is a shape, a scaler, a kind of mask, and whether each call starts at step 0 again. The calls: a prefill, a
 * patch from outside, an own patch, another from outside. */
START_TEST(front_is_ingest_scaler_and_patchify) {
    if (test_left_out(_i)) return;
    const int masks = _i % MASKS, recompute = _i / MASKS % 2, kind = _i / MASKS / 2 % KINDS;
    const int shape = _i / MASKS / 2 / KINDS;
    const uint32_t patch = shapes[shape].patch, n_patch = shapes[shape].n_patch, rows = 1 + (uint32_t)_i % 3;
    const world old = make_world(rows, patch, n_patch + CALLS - 1),
                fused = make_world(rows, patch, n_patch + CALLS - 1);
    od_front_args how = {
        .minimum = kind ? 0.1 : 1e-3, .low_factor = 0.5, .high_factor = 1.5, .patch = patch, .stabilize = kind > 2};
    how.kind = !kind ? OD_SCALER_STD_MEAN : kind % 2 ? OD_SCALER_CAUSAL_STD_MEAN : OD_SCALER_CAUSAL_PATCH_STD_MEAN;
    random_state = (uint64_t)_i;
    const uint32_t more = draw() % 2 ? MORE_ROWS : 0;
    for (uint32_t n = 0; n < CALLS; n++) {
        const uint32_t count = n ? patch : n_patch * patch, end = (n_patch + n) * patch;
        const window in = draw_window(rows, count, patch, masks);
        od_call call = {
            .first_step = recompute ? 0 : end - count,
            .new_step = end - count,
            .prefix = n_patch * patch,
            .own = n == 2,
            .n_patch = recompute ? end / patch : count / patch,
            .new_count = count,
            .mean = in.mean,
            .scratch = {[OD_SCRATCH_IN_VALUE] = in.value, [OD_SCRATCH_IN_MASK] = in.mask, [OD_SCRATCH_IN_ID] = in.id}};
        const bool step = n && !recompute;
        const size_t capacity = (rows + more) * (step ? 1 : shapes[shape].capacity + n);
        const int order = (int)(draw() % TEST_ORDERS);
        run_three(&old, order, &call, &how);
        how.call = put_call(&fused, call);
        RUN(order, front, od_front_grid(&how, capacity, step), how);
        compare(&old, &fused, n);
    }
}
END_TEST

Suite *suite_front(void) {
    Suite *suite = suite_create("front");
    TCase *tc = tcase_create("identities");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(tc, front_is_ingest_scaler_and_patchify, 0, SHAPES * KINDS * 2 * MASKS);
    suite_add_tcase(suite, tc);
    return suite;
}
