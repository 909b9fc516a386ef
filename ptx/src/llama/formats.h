// The formats of weights, as `repack` lays them out and as a warp multiplies with them.
//
// A matrix is cut into tiles of 16 rows, a tile into units of UNIT columns. A warp loads a unit with 16 bytes for each
// lane and load, and what a lane loads is its part of the A fragments of mma: with g = lane / 4 and t = lane % 4,
// weights of rows g and g + 8. `load` only requests, `dot` uses: between them lies the wait for the kernel before.
//
// B has eight columns and there is one vector: so columns 2j and 2j + 1 take the high and the low bytes of the j-th of
// four runs of activations, everything else being zero, and four products later each lane holds, of two rows, the sum
// over one run: lane t over run t. That is when scales are applied, once for 64 weights of a lane.
//
// A tile has the quants of all units, then the scales of all units: 512 bytes each, and where there are scales of scales,
// those of all units: 128 bytes each. Scales are padded to whole units, quants are not.

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

__device__ __forceinline__ float byte_to_float(u32 word, u32 byte) { return (float)(u8)(word >> 8 * byte); }
__device__ __forceinline__ float signed_byte_to_float(u32 word, u32 byte) { return (float)(i8)(word >> 8 * byte); }
__device__ __forceinline__ float low_half(u32 v) { return __half2float(__ushort_as_half((u16)v)); }
__device__ __forceinline__ float high_half(u32 v) { return __half2float(__ushort_as_half((u16)(v >> 16))); }
__device__ __forceinline__ u32 word_of(const uint4& v, u32 i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }
__device__ __forceinline__ uint4 operator&(uint4 v, u32 m) { return make_uint4(v.x & m, v.y & m, v.z & m, v.w & m); }
__device__ __forceinline__ uint4 operator|(uint4 a, uint4 b) { return make_uint4(a.x | b.x, a.y | b.y, a.z | b.z, a.w | b.w); }
__device__ __forceinline__ uint4 operator<<(uint4 v, u32 n) { return make_uint4(v.x << n, v.y << n, v.z << n, v.w << n); }
__device__ __forceinline__ uint4 operator>>(uint4 v, u32 n) { return make_uint4(v.x >> n, v.y >> n, v.z >> n, v.w >> n); }

// A word of the lane of this lane's rows that has run `t` of four.
__device__ __forceinline__ u32 of_run(u32 word, u32 t, u32 lane) { return __shfl_sync(0xffffffff, word, lane / 4 * 4 + t); }

// Scales and minima of two rows.
struct Scales {
    float scale[2], low[2];
};

// Requests `count` of up to `most` rows of 512 bytes. The whole unit is the case that matters: it has no tests inside.
template <u32 most>
__device__ __forceinline__ void load_rows(uint4 (&to)[most], const u8* from, u32 count, u32 lane) {
    from += lane * 16;
    if (count >= most) {
#pragma unroll
        for (u32 i = 0; i < most; i++) to[i] = load_weights(from + i * 512);
    } else {
#pragma unroll
        for (u32 i = 0; i < most; i++) to[i] = i < count ? load_weights(from + i * 512) : make_uint4(0, 0, 0, 0);
    }
}

// The four runs of 32 whose products one scaling serves.
struct Group {
    u32 lane;
    uint2 b;
    float2 scale;
    i32 c[4] = {0, 0, 0, 0};

