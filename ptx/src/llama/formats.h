// The formats of weights, as `repack` lays them out and as a warp multiplies with them.
//
// A matrix is cut into tiles of 16 rows, a tile into items of COLUMNS columns and BYTES bytes, one after the other. An item
// is copied to shared memory as it is, 16 bytes for each lane and copy. It begins with quants: rows of 512 bytes, of which
// a lane's 16 are its part of A fragments of mma: with g = lane / 4 and t = lane % 4, weights of rows g and g + 8. What
// scales them follows.
//
// B has eight columns and there is one vector: so columns 2j and 2j + 1 take the high and the low bytes of the j-th of
// four runs of activations, everything else being zero, and four products later each lane holds, of two rows, the sum
// over one run: lane t over run t. That is when scales are applied, once for 64 weights of a lane.
//
// Of a prompt many tokens are multiplied at once: then the columns of B are tokens, and what is asked for is `fragment`,
// the weights of one run of 32 columns, and its `scales` for rows g and g + 8: a weight is scale * quant - low.

#pragma once
#include "activations.h"

// Two rows' sums. `dot` still has to be multiplied with the factor of its format, `low` (the minima) subtracted.
struct Sum {
    float dot[2] = {0, 0};
    float low[2] = {0, 0};
};

// Scales and minima of two rows.
struct Scales {
    float scale[2], low[2];
};

__device__ __forceinline__ float byte_to_float(u32 word, u32 byte) { return (float)(u8)(word >> 8 * byte); }
__device__ __forceinline__ float signed_byte_to_float(u32 word, u32 byte) { return (float)(i8)(word >> 8 * byte); }
__device__ __forceinline__ float low_half(u32 v) { return __half2float(__ushort_as_half((u16)v)); }
__device__ __forceinline__ float high_half(u32 v) { return __half2float(__ushort_as_half((u16)(v >> 16))); }
__device__ __forceinline__ u32 word_of(const uint4& v, u32 i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }
__device__ __forceinline__ uint4 operator&(uint4 v, u32 m) { return make_uint4(v.x & m, v.y & m, v.z & m, v.w & m); }
__device__ __forceinline__ uint4 operator|(uint4 a, uint4 b) { return make_uint4(a.x | b.x, a.y | b.y, a.z | b.z, a.w | b.w); }
__device__ __forceinline__ uint4 operator<<(uint4 v, u32 n) { return make_uint4(v.x << n, v.y << n, v.z << n, v.w << n); }
__device__ __forceinline__ uint4 operator>>(uint4 v, u32 n) { return make_uint4(v.x >> n, v.y >> n, v.z >> n, v.w >> n); }

// A lane's part of a row of 512 bytes.
__device__ __forceinline__ uint4 row_of(const u8* item, u32 row, u32 lane) { return *(const uint4*)(item + row * 512 + lane * 16); }
__device__ __forceinline__ u32 word_at(const u8* at, u32 i) { return ((const u32*)at)[i]; }
// The word of four lanes with run `t` that has these rows.
__device__ __forceinline__ u32 of_run(const u8* words, u32 t, u32 lane) { return word_at(words, lane / 4 * 4 + t); }
// Where a weight of 8 bits lies in its row of 512 bytes.
__device__ __forceinline__ u32 byte_at(u32 row, u32 column) {
    return (row % 8 * 4 + column % 16 / 4) * 16 + (row / 8 + column % 32 / 16 * 2) * 4 + column % 4;
}
// Where the word with the scales of a row and of run t begins.
__device__ __forceinline__ u32 word_of_run(u32 row, u32 t) { return (row % 8 * 4 + t) * 4; }

// The four runs of 32 whose products one scaling serves.
struct Group {
    u32 lane;
    uint2 b;
    float2 scale;
    i32 c[4] = {0, 0, 0, 0};

