/* What comes before the transformer, a block a row: new steps into the session's series, the scaler over them, scaled
 * patches. The sums run in time order, a thread each, and are all that is serial; loads, divisions and roots are
 * everyone's.
 *
 * Steps pass in tiles through five stages, one tile behind the other, a stage a phase: load, sum, step, m2, emit. So
 * the sums of one tile run while the squares of the tile two ahead of it do. */
#include "gpu/kernels/front.cuh"

enum { FRONT_STAGES = 5 };

/* Who does what: the sums are a thread's each; loads, steps and what is emitted are a team's each, since none of the
 * three need wait for another. A small block's threads do everything. */
struct front_team {
    unsigned first, count;
    bool all;
};

OD_DEVICE front_team front_team_of(const od_block &b) {
    front_team team;
    team.all = b.threads <= OD_FRONT_SERIAL;
    team.first = team.all ? 0 : OD_FRONT_SERIAL;
    team.count = od_front_team(b.threads);
    return team;
}

OD_DEVICE uint32_t front_tile_size(const front_row &f, uint32_t tile) {
    const uint32_t left = f.summed - f.first - tile * f.tile;
    return left < f.tile ? left : f.tile;
}

OD_DEVICE front_tiles front_at(const front_tiles &s, const front_row &f, uint32_t tile) {
    const uint32_t at = tile % FRONT_STAGES * f.tile;
    front_tiles p = s;
    p.x += at;
    p.w += at;
    p.sum += at;
    p.real += at;
    p.mean += at;
    p.m2 += at;
    return p;
}

OD_DEVICE void front_load(const front_row &f, const front_tiles &p, uint32_t tile, unsigned u, unsigned n_thread) {
    for (uint32_t i = u; i < front_tile_size(f, tile); i += n_thread) {
        p.x[i] = front_take(f, f.first + tile * f.tile + i, &p.w[i]);
        p.sum[i] = od_mul64(p.w[i], p.x[i]);
    }
}

/* Means, what each step adds to m2, and the sums of the prefix where it ends. `q`: the tile before. */
OD_DEVICE void front_step(const front_row &f, const front_tiles &p, const front_tiles &q, uint32_t tile, unsigned u,
                          unsigned n_thread) {
    const double base = p.start->weight;
    for (uint32_t i = u; i < front_tile_size(f, tile); i += n_thread) {
        const double mean = od_scaler_mean(p.sum[i], od_add64(base, p.real[i]));
        double before = p.start->mean;
        if (i)
            before = od_scaler_mean(p.sum[i - 1], od_add64(base, p.real[i - 1]));
        else if (tile)
            before = od_scaler_mean(q.sum[f.tile - 1], od_add64(base, q.real[f.tile - 1]));
        p.mean[i] = mean;
        p.m2[i] = od_scaler_increment(p.x[i], before, mean, p.w[i]);
        if (f.first + tile * f.tile + i + 1 == f.prefix) {
            p.whole[0] = p.sum[i];
            p.whole[1] = p.real[i];
        }
    }
}

/* loc and scale of each step; where no clamp has to be waited for, also its place in a patch. */
OD_DEVICE void front_emit(const od_front_args &a, const od_block &b, const front_row &f, const front_tiles &p,
                          uint32_t tile, unsigned u, unsigned n_thread) {
    for (uint32_t i = u; i < front_tile_size(f, tile); i += n_thread) {
        const uint32_t of = a.kind == CAUSAL ? i : i - i % f.patch + f.patch - 1;
        const uint32_t t = f.first + tile * f.tile + i;
        double scale = od_scaler_causal(b, p.m2[of], od_add64(p.start->weight, p.real[of]), a.minimum);
        if (!f.prefix) scale = od_scaler_clamp(scale, p.start->low, p.start->high);
        const float loc = (float)p.mean[of];
        f.loc[t] = loc;
        f.scale[t] = (float)scale;
        if (!f.prefix) f.patches[t - f.first] = (p.x[i] - loc) / (float)scale;
    }
}