    __device__ __forceinline__ Group(const Activations<Kind::Bytes>& x, u32 group, u32 lane) : lane(lane) {
        b = *(const uint2*)(x.values + group * 256 + lane * 8);
        scale = x.scales[group * 4 + lane % 4];
    }
    template <bool is_signed>
    __device__ __forceinline__ void multiply(u32 run, uint4 a) {
        const bool mine = lane / 8 == run;
        const u32 b0 = mine ? b.x : 0, b1 = mine ? b.y : 0;
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
    static constexpr u32 UNIT = 512;
    uint4 q[16], s;

    static __device__ __forceinline__ u32 units(u32 k) { return ceil_div(k, UNIT); }
    static __device__ __forceinline__ u32 tile_bytes(u32 k) { return k / 32 * 512 + units(k) * 512; }
    __device__ __forceinline__ void load(const u8* tile, u32 unit, u32 k, u32 lane) {
        load_rows(q, tile + unit * 16 * 512, k / 32 - unit * 16, lane);
        s = load_weights(tile + k / 32 * 512 + unit * 512 + lane * 16);
    }
    __device__ __forceinline__ void dot(Sum& sum, const X& x, u32 unit, u32 k, u32 lane) const {
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            if (unit * UNIT + i * 128 >= k) break;
            Group group(x, unit * 4 + i, lane);
#pragma unroll
            for (u32 run = 0; run < 4; run++) group.multiply<true>(run, q[i * 4 + run]);
            const u32 d = word_of(s, i);
            sum.dot[0] += low_half(d) * group.dot(0);
            sum.dot[1] += high_half(d) * group.dot(1);
        }
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32) { return sum.dot[row]; }
    static constexpr bool is_signed = true;
    __device__ __forceinline__ uint4 fragment(u32 run) const { return q[run]; }
    __device__ __forceinline__ Scales scales(u32 run, u32, u32 lane) const {
        const u32 w = of_run(word_of(s, run / 4), run % 4, lane);
        return {{low_half(w), high_half(w)}, {0, 0}};
    }
    static __device__ float weight(const u8* tile, u32 row, u32 column, u32 k) {
        const u32 lane = row % 8 * 4 + column % 16 / 4, word = row / 8 + column % 32 / 16 * 2;
        const i8 q = tile[column / 32 * 512 + lane * 16 + word * 4 + column % 4];
        const u8* s = tile + k / 32 * 512 + column / 512 * 512 + (row % 8 * 4 + column / 32 % 4) * 16;
        return (float)q * __half2float(((const half*)s)[column % 512 / 128 * 2 + row / 8]);
    }
};

// Nibbles: two runs of 32 in a load. The first is in the low nibbles; the second is used where it stands, in the high
// nibbles, and so is 16 times too large, in the lanes of odd runs.
__device__ __forceinline__ float nibble_factor(u32 lane) { return lane % 2 ? 1.0f / 16 : 1.0f; }
__device__ __forceinline__ uint4 nibbles_of(uint4 q, u32 run) { return q & (run % 2 ? 0xf0f0f0f0 : 0x0f0f0f0f); }
__device__ __forceinline__ void multiply_nibbles(Group& group, u32 pair, uint4 q) {
    group.multiply<false>(pair * 2, nibbles_of(q, 0));
    group.multiply<false>(pair * 2 + 1, nibbles_of(q, 1));
}
__device__ __forceinline__ u32 nibble_at(const u8* quants, u32 row, u32 column) {
    const u32 lane = row % 8 * 4 + column % 16 / 4, word = row / 8 + column % 32 / 16 * 2;
    return quants[column / 64 * 512 + lane * 16 + word * 4 + column % 4] >> column % 64 / 32 * 4 & 15;
}

// 4-bit integers, 8 above their value, with a 16-bit scale for each 32.
struct Q4_0 {
    using X = Activations<Kind::Bytes>;
    static constexpr u32 UNIT = 512;
    uint4 q[8], s;

    static __device__ __forceinline__ u32 units(u32 k) { return ceil_div(k, UNIT); }
    static __device__ __forceinline__ u32 tile_bytes(u32 k) { return ceil_div(k, 64) * 512 + units(k) * 512; }
    __device__ __forceinline__ void load(const u8* tile, u32 unit, u32 k, u32 lane) {
        load_rows(q, tile + unit * 8 * 512, ceil_div(k, 64) - unit * 8, lane);
        s = load_weights(tile + ceil_div(k, 64) * 512 + unit * 512 + lane * 16);
    }
    __device__ __forceinline__ void dot(Sum& sum, const X& x, u32 unit, u32 k, u32 lane) const {
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            if (unit * UNIT + i * 128 >= k) break;
            Group group(x, unit * 4 + i, lane);
#pragma unroll
            for (u32 pair = 0; pair < 2; pair++) multiply_nibbles(group, pair, q[i * 2 + pair]);
            const float d[2] = {low_half(word_of(s, i)), high_half(word_of(s, i))};
#pragma unroll
            for (u32 row = 0; row < 2; row++) {
                sum.dot[row] += d[row] * group.dot(row);
                sum.low[row] += d[row] * group.scale.y;
            }
        }
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32 lane) {
        return sum.dot[row] * nibble_factor(lane) - 8 * sum.low[row];
    }
    static constexpr bool is_signed = false;
    __device__ __forceinline__ uint4 fragment(u32 run) const { return nibbles_of(q[run / 2], run); }
    __device__ __forceinline__ Scales scales(u32 run, u32, u32 lane) const {
        const u32 w = of_run(word_of(s, run / 4), run % 4, lane);
        const float d[2] = {low_half(w), high_half(w)}, factor = nibble_factor(run);
        return {{d[0] * factor, d[1] * factor}, {d[0] * 8, d[1] * 8}};
    }
    static __device__ float weight(const u8* tile, u32 row, u32 column, u32 k) {
        const u8* s = tile + ceil_div(k, 64) * 512 + column / 512 * 512 + (row % 8 * 4 + column / 32 % 4) * 16;
        const float d = __half2float(((const half*)s)[column % 512 / 128 * 2 + row / 8]);
        return ((float)nibble_at(tile, row, column) - 8) * d;
    }
};