    __device__ __forceinline__ Group(const Activations<Kind::Bytes>& x, u32 group, u32 lane) : lane(lane) {
        b = *(const uint2*)(x.values + group * 256 + lane / 8 * 64 + lane % 4 * 16 + lane / 4 % 2 * 8);
        scale = x.scales[group * 4 + lane % 4];
    }
    template <bool is_signed>
    __device__ __forceinline__ void multiply(u32 run, uint4 a) {
        const u32 mine = lane / 8 == run ? 0xffffffff : 0, b0 = b.x & mine, b1 = b.y & mine;
        if (is_signed)
            mma_s8(c, a.x, a.y, a.z, a.w, b0, b1);
        else
            mma_u8(c, a.x, a.y, a.z, a.w, b0, b1);
    }
    // Lane t's sum over run t, for row g (0) or g + 8 (1).
    __device__ __forceinline__ float dot(u32 row) const { return scale.x * (float)(c[2 * row] * 256 + c[2 * row + 1]); }
};

// 8-bit integers with a 16-bit scale for each 32.
struct Q8_0 {
    using X = Activations<Kind::Bytes>;
    static constexpr u32 COLUMNS = 128, QUANTS = 2048, BYTES = QUANTS + 128;

    static __device__ __forceinline__ void dot(Sum& sum, const u8* item, const X& x, u32 n, u32 lane) {
        Group group(x, n, lane);
#pragma unroll
        for (u32 run = 0; run < 4; run++) group.multiply<true>(run, row_of(item, run, lane));
        const u32 d = word_at(item + QUANTS, lane);
        sum.dot[0] += low_half(d) * group.dot(0);
        sum.dot[1] += high_half(d) * group.dot(1);
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32) { return sum.dot[row]; }
    static constexpr bool is_signed = true, has_low = false;
    static __device__ __forceinline__ uint4 fragment(const u8* item, u32 run, u32 lane) { return row_of(item, run, lane); }
    static __device__ __forceinline__ Scales scales(const u8* item, u32 run, u32, u32 lane) {
        const u32 w = of_run(item + QUANTS, run, lane);
        return {{low_half(w), high_half(w)}, {0, 0}};
    }
    static __device__ float weight(const u8* item, u32 row, u32 column) {
        const i8 q = item[column / 32 * 512 + byte_at(row, column)];
        return (float)q * __half2float(((const half*)(item + QUANTS + word_of_run(row, column / 32)))[row / 8]);
    }
};

// Nibbles: two runs of 32 in a row. The first is in the low nibbles; the second is used where it stands, in the high
// nibbles, and so is 16 times too large, in the lanes of odd runs.
__device__ __forceinline__ float nibble_factor(u32 lane) { return lane % 2 ? 1.0f / 16 : 1.0f; }
__device__ __forceinline__ uint4 nibbles_of(uint4 q, u32 run) { return q & (run % 2 ? 0xf0f0f0f0 : 0x0f0f0f0f); }
__device__ __forceinline__ void multiply_nibbles(Group& group, u32 pair, uint4 q) {
    group.multiply<false>(pair * 2, nibbles_of(q, 0));
    group.multiply<false>(pair * 2 + 1, nibbles_of(q, 1));
}
__device__ __forceinline__ u32 nibble_at(const u8* item, u32 row, u32 column) {
    return item[column / 64 * 512 + byte_at(row, column)] >> column % 64 / 32 * 4 & 15;
}

// 4-bit integers, 8 above their value, with a 16-bit scale for each 32.
struct Q4_0 {
    using X = Activations<Kind::Bytes>;
    static constexpr u32 COLUMNS = 128, QUANTS = 1024, BYTES = QUANTS + 128;