/* After the last tile has been summed. */
OD_DEVICE void front_end(const front_row &f, const front_tiles &s, uint32_t n_tile) {
    if (n_tile == 0) return;
    const front_tiles p = front_at(s, f, n_tile - 1);
    const uint32_t i = front_tile_size(f, n_tile - 1) - 1;
    s.last->weight = od_add64(s.start->weight, p.real[i]);
    s.last->sum = p.sum[i];
    s.last->m2 = p.m2[i];
    s.last->mean = p.mean[i];
}

/* Squares about the prefix's mean, in time order: one tile's are made while the last one's are added. */
OD_DEVICE void front_squares(const od_front_args &a, od_block &b, const front_row &f, const front_tiles &s) {
    const front_team team = front_team_of(b);
    const uint32_t n_tile = (f.prefix + f.tile - 1) / f.tile;
    for (uint32_t round = 0; round <= n_tile; round++) OD_PHASE(t, b) {
            if (round < n_tile && t >= team.first) {
                const double mean = od_scaler_mean(s.whole[0], s.whole[1]);
                const uint32_t at = round * f.tile, n = f.prefix - at < f.tile ? f.prefix - at : f.tile;
                for (uint32_t i = t - team.first; i < n; i += b.threads - team.first)
                    s.sum[round % 2 * f.tile + i] = od_scaler_square(f.value[at + i], mean, f.mask[at + i]);
            }
            if (round > 0 && t == 0) {
                double *square = s.sum + (round - 1) % 2 * f.tile;
                const uint32_t left = f.prefix - (round - 1) * f.tile, last = left < f.tile ? left : f.tile;
                const double before = round > 1 ? s.whole[2] : 0;
                front_running(square, square, last, before);
                s.whole[2] = square[last - 1];
            }
        }
    OD_PHASE(t, b) {
        if (t == 0) od_scaler_global(a, b, s.whole[0], s.whole[1], s.whole[2], s.last);
    }
}

/* Scales that had to wait for the global one, and patches; StdMeanScaler's steps past the prefix are only taken here.
 */
OD_DEVICE void front_finish(const od_front_args &a, const front_row &f, const od_scaler_state &s, unsigned u,
                            unsigned n_thread) {
    enum { BATCH = 4 };
    const bool one = a.kind == STD_MEAN;
    for (uint32_t from = f.first + u; from < f.end; from += BATCH * n_thread) {
        float x[BATCH] = {0}, loc[BATCH] = {0}, scale[BATCH] = {0};
        for (uint32_t j = 0, t = from; j < BATCH; j++, t += n_thread) {
            uint8_t w;
            if (t >= f.end) continue;
            x[j] = one && t >= f.summed ? front_take(f, t, &w) : f.value[t];
            loc[j] = one ? (float)s.loc : f.loc[t];
            scale[j] = one ? (float)s.scale : od_scaler_clamp(f.scale[t], (float)s.low, (float)s.high);
        }
        for (uint32_t j = 0, t = from; j < BATCH; j++, t += n_thread) {
            if (t >= f.end) continue;
            if (one) f.loc[t] = loc[j];
            f.scale[t] = scale[j];
            f.patches[t - f.first] = (x[j] - loc[j]) / scale[j];
        }
    }
}

/* The serial stages, a thread each. A tile's sums go on from those of the tile ahead, which is a stage further. */
OD_DEVICE void front_sums(const front_row &f, const front_tiles &s, uint32_t round, uint32_t n_tile, bool causal,
                          unsigned t) {
    const uint32_t last = f.tile - 1;
    if (t == FRONT_SUM && round >= 1 && round - 1 < n_tile) {
        const front_tiles p = front_at(s, f, round - 1);
        const double before = round > 1 ? front_at(s, f, round - 2).sum[last] : s.start->sum;
        front_running(p.sum, p.sum, front_tile_size(f, round - 1), before);
    }
    if (t == FRONT_COUNT && round >= 1 && round - 1 < n_tile) {
        const front_tiles p = front_at(s, f, round - 1);
        const uint32_t before = round > 1 ? front_at(s, f, round - 2).real[last] : 0;
        front_running(p.real, p.w, front_tile_size(f, round - 1), before);
    }
    if (t == FRONT_M2 && causal && round >= 3 && round - 3 < n_tile) {
        const front_tiles p = front_at(s, f, round - 3);
        const double before = round > 3 ? front_at(s, f, round - 4).m2[last] : s.start->m2;
        front_running(p.m2, p.m2, front_tile_size(f, round - 3), before);
    }
}