// What Q4_K and Q5_K share: for each 32 a scale and a minimum of 6 bits, in bytes {scale, min} of row g and of row
// g + 8, and for each 256 a pair of 16-bit factors of both.
struct ScaleAndMin {
    uint4 s, d;

    __device__ __forceinline__ void load(const u8* scales, u32 units, u32 unit, u32 lane) {
        s = load_weights(scales + unit * 512 + lane * 16);
        d = load_weights(scales + units * 512 + unit * 128 + lane / 4 * 16);
    }
    // The i-th group of a unit, of which a pair makes 256.
    __device__ __forceinline__ void apply(Sum& inner, const Group& group, u32 i) const {
        const u32 w = word_of(s, i);
#pragma unroll
        for (u32 row = 0; row < 2; row++) {
            inner.dot[row] += byte_to_float(w, 2 * row) * group.dot(row);
            inner.low[row] += byte_to_float(w, 2 * row + 1) * group.scale.y;
        }
    }
    __device__ __forceinline__ void flush(Sum& sum, const Sum& inner, u32 block) const {
#pragma unroll
        for (u32 row = 0; row < 2; row++) {
            sum.dot[row] += low_half(word_of(d, block * 2 + row)) * inner.dot[row];
            sum.low[row] += high_half(word_of(d, block * 2 + row)) * inner.low[row];
        }
    }
    __device__ __forceinline__ Scales of(u32 run, float factor, u32 lane) const {
        const u32 w = of_run(word_of(s, run / 4), run % 4, lane);
        Scales all;
#pragma unroll
        for (u32 row = 0; row < 2; row++) {
            const u32 both = word_of(d, run / 8 * 2 + row);
            all.scale[row] = low_half(both) * byte_to_float(w, 2 * row) * factor;
            all.low[row] = high_half(both) * byte_to_float(w, 2 * row + 1);
        }
        return all;
    }
    static __device__ float weight(const u8* scales, u32 units, u32 row, u32 column, u32 q) {
        const u8* s = scales + column / 512 * 512 + (row % 8 * 4 + column / 32 % 4) * 16 + column % 512 / 128 * 4 + row / 8 * 2;
        const half* d = (const half*)(scales + units * 512 + column / 512 * 128 + row % 8 * 16 + column % 512 / 256 * 8 + row / 8 * 4);
        // In two roundings, as the definition of the format has it: scale * quant is exact, and so is min.
        return __half2float(d[0]) * s[0] * q - __half2float(d[1]) * s[1];
    }
};

struct Q4_K {
    using X = Activations<Kind::Bytes>;
    static constexpr u32 UNIT = 512;
    uint4 q[8];
    ScaleAndMin factors;

    static __device__ __forceinline__ u32 units(u32 k) { return ceil_div(k, UNIT); }
    static __device__ __forceinline__ u32 tile_bytes(u32 k) { return k / 64 * 512 + units(k) * 640; }
    __device__ __forceinline__ void load(const u8* tile, u32 unit, u32 k, u32 lane) {
        load_rows(q, tile + unit * 8 * 512, k / 64 - unit * 8, lane);
        factors.load(tile + k / 64 * 512, units(k), unit, lane);
    }
    __device__ __forceinline__ void dot(Sum& sum, const X& x, u32 unit, u32 k, u32 lane) const {
#pragma unroll
        for (u32 block = 0; block < 2; block++) {
            if (unit * UNIT + block * 256 >= k) break;
            Sum inner;
#pragma unroll
            for (u32 i = block * 2; i < block * 2 + 2; i++) {
                Group group(x, unit * 4 + i, lane);
#pragma unroll
                for (u32 pair = 0; pair < 2; pair++) multiply_nibbles(group, pair, q[i * 2 + pair]);
                factors.apply(inner, group, i);
            }
            factors.flush(sum, inner, block);
        }
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32 lane) {
        return sum.dot[row] * nibble_factor(lane) - sum.low[row];
    }
    static constexpr bool is_signed = false;
    __device__ __forceinline__ uint4 fragment(u32 run) const { return nibbles_of(q[run / 2], run); }
    __device__ __forceinline__ Scales scales(u32 run, u32, u32 lane) const { return factors.of(run, nibble_factor(run), lane); }
    static __device__ float weight(const u8* tile, u32 row, u32 column, u32 k) {
        return ScaleAndMin::weight(tile + k / 64 * 512, units(k), row, column, nibble_at(tile, row, column));
    }
};