    static __device__ __forceinline__ void dot(Sum& sum, const u8* item, const X& x, u32 n, u32 lane) {
        Group group(x, n, lane);
#pragma unroll
        for (u32 pair = 0; pair < 2; pair++) multiply_nibbles(group, pair, row_of(item, pair, lane));
        const u32 w = word_at(item + QUANTS, lane);
        const float d[2] = {low_half(w), high_half(w)};
#pragma unroll
        for (u32 row = 0; row < 2; row++) {
            sum.dot[row] += d[row] * group.dot(row);
            sum.low[row] += d[row] * group.scale.y;
        }
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32 lane) {
        return sum.dot[row] * nibble_factor(lane) - 8 * sum.low[row];
    }
    static constexpr bool is_signed = false, has_low = true;
    static __device__ __forceinline__ uint4 fragment(const u8* item, u32 run, u32 lane) { return nibbles_of(row_of(item, run / 2, lane), run); }
    static __device__ __forceinline__ Scales scales(const u8* item, u32 run, u32, u32 lane) {
        const u32 w = of_run(item + QUANTS, run, lane);
        const float d[2] = {low_half(w), high_half(w)}, factor = nibble_factor(run);
        return {{d[0] * factor, d[1] * factor}, {d[0] * 8, d[1] * 8}};
    }
    static __device__ float weight(const u8* item, u32 row, u32 column) {
        const float d = __half2float(((const half*)(item + QUANTS + word_of_run(row, column / 32)))[row / 8]);
        return ((float)nibble_at(item, row, column) - 8) * d;
    }
};

// What Q4_K and Q5_K have behind their quants: for each 32 a scale and a minimum of 6 bits, in bytes {scale, min} of row g
// and of row g + 8, then a pair of 16-bit factors of both.
struct ScaleAndMin {
    static constexpr u32 BYTES = 256 + 64;
    const u8* at;

    __device__ __forceinline__ uint2 factors(u32 lane) const { return *(const uint2*)(at + 256 + lane / 4 * 8); }
    // Of a pair of groups.
    __device__ __forceinline__ void apply(Sum& inner, const Group& group, u32 i, u32 lane) const {
        const u32 w = word_at(at + i * 128, lane);
#pragma unroll
        for (u32 row = 0; row < 2; row++) {
            inner.dot[row] += byte_to_float(w, 2 * row) * group.dot(row);
            inner.low[row] += byte_to_float(w, 2 * row + 1) * group.scale.y;
        }
    }
    __device__ __forceinline__ void flush(Sum& sum, const Sum& inner, u32 lane) const {
        const uint2 d = factors(lane);
#pragma unroll
        for (u32 row = 0; row < 2; row++) {
            sum.dot[row] += low_half(row ? d.y : d.x) * inner.dot[row];
            sum.low[row] += high_half(row ? d.y : d.x) * inner.low[row];
        }
    }
    __device__ __forceinline__ Scales of(u32 run, float factor, u32 lane) const {
        const u32 w = of_run(at + run / 4 * 128, run % 4, lane);
        const uint2 d = factors(lane);
        Scales all;
#pragma unroll
        for (u32 row = 0; row < 2; row++) {
            all.scale[row] = low_half(row ? d.y : d.x) * byte_to_float(w, 2 * row) * factor;
            all.low[row] = high_half(row ? d.y : d.x) * byte_to_float(w, 2 * row + 1);
        }
        return all;
    }
    __device__ float weight(u32 row, u32 column, u32 q) const {
        const u8* s = at + column / 128 * 128 + word_of_run(row, column / 32 % 4) + row / 8 * 2;
        const half* d = (const half*)(at + 256 + row % 8 * 8 + row / 8 * 4);
        // In two roundings, as the definition of the format has it: scale * quant is exact, and so is min.
        return __half2float(d[0]) * s[0] * q - __half2float(d[1]) * s[1];
    }
};

struct Q4_K {
    using X = Activations<Kind::Bytes>;
    static constexpr u32 COLUMNS = 256, QUANTS = 2048, BYTES = QUANTS + ScaleAndMin::BYTES;

    static __device__ __forceinline__ void dot(Sum& sum, const u8* item, const X& x, u32 n, u32 lane) {
        const ScaleAndMin factors = {item + QUANTS};
        Sum inner;
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            Group group(x, n * 2 + i, lane);
#pragma unroll
            for (u32 pair = 0; pair < 2; pair++) multiply_nibbles(group, pair, row_of(item, i * 2 + pair, lane));
            factors.apply(inner, group, i, lane);
        }
        factors.flush(sum, inner, lane);
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32 lane) {
        return sum.dot[row] * nibble_factor(lane) - sum.low[row];
    }
    static constexpr bool is_signed = false, has_low = true;
    static __device__ __forceinline__ uint4 fragment(const u8* item, u32 run, u32 lane) { return nibbles_of(row_of(item, run / 2, lane), run); }
    static __device__ __forceinline__ Scales scales(const u8* item, u32 run, u32, u32 lane) {
        return ScaleAndMin{item + QUANTS}.of(run, nibble_factor(run), lane);
    }
    static __device__ float weight(const u8* item, u32 row, u32 column) {
        return ScaleAndMin{item + QUANTS}.weight(row, column, nibble_at(item, row, column));
    }
};