/* The others. */
OD_DEVICE void front_work(const od_front_args &a, const od_block &b, const front_row &f, const front_tiles &s,
                          uint32_t round, uint32_t n_tile, unsigned t) {
    const front_team team = front_team_of(b);
    if (t < team.first) return;
    const unsigned which = (t - team.first) / team.count, u = (t - team.first) % team.count;
    if (round < n_tile && (team.all || which == 0)) front_load(f, front_at(s, f, round), round, u, team.count);
    if (round >= 2 && round - 2 < n_tile && (team.all || which == 1))
        front_step(f, front_at(s, f, round - 2), front_at(s, f, round - 3), round - 2, u, team.count);
    if (round >= 4 && a.kind != STD_MEAN && (team.all || which == 2))
        front_emit(a, b, f, front_at(s, f, round - 4), round - 4, u, team.count);
}

/* One row: rounds of the stages, then what had to wait for the whole prefix. */
OD_DEVICE void front_run(const od_front_args &a, od_block &b, const od_call *c, const front_row &f,
                         const front_tiles &s, uint64_t row) {
    const bool causal = a.kind != STD_MEAN;
    const uint32_t n_tile = (f.summed - f.first + f.tile - 1) / f.tile;
    const uint32_t rounds = n_tile + FRONT_STAGES - 1; /* tile k is in stage g in round k + g */
    for (uint32_t round = 0; round < rounds; round++) OD_PHASE(t, b) {
            if (round == 0) front_begin(a, b, c, s, row, t);
            front_sums(f, s, round, n_tile, causal, t);
            front_work(a, b, f, s, round, n_tile, t);
            if (round + 1 == rounds && causal && t == 0) {
                front_end(f, s, n_tile);
                if (!f.prefix) c->state[row] = *s.last;
            }
        }
    if (f.prefix) front_squares(a, b, f, s);
    if (!causal || f.prefix) OD_PHASE(t, b) {
            front_finish(a, f, *s.last, t, b.threads);
            if (t == 0) c->state[row] = *s.last;
        }
}

/* What is wanted of all steps' means and squares where they fit into shared memory at once. */
OD_DEVICE void front_all_steps(const od_front_args &a, const od_block &b, const front_row &f, const front_tiles &s,
                               double *square, unsigned t) {
    const uint32_t n = f.end - f.first;
    if (a.kind != STD_MEAN) {
        const double base = s.start->weight;
        for (uint32_t i = t; i < n; i += b.threads) {
            const double before =
                i ? od_scaler_mean(s.sum[i - 1], od_add64(base, s.real[i - 1])) : (double)s.start->mean;
            s.mean[i] = od_scaler_mean(s.sum[i], od_add64(base, s.real[i]));
            const bool counts = OD_KERNEL_FAULT_WHEN(b, MISSING, !s.w[i]);
            s.m2[i] = od_scaler_increment(s.x[i], before, s.mean[i], counts ? 1 : s.w[i]);
        }
    }
    if (f.prefix) {
        const double mean = od_scaler_mean(s.sum[f.prefix - 1], s.real[f.prefix - 1]);
        for (uint32_t i = t; i < f.prefix; i += b.threads) square[i] = od_scaler_square(s.x[i], mean, s.w[i]);
    }
}