// As Q4_K with 5 bits: the upper four as nibbles, the lowest in bytes of their own, where bit 2r (2r + 1) belongs to the
// low (high) nibbles of word r of the load. Both are put together where the high nibble stands, 8 times too large.
struct Q5_K {
    using X = Activations<Kind::Bytes>;
    static constexpr u32 UNIT = 512;
    uint4 q[8], h[2];
    ScaleAndMin factors;

    static __device__ __forceinline__ u32 units(u32 k) { return ceil_div(k, UNIT); }
    static __device__ __forceinline__ u32 tile_bytes(u32 k) { return k / 64 * 512 + k / 256 * 512 + units(k) * 640; }
    __device__ __forceinline__ void load(const u8* tile, u32 unit, u32 k, u32 lane) {
        load_rows(q, tile + unit * 8 * 512, k / 64 - unit * 8, lane);
        tile += k / 64 * 512;
        load_rows(h, tile + unit * 2 * 512, k / 256 - unit * 2, lane);
        factors.load(tile + k / 256 * 512, units(k), unit, lane);
    }
    static __device__ __forceinline__ u32 join(u32 nibble, u32 bits, u32 place) {
        const u32 bit = place < 3 ? bits << (3 - place) : bits >> (place - 3);
        return (nibble & 0xf0f0f0f0) | (bit & 0x08080808);
    }
    static constexpr bool is_signed = false;
    __device__ __forceinline__ uint4 fragment(u32 run) const {
        const uint4 v = run % 2 ? q[run / 2] : q[run / 2] << 4;
        const u32 bits = word_of(h[run / 8], run % 8 / 2), odd = run % 2;
        return make_uint4(join(v.x, bits, odd), join(v.y, bits, 2 + odd), join(v.z, bits, 4 + odd), join(v.w, bits, 6 + odd));
    }
    __device__ __forceinline__ Scales scales(u32 run, u32, u32 lane) const { return factors.of(run, 1.0f / 8, lane); }
    __device__ __forceinline__ void dot(Sum& sum, const X& x, u32 unit, u32 k, u32 lane) const {
#pragma unroll
        for (u32 block = 0; block < 2; block++) {
            if (unit * UNIT + block * 256 >= k) break;
            Sum inner;
#pragma unroll
            for (u32 i = block * 2; i < block * 2 + 2; i++) {
                Group group(x, unit * 4 + i, lane);
#pragma unroll
                for (u32 pair = 0; pair < 2; pair++) {
                    group.multiply<false>(pair * 2, fragment(i * 4 + pair * 2));
                    group.multiply<false>(pair * 2 + 1, fragment(i * 4 + pair * 2 + 1));
                }
                factors.apply(inner, group, i);
            }
            factors.flush(sum, inner, block);
        }
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32) {
        return sum.dot[row] * (1.0f / 8) - sum.low[row];
    }
    static __device__ float weight(const u8* tile, u32 row, u32 column, u32 k) {
        const u8* h = tile + k / 64 * 512;
        const u32 lane = row % 8 * 4 + column % 16 / 4, place = (row / 8 + column % 32 / 16 * 2) * 2 + column % 64 / 32;
        const u32 bit = h[column / 256 * 512 + lane * 16 + column % 256 / 64 * 4 + column % 4] >> place & 1;
        return ScaleAndMin::weight(h + k / 256 * 512, units(k), row, column, nibble_at(tile, row, column) * 2 + bit);
    }
};

// 6-bit integers, 32 above their value; for each 16 a scale of 8 bits, for each 256 a factor (f32).
//
// Three loads have four runs of 32: the first three in the low six bits of each byte, the fourth in the upper two bits
// of all three, and put together where the upper six bits stand, 4 times too large. As scales are for 16, a product of
// 32 fills two pairs of columns, and scales are applied after every second one.
struct Q6_K {
    using X = Activations<Kind::BytesBy16>;
    static constexpr u32 UNIT = 512;
    uint4 q[12], s, d;

