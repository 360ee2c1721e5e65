/* The fused path's space-wise attention and its prefill's rotary embedding alone: float64 and exact closed forms. What
 * must not be read is NaN. */
#include <math.h>
#include <string.h>

#include "gpu/fused_grid_attention.h"
#include "tests/gpu/attend64.h"
#include "tests/gpu/kernel_run.h"

enum { BATCH = 2, PATCHES = 2, POSITION = 3, STRIDE = 8, MOST = 129, HEADS = 2, SLOT = BATCH * MOST * PATCHES };

typedef struct shape {
    uint32_t d, variates, split;
} shape;

static const shape shapes[] = {{4, 1, 0},  {6, 2, 0},  {8, 7, 0},   {64, 7, 1},  {4, 15, 1},  {8, 16, 0}, {6, 17, 0},
                               {4, 63, 1}, {8, 64, 0}, {64, 65, 1}, {4, 128, 1}, {6, 129, 0}, {4, 129, 1}};
enum { SHAPES = sizeof shapes / sizeof *shapes, RUNS = SHAPES * TEST_ORDERS };

/* Two groups: halves of the variates, so that whole tiles are hidden, or every second one. */
static int32_t group_of(shape s, uint32_t variate) {
    return (int32_t)(s.split ? variate / ((s.variates + 1) / 2) : variate % 2);
}

static float slot[SLOT * 3 * HEADS * 64], out[SLOT * HEADS * 64], other[SLOT * HEADS * 64];

/* All rows of `batch` batch rows from number `first` on. Features of groups other than `shown` are NaN. spare: of the
 * bucket. */
static void attend(float *to, int order, shape s, uint32_t batch, uint32_t first, int32_t shown, uint32_t spare) {
    static int32_t id[BATCH * MOST * STRIDE];
    const uint32_t width = HEADS * s.d, rows = batch * s.variates, tokens = rows * PATCHES;
    memset(id, 0x7f, sizeof id);
    for (uint32_t row = 0; row < rows; row++) {
        const int32_t group = group_of(s, row % s.variates);
        for (uint32_t i = 0; i < PATCHES; i++) id[row * STRIDE + POSITION + i] = group;
        for (uint32_t at = 0; at < PATCHES * 3 * width; at++)
            slot[row * PATCHES * 3 * width + at] = group == shown
                                                       ? test_feature(at / width % 3, first * s.variates + row,
                                                                      at / s.d % HEADS, at / (3 * width), at % s.d)
                                                       : NAN;
    }
    od_call call = {.id = PUT(id),
                    .patch_stride = STRIDE,
                    .position = POSITION,
                    .n_row = rows,
                    .variates = s.variates,
                    .n_patch = PATCHES,
                    .n_token = tokens};
    call.scratch[OD_SCRATCH_QKV] = test_kernel_put(slot, (size_t)tokens * 3 * width * 4);
    call.scratch[OD_SCRATCH_ATTENDED] = test_kernel_put(NULL, (size_t)tokens * width * 4);
    od_attend_tile_args args = {test_kernel_put(&call, sizeof call), 1.0f / sqrtf((float)s.d), HEADS, s.d, 0, 0, 0};
    od_grid grid = od_attend_group_grid(&args, tokens + spare, s.variates + spare);
    if (order % 2 && grid.x > 3) grid.x = 3; /* fewer blocks than items: each takes several */
    RUN(order, attend_group, grid, args);
    test_kernel_get(to, call.scratch[OD_SCRATCH_ATTENDED], (size_t)tokens * width * 4);
}

START_TEST(a_variate_attends_to_its_group_as_float64_does) {
    const shape s = shapes[_i / TEST_ORDERS];
    static attend64_keys all;
    attend64_sum q[64];
    double y[64];
    for (int32_t group = 0; group < 2 && group < (int32_t)s.variates; group++) {
        attend(out, _i % TEST_ORDERS, s, BATCH, 0, group, 0);
        for (uint32_t at = 0; at < BATCH * s.variates * PATCHES * HEADS; at++) {
            const uint32_t h = at % HEADS, i = at / HEADS % PATCHES, row = at / HEADS / PATCHES;
            const uint32_t first = row / s.variates * s.variates;
            if (group_of(s, row - first) != group) continue;
            for (uint32_t j = 0; j < s.variates; j++) {
                all.seen[j] = group_of(s, j) == group;
                for (uint32_t f = 0; f < s.d; f++) {
                    const double x = test_feature(1, first + j, h, i, f);
                    all.k[j][f] = (attend64_sum){x, fabs(x)};
                    all.v[j][f] = test_feature(2, first + j, h, i, f);
                }
            }
            for (uint32_t f = 0; f < s.d; f++) {
                const double x = test_feature(0, row, h, i, f);
                q[f] = (attend64_sum){x, fabs(x)};
            }
            const double bound = test_attend64(y, q, &all, s.variates, s.d);
            for (uint32_t f = 0; f < s.d; f++)
                ck_assert_msg(fabs(out[at * s.d + f] - y[f]) <= bound, "row %u patch %u head %u: %g, not %g", row, i, h,
                              out[at * s.d + f], y[f]);
        }
    }
}
END_TEST