/* The sums that need the means: the causal scaler's m2, and the prefix's squares. */
OD_DEVICE void front_all_sums(const od_front_args &a, const od_block &b, const front_row &f, const front_tiles &s,
                              double *square, unsigned t) {
    const bool m2 = t == FRONT_M2 && a.kind != STD_MEAN, whole = t == FRONT_SUM && f.prefix;
    const uint32_t n = f.end - f.first;
    if (m2 || whole) {
        double *sum = m2 ? s.m2 : square;
        front_running(sum, sum, m2 ? n : f.prefix, m2 ? s.start->m2 : 0.0);
    }
    if (m2) {
        s.last->weight = od_add64(s.start->weight, s.real[n - 1]);
        s.last->sum = s.sum[n - 1];
        s.last->m2 = s.m2[n - 1];
        s.last->mean = s.mean[n - 1];
    }
    if (whole) od_scaler_global(a, b, s.sum[f.prefix - 1], s.real[f.prefix - 1], square[f.prefix - 1], s.last);
}

OD_DEVICE void front_all_out(const od_front_args &a, const od_block &b, const front_row &f, const front_tiles &s,
                             unsigned t) {
    for (uint32_t i = t; i < f.end - f.first; i += b.threads) {
        const uint32_t of = a.kind == CAUSAL ? i : i - i % f.patch + f.patch - 1;
        double loc = s.last->loc, scale = s.last->scale;
        if (a.kind != STD_MEAN) {
            loc = s.mean[of];
            scale = od_scaler_causal(b, s.m2[of], od_add64(s.start->weight, s.real[of]), a.minimum);
            const double clamped = od_scaler_clamp(scale, s.last->low, s.last->high);
            if (!OD_KERNEL_FAULT_WHEN(b, CLAMP, scale != clamped)) scale = clamped;
        }
        f.loc[f.first + i] = (float)loc;
        f.scale[f.first + i] = (float)scale;
        f.patches[i] = (s.x[i] - (float)loc) / (float)scale;
    }
}

/* One row whose steps are few: no stage has others to hide behind, so each does all steps, and nothing is loaded twice.
 */
OD_DEVICE void front_all(const od_front_args &a, od_block &b, const od_call *c, const front_row &f,
                         const front_tiles &s, uint64_t row) {
    const uint32_t n = f.end - f.first, summed = f.summed - f.first;
    double *const square = s.sum + n;
    OD_PHASE(t, b) {
        for (uint32_t i = t; i < n; i += b.threads) {
            const float x = front_take(f, f.first + i, &s.w[i]);
            s.x[i] = x;
            s.sum[i] = od_mul64(s.w[i], x);
        }
        front_begin(a, b, c, s, row, t);
    }
    if (summed) {
        OD_PHASE(t, b) {
            if (t == FRONT_SUM) front_running(s.sum, s.sum, summed, s.start->sum);
            if (t == FRONT_COUNT) front_running(s.real, s.w, summed, 0u);
        }
        OD_PHASE(t, b) {
            front_all_steps(a, b, f, s, square, t);
        }
        OD_PHASE(t, b) {
            front_all_sums(a, b, f, s, square, t);
        }
    }
    OD_PHASE(t, b) {
        front_all_out(a, b, f, s, t);
        if (t == FRONT_STATE) c->state[row] = *s.last;
    }
}

OD_KERNEL(front, struct od_front_args) {
    const od_call call = *a.call;
    const uint32_t n = FRONT_STAGES * od_front_tile(a.patch, b.threads);
    front_tiles s;
    s.start = OD_SHARED(b, od_scaler_state, 1);
    s.last = OD_SHARED(b, od_scaler_state, 1);
    s.whole = OD_SHARED(b, double, 3);
    s.sum = OD_SHARED(b, double, n);
    s.mean = OD_SHARED(b, double, n);
    s.m2 = OD_SHARED(b, double, n);
    s.x = OD_SHARED(b, float, n);
    s.real = OD_SHARED(b, uint32_t, n);
    s.w = OD_SHARED(b, uint8_t, n);
    for (uint64_t row = b.x; row < call.n_row; row += b.nx) {
        const front_row f = front_row_of(a, b, &call, row);
        if (2 * (f.end - f.first) <= n)
            front_all(a, b, &call, f, s, row);
        else
            front_run(a, b, &call, f, s, row);
    }
}