// As Q4_K with 5 bits: the upper four as nibbles, the lowest in a row of their own, where bit 2r (2r + 1) belongs to the
// low (high) nibbles of word r. Both are put together where the high nibble stands, 8 times too large.
struct Q5_K {
    using X = Activations<Kind::Bytes>;
    static constexpr u32 COLUMNS = 256, NIBBLES = 2048, QUANTS = NIBBLES + 512, BYTES = QUANTS + ScaleAndMin::BYTES;

    static __device__ __forceinline__ u32 join(u32 nibble, u32 bits, u32 place) {
        const u32 bit = place < 3 ? bits << (3 - place) : bits >> (place - 3);
        return (nibble & 0xf0f0f0f0) | (bit & 0x08080808);
    }
    static constexpr bool is_signed = false, has_low = true;
    static __device__ __forceinline__ uint4 joined(uint4 q, u32 bits, u32 odd) {
        const uint4 v = odd ? q : q << 4;
        return make_uint4(join(v.x, bits, odd), join(v.y, bits, 2 + odd), join(v.z, bits, 4 + odd), join(v.w, bits, 6 + odd));
    }
    static __device__ __forceinline__ uint4 fragment(const u8* item, u32 run, u32 lane) {
        return joined(row_of(item, run / 2, lane), word_at(item + NIBBLES + lane * 16, run / 2), run % 2);
    }
    static __device__ __forceinline__ Scales scales(const u8* item, u32 run, u32, u32 lane) {
        return ScaleAndMin{item + QUANTS}.of(run, 1.0f / 8, lane);
    }
    static __device__ __forceinline__ void dot(Sum& sum, const u8* item, const X& x, u32 n, u32 lane) {
        const ScaleAndMin factors = {item + QUANTS};
        const uint4 bits = row_of(item, 4, lane);
        Sum inner;
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            Group group(x, n * 2 + i, lane);
#pragma unroll
            for (u32 pair = 0; pair < 2; pair++) {
                const uint4 q = row_of(item, i * 2 + pair, lane);
                group.multiply<false>(pair * 2, joined(q, word_of(bits, i * 2 + pair), 0));
                group.multiply<false>(pair * 2 + 1, joined(q, word_of(bits, i * 2 + pair), 1));
            }
            factors.apply(inner, group, i, lane);
        }
        factors.flush(sum, inner, lane);
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32) {
        return sum.dot[row] * (1.0f / 8) - sum.low[row];
    }
    static __device__ float weight(const u8* item, u32 row, u32 column) {
        const u32 lane = row % 8 * 4 + column % 16 / 4, place = (row / 8 + column % 32 / 16 * 2) * 2 + column % 64 / 32;
        const u32 bit = item[NIBBLES + lane * 16 + column / 64 * 4 + column % 4] >> place & 1;
        return ScaleAndMin{item + QUANTS}.weight(row, column, nibble_at(item, row, column) * 2 + bit);
    }
};

// 6-bit integers, 32 above their value; for each 16 a scale of 8 bits, for each 256 a factor of 16 bits.
//
// Three rows have four runs of 32: the first three in the low six bits of each byte, the fourth in the upper two bits
// of all three, and put together where the upper six bits stand, 4 times too large. As scales are for 16, a product of
// 32 fills two pairs of columns, and scales are applied after every second one. Their word has for each pair of runs the
// bytes of rows g and g + 8.
struct Q6_K {
    using X = Activations<Kind::BytesBy16>;
    static constexpr u32 COLUMNS = 128, QUANTS = 1536, FACTORS = QUANTS + 128, BYTES = FACTORS + 32;