    static __device__ __forceinline__ u32 units(u32 k) { return ceil_div(k, UNIT); }
    static __device__ __forceinline__ u32 tile_bytes(u32 k) { return k / 128 * 1536 + units(k) * 640; }
    __device__ __forceinline__ void load(const u8* tile, u32 unit, u32 k, u32 lane) {
        load_rows(q, tile + unit * 12 * 512, k / 128 * 3 - unit * 12, lane);
        tile += k / 128 * 1536;
        s = load_weights(tile + unit * 512 + lane * 16);
        d = load_weights(tile + units(k) * 512 + unit * 128 + lane / 4 * 16);
    }
    static constexpr bool is_signed = false;
    __device__ __forceinline__ uint4 fragment(u32 run) const {
        const uint4 a = q[run / 4 * 3], b = q[run / 4 * 3 + 1], c = q[run / 4 * 3 + 2];
        if (run % 4 < 3) return (run % 4 == 0 ? a : run % 4 == 1 ? b : c) & 0x3f3f3f3f;
        return (a & 0xc0c0c0c0) | (b >> 2 & 0x30303030) | (c >> 4 & 0x0c0c0c0c);
    }
    // Of one half of a run: 16 columns. The activations' scales already have the -32.
    __device__ __forceinline__ Scales scales(u32 run, u32 half, u32 lane) const {
        const u32 w = of_run(word_of(s, run / 4), run % 2 * 2 + half, lane) >> run % 4 / 2 * 16;
        Scales all;
#pragma unroll
        for (u32 row = 0; row < 2; row++) {
            const float scale = __uint_as_float(word_of(d, run / 8 * 2 + row)) * signed_byte_to_float(w, row);
            all.scale[row] = run % 4 == 3 ? scale * (1.0f / 4) : scale;
            all.low[row] = -scale;
        }
        return all;
    }
    // Two runs of 32, the `half`-th pair of the unit's `group`-th 128.
    __device__ __forceinline__ void pair(float (&inner)[2], const X& x, u32 unit, u32 group, u32 half, u32 lane, uint4 a0,
                                         uint4 a1) const {
        const u32 at = (unit * 4 + group) * 2 + half, run = lane / 8;
        // Column pair j has run j of 16: bytes 4t.. of its half of 32.
        const u32 b = *(const u32*)(x.values + at * 128 + run / 2 * 64 + lane / 4 % 2 * 32 + lane % 4 * 8 + run % 2 * 4);
        const float2 scale = x.scales[at * 4 + lane % 4];
        i32 c[4] = {0, 0, 0, 0};
        mma_u8(c, a0.x, a0.y, a0.z, a0.w, run == 0 ? b : 0, run == 1 ? b : 0);
        mma_u8(c, a1.x, a1.y, a1.z, a1.w, run == 2 ? b : 0, run == 3 ? b : 0);
        const float factor = half == 1 && lane % 4 >= 2 ? scale.x * (1.0f / 4) : scale.x;
        const u32 w = word_of(s, group) >> half * 16;
#pragma unroll
        for (u32 row = 0; row < 2; row++) {
            const float dot = factor * (float)(c[2 * row] * 256 + c[2 * row + 1]) + scale.y;
            inner[row] += signed_byte_to_float(w, row) * dot;
        }
    }
    __device__ __forceinline__ void dot(Sum& sum, const X& x, u32 unit, u32 k, u32 lane) const {
#pragma unroll
        for (u32 block = 0; block < 2; block++) {
            if (unit * UNIT + block * 256 >= k) break;
            float inner[2] = {0, 0};
#pragma unroll
            for (u32 group = block * 2; group < block * 2 + 2; group++) {
                pair(inner, x, unit, group, 0, lane, fragment(group * 4), fragment(group * 4 + 1));
                pair(inner, x, unit, group, 1, lane, fragment(group * 4 + 2), fragment(group * 4 + 3));
            }
#pragma unroll
            for (u32 row = 0; row < 2; row++) sum.dot[row] += __uint_as_float(word_of(d, block * 2 + row)) * inner[row];
        }
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32) { return sum.dot[row]; }
    static __device__ float weight(const u8* tile, u32 row, u32 column, u32 k) {
        const u32 lane = row % 8 * 4 + column % 16 / 4, word = row / 8 + column % 32 / 16 * 2;
        const u8* q = tile + column / 128 * 1536 + lane * 16 + word * 4 + column % 4;
        const u32 run = column % 128 / 32;
        const u32 v = run < 3 ? q[run * 512] & 63 : q[0] >> 6 << 4 | q[512] >> 6 << 2 | q[1024] >> 6;
        const u8* s = tile + k / 128 * 1536;
        const u8* d = s + units(k) * 512 + column / 512 * 128 + row % 8 * 16 + column % 512 / 256 * 8 + row / 8 * 4;
        s += column / 512 * 512 + (row % 8 * 4 + column / 16 % 4) * 16 + column % 512 / 64 * 2 + row / 8;
        return *(const float*)d * (float)(i8)*s * ((float)v - 32);
    }
};