START_TEST(no_bit_of_a_group_depends_on_its_surroundings) {
    const shape s = shapes[_i / TEST_ORDERS];
    const size_t one = (size_t)s.variates * PATCHES * HEADS * s.d * 4;
    attend(out, _i % TEST_ORDERS, s, BATCH, 0, 0, 0);
    attend(other, _i % TEST_ORDERS, s, BATCH, 0, 0, 77);
    for (size_t i = 0; i < BATCH * one / 4; i++)
        ck_assert((isnan(out[i]) && isnan(other[i])) || memcmp(out + i, other + i, 4) == 0);
    for (uint32_t batch = 0; batch < BATCH; batch++) {
        attend(other, _i % TEST_ORDERS, s, 1, batch, 0, 0);
        for (size_t i = 0; i < one / 4; i++)
            ck_assert((isnan(out[batch * one / 4 + i]) && isnan(other[i])) ||
                      memcmp(out + batch * one / 4 + i, other + i, 4) == 0);
    }
}
END_TEST

enum { ROWS = 2, TABLE = 8, SLOTS = 9, LAYERS = 2, WIDTH = 24 };

/* With sine 0 feature j is multiplied by the cosine of pair j/2, with cosine 0 its neighbour (a, b) → (-b, a) by the
 * sine; then a query by 2^(m·(i+1)), i = j mod d/2, m its distance from the centre, and a key by the inverse: all
 * exact. Blocks: fewer than tokens, as many, more. */
START_TEST(a_prefills_features_turn_and_scale_and_keys_are_kept_at_their_position) {
    static const uint32_t depths[] = {4, 6, 8, 12};
    const uint32_t d = depths[_i / TEST_ORDERS], half = d / 2, heads = WIDTH / d, position = 3, center = 5;
    static float qkv[ROWS * 2 * 3 * WIDTH], after[ROWS * 2 * 3 * WIDTH];
    static float cosine[TABLE * 6], sine[TABLE * 6], xpos[(2 * TABLE - 1) * 6];
    static float k[LAYERS * ROWS * SLOTS * WIDTH], v[LAYERS * ROWS * SLOTS * WIDTH];
    for (uint32_t run = 0; run < 6; run++) {
        const bool turn = run % 2;
        for (size_t i = 0; i < sizeof qkv / 4; i++) qkv[i] = (float)(i + 1);
        for (size_t i = 0; i < TABLE * half; i++) {
            cosine[i] = turn ? 0 : (float)(i + 1);
            sine[i] = turn ? (float)(i + 1) : 0;
        }
        for (int m = -(TABLE - 1); m < TABLE; m++)
            for (int i = 0; i < (int)half; i++) xpos[(m + TABLE - 1) * (int)half + i] = ldexpf(1, m * (i + 1));
        od_call call = {.key = test_kernel_put(NULL, sizeof k),
                        .cached = test_kernel_put(NULL, sizeof v),
                        .layer_stride = ROWS * SLOTS * WIDTH,
                        .key_stride = SLOTS,
                        .position = position,
                        .center = center,
                        .cosine = PUT(cosine),
                        .sine = PUT(sine),
                        .xpos = PUT(xpos),
                        .rope_rows = TABLE,
                        .n_row = ROWS,
                        .n_patch = 2,
                        .n_token = ROWS * 2};
        call.scratch[OD_SCRATCH_QKV] = PUT(qkv);
        const od_rotate_args args = {
            .call = test_kernel_put(&call, sizeof call), .n_head = heads, .d_head = d, .layer = 1};
        od_grid grid = od_rotate_grid(1 + run / 2 * (ROWS * 2 - 1), heads, d);
        if (run / 2 == 1) grid.threads = 1;
        RUN(_i % TEST_ORDERS, rotate, grid, args);
        GET(after, call.scratch[OD_SCRATCH_QKV]);
        GET(k, call.key);
        GET(v, call.cached);
        for (size_t at = 0; at < LAYERS * ROWS * SLOTS * WIDTH; at++) {
            const size_t j = at % d, place = at / d % SLOTS, h = at / d / SLOTS % heads;
            const size_t row = at / (SLOTS * WIDTH) % ROWS, layer = at / (ROWS * SLOTS * WIDTH);
            if (layer != 1 || place < position || place >= position + 2) {
                ck_assert(isnan(k[at]) && isnan(v[at]));
                continue;
            }
            const size_t token = row * 2 + place - position, here = token * 3 * WIDTH + h * d;
            const size_t from = here + (turn ? j ^ 1 : j);
            const float factor = (float)(place * half + j / 2 + 1) * (turn && j % 2 == 0 ? -1.0f : 1.0f);
            const int power = ((int)place - (int)center) * (int)(j % half + 1);
            ck_assert_float_eq(after[here + j], ldexpf(qkv[from] * factor, power));
            ck_assert_float_eq(k[at], ldexpf(qkv[from + WIDTH] * factor, -power));
            ck_assert_float_eq(v[at], qkv[here + 2 * WIDTH + j]);
        }
    }
}
END_TEST

Suite *suite_fused_group(void) {
    Suite *suite = suite_create("fused groups");
    TCase *tc = tcase_create("space-wise, and rotary");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, test_kernel_open, test_kernel_close);
    tcase_add_loop_test(tc, a_variate_attends_to_its_group_as_float64_does, 0, RUNS);
    tcase_add_loop_test(tc, no_bit_of_a_group_depends_on_its_surroundings, 0, RUNS);
    tcase_add_loop_test(tc, a_prefills_features_turn_and_scale_and_keys_are_kept_at_their_position, 0, 4 * TEST_ORDERS);
    suite_add_tcase(suite, tc);
    return suite;
}