    static constexpr bool is_signed = true, has_low = false;
    static __device__ __forceinline__ uint4 quants(const uint4 (&q)[3], u32 run) {
        if (run < 3) return q[run] & 0x3f3f3f3f;
        return (q[0] & 0xc0c0c0c0) | (q[1] >> 2 & 0x30303030) | (q[2] >> 4 & 0x0c0c0c0c);
    }
    // The values themselves: no byte borrows from the next.
    static __device__ __forceinline__ uint4 fragment(const u8* item, u32 run, u32 lane) {
        uint4 v;
        if (run < 3) {
            v = row_of(item, run, lane) & 0x3f3f3f3f;
        } else {
            const uint4 q[3] = {row_of(item, 0, lane), row_of(item, 1, lane), row_of(item, 2, lane)};
            v = quants(q, 3) >> 2;
        }
        const auto less_32 = [](u32 w) { return ((w | 0x80808080) - 0x20202020) ^ 0x80808080; };
        return make_uint4(less_32(v.x), less_32(v.y), less_32(v.z), less_32(v.w));
    }
    // Of one half of a run: 16 columns.
    static __device__ __forceinline__ Scales scales(const u8* item, u32 run, u32 half, u32 lane) {
        const u32 w = of_run(item + QUANTS, run % 2 * 2 + half, lane) >> run / 2 * 16, d = word_at(item + FACTORS, lane / 4);
        return {{low_half(d) * signed_byte_to_float(w, 0), high_half(d) * signed_byte_to_float(w, 1)}, {0, 0}};
    }
    static __device__ __forceinline__ void dot(Sum& sum, const u8* item, const X& x, u32 n, u32 lane) {
        const uint4 q[3] = {row_of(item, 0, lane), row_of(item, 1, lane), row_of(item, 2, lane)};
        const u32 s = word_at(item + QUANTS, lane), d = word_at(item + FACTORS, lane / 4), run = lane / 8;
        float inner[2] = {0, 0};
#pragma unroll
        for (u32 pair = 0; pair < 2; pair++) {
            // Column pair j has run j of 16: bytes 4t.. of its half of 32.
            const u32 b = *(const u32*)(x.values + (n * 2 + pair) * 128 + run / 2 * 64 + lane % 4 * 16 + lane / 4 % 2 * 8 + run % 2 * 4);
            const float2 scale = x.scales[(n * 2 + pair) * 4 + lane % 4];
            i32 c[4] = {0, 0, 0, 0};
            const uint4 a0 = quants(q, pair * 2), a1 = quants(q, pair * 2 + 1);
            mma_u8(c, a0.x, a0.y, a0.z, a0.w, run == 0 ? b : 0, run == 1 ? b : 0);
            mma_u8(c, a1.x, a1.y, a1.z, a1.w, run == 2 ? b : 0, run == 3 ? b : 0);
            const float factor = pair == 1 && lane % 4 >= 2 ? scale.x * (1.0f / 4) : scale.x;
#pragma unroll
            for (u32 row = 0; row < 2; row++) {
                // The -32 is in the activations' sums.
                const float dot = factor * (float)(c[2 * row] * 256 + c[2 * row + 1]) + scale.y;
                inner[row] += signed_byte_to_float(s, pair * 2 + row) * dot;
            }
        }
        sum.dot[0] += low_half(d) * inner[0];
        sum.dot[1] += high_half(d) * inner[1];
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32) { return sum.dot[row]; }
    static __device__ float weight(const u8* item, u32 row, u32 column) {
        const u32 run = column / 32;
        const u8* q = item + byte_at(row, column);
        const u32 v = run < 3 ? q[run * 512] & 63 : q[0] >> 6 << 4 | q[512] >> 6 << 2 | q[1024] >> 6;
        const i8 s = item[QUANTS + word_of_run(row, column / 16 % 4) + column / 64 * 2 + row / 8];
        const float d = __half2float(((const half*)(item + FACTORS))[row % 8 * 2 + row / 8]);
        return d * (float)s * ((float)v - 32);
    }
};

