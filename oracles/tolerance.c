#include "oracles/tolerance.h"

#include <math.h>

/* Where the numbers come from. Measurements are those of the official code (PyPI toto-ts 0.2.0, torch 2.11) on one
 * H100 and on its host's CPU, float32 with TF32 off against float64, over the distribution's parameters. */
const od_tolerance od_bounds = {
    /* Honest float32 leaves float64 by an MAE of 5e-8 (seed-tiny) to 1.5e-7 (toto-open-base, 16 patches): 1e-6 lies 7
     * times above the larger. TF32 products cost 1e-4: 1e-6 lies 100 times below. At weights 1.5 times wider two honest
     * orders of summation differ by 2e-7 to 5e-7, still inside. */
    .mae = 1e-6,

    /* A mean hides one bad element: of 344,064 values one may be off by 0.3 and the MAE still read 9e-7. The largest
     * single difference of honest float32 was 2.2e-6 (toto-open-base), 2.7e-6 between batch sizes; 5e-5 leaves a
     * factor of 18 to rare cancellations and still sees any one element that took a wrong value. */
    .max_abs = 5e-5,

    /* Golden vectors are made at gain 1.5, where each own patch amplifies the rounding before it: two honest orders of
     * summation reached 1.6e-6 after 8 steps. 1e-5 leaves a factor of 6; the first patch is held to .mae. */
    .free_mae = 1e-5,

    /* An independent float64 implementation reproduced 28 vectors to 2e-13·max(1, |value|): a factor of 50. */
    .golden = 1e-11,

    /* Honest pairs use 5 to 15 % of the contract (above: 5e-8 to 1.5e-7 of 1e-6); beyond 20 % it is worth knowing which
     * of the two is off, long before a breach. */
    .arbiter_share = 0.2,

    /* Free-running forecasts of 8 steps left the contract in 15 of 40 healthy float32 models at gain 1.5, in none of 40
     * at 1 and at 1.25. */
    .gain_limit = 1.25,

    /* What a fast path may cost, by the validation report that the project grew from: at most +50 % memory, never more
     * than 2 times slower. Growth over requests is held to the same 1.5; a slow leak is caught by its slope, whose
     * bound is 0 because an allocator's counters carry no noise. */
    .memory_ratio = 1.5,
    .speed_ratio = 2.0,

    /* Waits and copies are counted, without noise. A call of the fast path waits for its own end, and for its answers
     * when they are asked for: 2 in each of 1,381 cases (1,200 of three profiles, the corpus's 181), with the reading
     * of the counters once a play. 3 and one more a play leave a wait for something else, and are passed by a wait a
     * layer from three layers on, or from two layers and two calls on. It copies its window (of 9 bytes a step that it
     * is given 5 and a 4-byte id a patch) and a call block of 384 bytes: twice the window and 1 KiB leave it a factor
     * of 2 and more, and are passed by a matrix of 24 x 24 a call where windows are under 128 steps of a row, by one
     * of 64 x 64 under some 1,200. */
    .waits_call = 3,
    .copied_call = 1024,
    .copied_windows = 2,

    /* Witnesses of memory, over 16 readings. RssAnon counts pages of 4096 bytes: a leak of less than a page in 16
     * requests cannot show, which makes 256 a request; malloc's count is exact but for splinters that it leaves with
     * blocks. In 15,513 healthy series (ref against twin: 5,000 generated cases and the corpus's 171, three witnesses)
     * no slope was above 0. At one-sided 99.9 % the lower end of 16
     * readings is the 25th of their 120 pairs' slopes: a series of which a fifth of the pairs do not grow has none.
     * Splinters came to 2,512 bytes at most between the first two readings: from 4 KiB on a step of malloc's is worth
     * a series, and from 64 KiB on, 16 pages, one of RssAnon, which a heap comes by as it finds its size (20 of 1,500
     * cases in a row, the first of a process: 217 KB at most). */
    .witness_slope = 256,
    .witness_z = 3.09,
    .witness_step = 4096,
    .witness_pages = 65536,

    /* A captured graph is a list of its nodes on the host: 11 KB for seed-tiny's 6 layers, measured on the twin, which
     * is 6 % of that model and nothing beside one that anybody serves. The 1.5 covers it but for toys of a few thousand
     * parameters with all their graphs alive: 31 of 4,550 generated cases lie above (the worst at 2.14), and a graph
     * needs 3.4 KB beside the ratio to bring all of them below. 8 KiB leaves a factor of 2.4. */
    .graph_bytes = 8192,

    /* Against float64 two honest float32 orders of summation are about equally far: over the tensors of a class their
     * distances' ratio averages to 1, and single tensors scatter. 1.5 is less than what one lost bit (2) would cost.
     * One tensor of few values may be 4 times as far by chance; below 1e-7, a tenth of the contract and twice the least
     * that was seen of honest float32, no ratio means anything. */
    /* Where one tensor's largest distances are held against each other (explain.h), the 4 counts beyond max_abs alone,
     * 18 times above the largest that was seen of honest float32: there no ratio of 4 comes by chance. */
    .near_mean = 1.5,
    .near_each = 4,
    .near_abs = 1e-7,

    /* A tensor that one engine gives exactly (a constant series) would divide by zero: 1e-9 is a fiftieth of the least
     * distance of honest float32, so that it changes no ratio of tensors that rounding reaches. */
    .near_floor = 1e-9,

    /* The mean error of few values scatters: with independent errors of equal size the ratio of two such means exceeds
     * 4 in 1 of 90 pairs of 4 values, in 1 of 1900 of 8. A class's geometric mean over one case alone (158 cases, ref
     * against the twin) reached 2.0 with 30 to 100 values, 1.54 with 1,000 to 3,000, 1.19 with more. */
    .near_values = 8,
    .near_class = 10000,

    /* The envelope (envelope.h). Measured with ref against twin: 40,000 cases of seed 1 give the percentiles, those of
     * seeds 2, 3 and 101 (60,000 of profile rate, 60,000 of default) are held against them. A case has 30 to 40
     * comparisons of two figures, so that the percentile alone would be left in every thirtieth. Beyond it, MAE by its
     * margin, over 20,000 + 20,000 cases of seed 101:
     *
     *     margin     1.5  1.75     2  2.25   2.5
     *     rate         2     0     0     0     0   cases
     *     default     13     8     4     1     0
     *
     * The largest single difference: 2: 2 + 4, 2.5: 1 + 1, 3: 0 + 1, 4: none. 2.25 and 4 leave 4 of the 120,000 cases
     * (1 of rate, 3 of default: 3.3e-5 a case, at most 8e-5 with 95 % confidence): 1e-4 is stated. The price is what a
     * fault must exceed: of the 92 percentiles of MAE the largest is 2.8e-7 (4 values and fewer), those of 17 values
     * and more lie at 2e-7 and below, their bounds at 4.5e-7 and below.
     *
     * Floors. An output between 2 and 4 (df) has a last place of 2.4e-7: where tensors are off by one last place, all
     * of a kind, or not at all, the percentile lies below it and the next case above. Without the floor 59 of 20,000
     * cases of profile default leave the envelope, with it 1. 1e-6 is four of those for a single value.
     *
     * 1,000 comparisons are the fewest that have a 99.9th percentile below their largest. Weights of a gain of 1.25 are
     * ten times as often as others beyond 0.8 of the percentile, and too few to have their own: the contract holds
     * them. */
    .envelope_quantile = 0.999,
    .envelope_mae = 2.25,
    .envelope_max = 4,
    .envelope_mae_floor = 2.4e-7,
    .envelope_max_floor = 1e-6,
    .envelope_least = 1000,
    .envelope_gain = 1,
    .envelope_alarms = 1e-4,

    /* The mean shift (shift.h). Between cases a class's signed mean scatters by 1e-8 to 3e-8 (probs 2e-9), and its mean
     * over 39,032 healthy cases is 3e-10 or less. A normal mean is 5 standard errors off in 6e-7 of runs, in one of 21
     * classes in 1.2e-5 of runs; the tails of 200 cases' mean are a little heavier, and the shift must exceed the floor
     * as well: 1e-4 is stated. In 1,817 healthy classes of runs of 200 cases (seed 101) the largest z was 3.2, the
     * largest shift 5.2e-9; in 355 of 1,000 cases 2.5 and 2.3e-9. A hundredth of the contract lies above all of these,
     * and a tenth (1e-7), the fault to be found, ten times above the floor; over 1,000 cases its z is 80 to 160. */
    .shift_z = 5,
    .shift_floor = 1e-8,
    .shift_least = 200,
    .shift_alarms = 1e-4,
};

bool od_within(double err, double bound) {
    return err <= bound;
}

double od_contract_share(double mae, double max_abs) {
    if (isnan(mae) || isnan(max_abs)) return INFINITY;
    return fmax(mae / od_bounds.mae, max_abs / od_bounds.max_abs);
}