// 16-bit floats: a load is the fragment of 16 columns. Columns 0 and 1 of B are the two parts of the activations.
template <Kind kind>
struct Float16 {
    using X = Activations<kind>;
    static constexpr u32 UNIT = 256;
    uint4 q[16];

    static __device__ __forceinline__ u32 units(u32 k) { return ceil_div(k, UNIT); }
    static __device__ __forceinline__ u32 tile_bytes(u32 k) { return k / 16 * 512; }
    __device__ __forceinline__ void load(const u8* tile, u32 unit, u32 k, u32 lane) {
        load_rows(q, tile + unit * 16 * 512, k / 16 - unit * 16, lane);
    }
    __device__ __forceinline__ void dot(Sum& sum, const X& x, u32 unit, u32 k, u32 lane) const {
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            if (unit * UNIT + i * 128 >= k) break;
            float c[4] = {0, 0, 0, 0};
#pragma unroll
            for (u32 j = i * 8; j < i * 8 + 8; j++) {
                uint2 b = make_uint2(0, 0);
                if (lane < 8) b = *(const uint2*)(x.values + (unit * 16 + j) * 64 + lane * 8);
                if (kind == Kind::Half)
                    mma_f16(c, q[j], b.x, b.y);
                else
                    mma_bf16(c, q[j], b.x, b.y);
            }
            const float scale = x.scales[unit * 2 + i].x;
            sum.dot[0] += scale * (c[0] + c[1]);
            sum.dot[1] += scale * (c[2] + c[3]);
        }
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32) { return sum.dot[row]; }
    static __device__ float weight(const u8* tile, u32 row, u32 column, u32 k) {
        const u32 lane = row % 8 * 4 + column % 8 / 2, word = row / 8 + column % 16 / 8 * 2;
        const u16 v = ((const u16*)(tile + column / 16 * 512 + lane * 16 + word * 4))[column % 2];
        return kind == Kind::Half ? __half2float(__ushort_as_half(v)) : __uint_as_float((u32)v << 16);
    }
};
using F16 = Float16<Kind::Half>;
using BF16 = Float16<Kind::Bfloat>;

// 32-bit floats: two loads have 16 columns, of rows g and of rows g + 8; lane t has columns 4t to 4t + 3.
struct F32 {
    using X = Activations<Kind::Float>;
    static constexpr u32 UNIT = 128;
    uint4 q[16];

    static __device__ __forceinline__ u32 units(u32 k) { return ceil_div(k, UNIT); }
    static __device__ __forceinline__ u32 tile_bytes(u32 k) { return k / 16 * 1024; }
    __device__ __forceinline__ void load(const u8* tile, u32 unit, u32 k, u32 lane) {
        load_rows(q, tile + unit * 16 * 512, k / 16 * 2 - unit * 16, lane);
    }
    __device__ __forceinline__ void dot(Sum& sum, const X& x, u32 unit, u32, u32 lane) const {
#pragma unroll
        for (u32 i = 0; i < 16; i++) {
            const float4 v = *(const float4*)(x.values + (unit * 8 + i / 2) * 64 + lane % 4 * 16);
            sum.dot[i % 2] += __uint_as_float(q[i].x) * v.x + __uint_as_float(q[i].y) * v.y + __uint_as_float(q[i].z) * v.z +
                              __uint_as_float(q[i].w) * v.w;
        }
    }
    static __device__ __forceinline__ float result(const Sum& sum, u32 row, u32) { return sum.dot[row]; }
    static __device__ float weight(const u8* tile, u32 row, u32 column, u32 k) {
        return *(const float*)(tile + column / 16 * 1024 + row / 8 * 512 + (row % 8 * 4 + column % 16 / 4) * 16 + column % 4 * 4);
    }
};
