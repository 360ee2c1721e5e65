/* Rows of d floats in shared memory, for kernels that work on four features at a time: d rounded up to a multiple of 4
 * with zeros. Rows are an odd number of 16 bytes apart, so that neighbours begin in other banks. */
#ifndef OD_GPU_ROWS_CUH
#define OD_GPU_ROWS_CUH

#include "gpu/kernels/kernel.cuh"

OD_DEVICE uint32_t od_fours(uint32_t n) {
    return (n + 3) / 4 * 4;
}

OD_DEVICE uint32_t od_row_stride(uint32_t d) {
    return OD_ROW_STRIDE(d);
}

OD_DEVICE float4 od_zero4() {
    float4 z;
    z.x = z.y = z.z = z.w = 0;
    return z;
}

/* s + w·v */
OD_DEVICE float4 od_add4(float4 s, float w, float4 v) {
    s.x += w * v.x;
    s.y += w * v.y;
    s.z += w * v.z;
    s.w += w * v.w;
    return s;
}

OD_DEVICE float4 od_over4(float4 v, float by) {
    v.x /= by;
    v.y /= by;
    v.z /= by;
    v.w /= by;
    return v;
}

/* s + x·y, in order. */
OD_DEVICE float od_dot4(float s, float4 x, float4 y) {
    s += x.x * y.x;
    s += x.y * y.y;
    s += x.z * y.z;
    s += x.w * y.w;
    return s;
}

/* Rows of d floats from device to shared memory, all but row `skip`, by a thread of `threads`; 16 bytes at a time and
 * without waiting where d is a multiple of 4. */
OD_DEVICE void od_rows_fetch(unsigned t, unsigned threads, float *to, uint32_t to_stride, const float *from,
                             uint64_t from_stride, uint32_t rows, uint32_t d, uint32_t skip = UINT32_MAX) {
    const bool wide = d % 4 == 0;
    const uint32_t width = wide ? d / 4 : od_fours(d), down = threads / width, along = threads % width;
    const uint32_t each = wide ? 4 : 1, to_step = down * to_stride + along * each;
    const uint64_t from_step = down * from_stride + along * each;
    uint32_t r = t / width, f = t % width;
    to += r * to_stride + f * each;
    from += r * from_stride + f * each;
    while (r < rows) {
        if (wide && r != skip) od_copy16(to, from);
        if (!wide && r != skip) *to = f < d ? *from : 0.0f;
        r += down;
        f += along;
        to += to_step;
        from += from_step;
        if (f >= width) { /* into the next row */
            f -= width;
            r++;
            to += to_stride - width * each;
            from += (int64_t)from_stride - (int64_t)(width * each);
        }
    }
}

/* Features f … f + 3 of a row of d in device memory; 0 beyond d. */
OD_DEVICE float4 od_row_get(const float *row, uint32_t f, uint32_t d) {
    if (d % 4 == 0) return od_load4(row + f);
    float4 v = od_zero4();
    v.x = row[f];
    if (f + 1 < d) v.y = row[f + 1];
    if (f + 2 < d) v.z = row[f + 2];
    if (f + 3 < d) v.w = row[f + 3];
    return v;
}

OD_DEVICE void od_row_put(float *row, float4 v, uint32_t f, uint32_t d) {
    if (d % 4 == 0) {
        od_store4(row + f, v);
        return;
    }
    row[f] = v.x;
    if (f + 1 < d) row[f + 1] = v.y;
    if (f + 2 < d) row[f + 2] = v.z;
    if (f + 3 < d) row[f + 3] = v.w;
}

#endif