// 16-bit floats: a row is the fragment of 16 columns. Columns 0 and 1 of B are the two parts of the activations.
template <Kind kind>
struct Float16 {
    using X = Activations<kind>;
    static constexpr u32 COLUMNS = 64, BYTES = 2048;

    static __device__ __forceinline__ void multiply(float (&c)[4], uint4 a, u32 b0, u32 b1) {
        if (kind == Kind::Half)
            mma_f16(c, a, b0, b1);
        else
            mma_bf16(c, a, b0, b1);
    }
    static __device__ __forceinline__ void dot(Sum& sum, const u8* item, const X& x, u32 n, u32 lane) {
        float c[4] = {0, 0, 0, 0};
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            uint2 b = make_uint2(0, 0);
            if (lane < 8) b = *(const uint2*)(x.values + (n * 4 + i) * 64 + lane % 4 * 16 + lane / 4 * 8);
            multiply(c, row_of(item, i, lane), b.x, b.y);
        }
        const float scale = x.scales[n].x;
        sum.dot[0] += scale * (c[0] + c[1]);
        sum.dot[1] += scale * (c[2] + c[3]);
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32) { return sum.dot[row]; }
    static __device__ float weight(const u8* item, u32 row, u32 column) {
        const u32 lane = row % 8 * 4 + column % 8 / 2, word = row / 8 + column % 16 / 8 * 2;
        const u16 v = ((const u16*)(item + column / 16 * 512 + lane * 16 + word * 4))[column % 2];
        return kind == Kind::Half ? __half2float(__ushort_as_half(v)) : __uint_as_float((u32)v << 16);
    }
};
using F16 = Float16<Kind::Half>;
using BF16 = Float16<Kind::Bfloat>;

// 32-bit floats: two rows have 16 columns, of rows g and of rows g + 8; lane t has columns 4t to 4t + 3.
struct F32 {
    using X = Activations<Kind::Float>;
    static constexpr u32 COLUMNS = 32, BYTES = 2048;

    static __device__ __forceinline__ void dot(Sum& sum, const u8* item, const X& x, u32 n, u32 lane) {
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            const uint4 q = row_of(item, i, lane);
            const float4 v = *(const float4*)(x.values + (n * 2 + i / 2) * 64 + lane % 4 * 16);
            sum.dot[i % 2] += __uint_as_float(q.x) * v.x + __uint_as_float(q.y) * v.y + __uint_as_float(q.z) * v.z +
                              __uint_as_float(q.w) * v.w;
        }
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32) { return sum.dot[row]; }
    static __device__ float weight(const u8* item, u32 row, u32 column) {
        return *(const float*)(item + column / 16 * 1024 + row / 8 * 512 + (row % 8 * 4 + column % 16 / 4) * 16 + column % 4 * 4);
    }
};

// A tile has whole runs of 256 columns: what is missing is zero.
template <class Format>
__device__ __forceinline__ u32 items_of(u32 columns) { return ceil_div(columns, 256) * (256 / Format::COLUMNS); }
template <class Format>
__device__ __forceinline__ u32 tile_bytes(u32 columns) { return items_of<Format>(columns) * Format::BYTES; }

// One weight.
template <class Format>
__device__ __forceinline__ float weight_of(const u8* matrix, u32 columns, u32 row, u32 column) {
    const u8* item = matrix + (u64)(row / 16) * tile_bytes<Format>(columns) + column / Format::COLUMNS * Format::BYTES;
    return Format::weight(item, row % 16, column % Format::COLUMNS);
}

// Requests `bytes` bytes, a warp together: a lane may use what others have copied after a barrier. Both addresses are this
// lane's.
template <u32 bytes>
__device__ __forceinline__ void copy(u8* to, const u8* from, u32 lane) {
    constexpr u32 whole = bytes / 512 * 512;
#pragma unroll
    for (u32 i = 0; i < whole; i += 512) copy_16(to + i, from + i);
    if constexpr (bytes > whole) copy_16_if(lane < (bytes - whole) / 16, to + whole, from + whole);
}
