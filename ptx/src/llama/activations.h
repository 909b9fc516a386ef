// The vector that a matrix is multiplied with, as the tensor cores take it.
//
// Weights of few bits go through the integer tensor cores. Each run of 32 activations becomes 16-bit integers with one
// scale, and those are split into a plane of high bytes and one of low bytes: 256 * high + low. Their products with
// 8-bit weights are summed exactly, so all that is lost is the rounding to 16 bits.
// Weights of 16 bits go through the floating-point tensor cores: each activation is the sum of two 16-bit floats.
//
// What lane t of four takes lies together: of a run of 32, {high 4t.., high 16 + 4t.., low 4t.., low 16 + 4t..}, and of 16
// halves, {high 2t.., high 8 + 2t.., low 2t.., low 8 + 2t..}.

#pragma once
#include "common.h"

enum class Kind { Bytes, BytesBy16, Half, Bfloat, Float };

// The host computes the same sizes.
template <Kind kind>
struct Activations {
    static constexpr bool integer = kind == Kind::Bytes || kind == Kind::BytesBy16;
    // Scales of integers: {scale, scale * sum of the integers} for each run of 32 or, BytesBy16, {scale, -32 * scale *
    // sum} of each 16. Halves have one for each 128, kept twice: no copy is of less than 16 bytes.
    static constexpr u32 run = kind == Kind::Bytes ? 32 : kind == Kind::BytesBy16 ? 16 : 64;

    u8* values;
    float2* scales;

    static __device__ __forceinline__ u32 padded(u32 k) { return (k + 255) / 256 * 256; }
    static __device__ __forceinline__ u32 value_bytes(u32 k) { return padded(k) * (integer ? 2 : 4); }
    static __device__ __forceinline__ u32 bytes(u32 k) { return value_bytes(k) + padded(k) / run * 8; }

    // Puts x, times the weights of the norm if there are any, into shared memory. Returns this thread's part of the
    // sum of the squares of x.
    __device__ float prepare(const float* x, const float* norm, u32 k) const {
        constexpr u32 BATCH = 4;  // requests of a thread under way at a time
        const u32 lane = threadIdx.x % 32, stride = blockDim.x * 4;
        float squares = 0;
        // A warp takes 128 at a time, a lane four of them.
        for (u32 first = threadIdx.x * 4; first < padded(k); first += stride * BATCH) {
            float4 v[BATCH], w[BATCH];
#pragma unroll
            for (u32 i = 0; i < BATCH; i++) {
                const u32 at = first + i * stride;
                v[i] = make_float4(0, 0, 0, 0), w[i] = make_float4(1, 1, 1, 1);
                // Past L1: a kernel that started early may find old lines there.
                if (at < k) v[i] = __ldcg((const float4*)(x + at));
                if (at < k && norm) w[i] = __ldg((const float4*)(norm + at));
            }
#pragma unroll
            for (u32 i = 0; i < BATCH; i++) {
                const u32 at = first + i * stride;
                if (at >= padded(k)) break;
                float4& a = v[i];
                squares += a.x * a.x + a.y * a.y + a.z * a.z + a.w * a.w;
                a.x *= w[i].x, a.y *= w[i].y, a.z *= w[i].z, a.w *= w[i].w;
                put(at, lane, a, 1);
            }
        }
        return squares;
    }

    // Four activations of a lane, of a warp's 128. They count `factor` times.
    __device__ __forceinline__ void put(u32 at, u32 lane, float4 v, float factor) const {
        if (kind == Kind::Float) {
            *(float4*)(values + at * 4) = v;
            return;
        }
        float most = fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
        if (integer) {
            most = max_of<8>(most);
            const float scale = most * (1.0f / 32639) * factor, inverse = most > 0 ? 32639 / most : 0;
            u32 high, low;
            i32 sum = sum_of<4>(planes(v, inverse, high, low));
            u8* to = values + at / 32 * 64 + at % 16 * 4 + at % 32 / 16 * 4;
            *(u32*)to = high;
            *(u32*)(to + 8) = low;
            if (kind == Kind::Bytes) {
                sum += __shfl_xor_sync(0xffffffff, sum, 4);
                if (lane % 8 == 0) scales[at / 32] = make_float2(scale, scale * sum);
            } else {
                if (lane % 4 == 0) scales[at / 16] = make_float2(scale, -32 * scale * sum);
            }
        } else {
            most = max_of<32>(most);
            // A power of two that keeps the largest below 2^15: dividing by it loses nothing.
            const u32 exponent = __float_as_uint(most) >> 23;
            const float scale = exponent > 14 ? __uint_as_float((exponent - 14) << 23) : 1.0f;
            const float inverse = exponent > 14 ? __uint_as_float((268 - exponent) << 23) : 1.0f;
            u8* to = values + at / 16 * 64 + at % 8 / 2 * 16 + at % 16 / 8 * 4;
            split(to, v.x * inverse, v.y * inverse);
            split(to + 16, v.z * inverse, v.w * inverse);
            if (lane < 2) scales[at / 128 * 2 + lane] = make_float2(scale * factor, 0);
        }
    }

    // Four integers as their high and their low bytes; returns their sum.
    static __device__ __forceinline__ i32 planes(float4 v, float inverse, u32& high, u32& low) {
        const i32 q[4] = {__float2int_rn(v.x * inverse), __float2int_rn(v.y * inverse), __float2int_rn(v.z * inverse),
                          __float2int_rn(v.w * inverse)};
        // With 128 added the high byte is that of q - low, low taken as signed.
        low = __byte_perm(__byte_perm(q[0], q[1], 0x0040), __byte_perm(q[2], q[3], 0x0040), 0x5410);
        high = __byte_perm(__byte_perm(q[0] + 128, q[1] + 128, 0x0051), __byte_perm(q[2] + 128, q[3] + 128, 0x0051), 0x5410);
        return q[0] + q[1] + q[2] + q[3];
    }

    // Two activations as sums of two 16-bit floats.
    static __device__ __forceinline__ void split(u8* to, float a, float b) {
        if (kind == Kind::Half) {
            const half2 high = __floats2half2_rn(a, b);
            const float2 back = __half22float2(high);
            *(half2*)to = high;
            *(half2*)(to + 8) = __floats2half2_rn(a - back.x, b - back.y);
        } else {
            const __nv_bfloat162 high = __floats2bfloat162_rn(a, b);
            const float2 back = __bfloat1622float2(high);
            *(__nv_bfloat162*)to = high;
            *(__nv_bfloat162*)(to + 8) = __floats2bfloat162_rn(a - back.x, b - back.y);
        }
    }
};
