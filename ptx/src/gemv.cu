// y = w * x for a matrix of rows x columns and a vector, with weights as language models are stored: halves, or blocks
// of small integers with scales. One warp per row, blocks of any number of whole warps.
//
// The vector of the integer kernels is itself quantised (quantise_q8): 32 signed bytes at a time, with a scale per
// group. Products of bytes are summed four at a time in integers; scales come in once per group.
#include <cuda_fp16.h>
#include "types.h"

static __device__ uint32_t lane() { return threadIdx.x % 32; }

static __device__ uint32_t row() { return (blockIdx.x * blockDim.x + threadIdx.x) / 32; }

static __device__ float warp_sum(float x) {
    for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
    return x;
}

static __device__ int32_t dot4(int32_t a, int32_t b, int32_t sum) {
    asm("dp4a.s32.s32 %0, %1, %2, %0;" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

// Four bytes of which only pairs are aligned.
static __device__ int32_t load_pairs(const uint8_t *p) {
    const uint16_t *pairs = (const uint16_t *)p;
    return pairs[0] | (uint32_t)pairs[1] << 16;
}

static __device__ float load_half(const uint8_t *p) { return __half2float(*(const half *)p); }

// Each warp makes one group: bytes to out, the scale to scales.
extern "C" __global__ void quantise_q8(int8_t *out, float *scales, const float *in, uint32_t groups) {
    if (row() >= groups) return;
    uint32_t i = row() * 32 + lane();
    float x = in[i], largest = fabsf(x);
    for (int step = 16; step > 0; step /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
    float scale = largest / 127;
    out[i] = scale == 0 ? 0 : (int8_t)__float2int_rn(x / scale);
    if (lane() == 0) scales[row()] = scale;
}

// Columns are a multiple of 256: 16 bytes per lane and turn.
extern "C" __global__ void gemv_f16(float *y, const half *w, const float *x, uint32_t rows, uint32_t columns) {
    if (row() >= rows) return;
    const half *r = w + (uint64_t)row() * columns;
    float sum = 0;
    for (uint32_t at = lane() * 8; at < columns; at += 256) {
        uint4 packed = *(const uint4 *)&r[at];
        const half2 *pairs = (const half2 *)&packed;
        float4 low = *(const float4 *)&x[at], high = *(const float4 *)&x[at + 4];
        float2 a = __half22float2(pairs[0]), b = __half22float2(pairs[1]);
        float2 c = __half22float2(pairs[2]), d = __half22float2(pairs[3]);
        sum += a.x * low.x + a.y * low.y + b.x * low.z + b.y * low.w;
        sum += c.x * high.x + c.y * high.y + d.x * high.z + d.y * high.w;
    }
    sum = warp_sum(sum);
    if (lane() == 0) y[row()] = sum;
}

// Q8_0: a half of scale, then 32 signed bytes. Four lanes share a block, eight blocks at a time; columns are a
// multiple of 32.
extern "C" __global__ void gemv_q8_0(float *y, const uint8_t *w, const int8_t *x, const float *scales, uint32_t rows,
                                     uint32_t columns) {
    if (row() >= rows) return;
    uint32_t blocks = columns / 32, part = lane() % 4 * 8;
    const uint8_t *r = w + (uint64_t)row() * blocks * 34;
    float sum = 0;
    for (uint32_t block = lane() / 4; block < blocks; block += 8) {
        const uint8_t *b = r + block * 34;
        int2 v = *(const int2 *)&x[block * 32 + part];
        int32_t dot = dot4(load_pairs(b + 2 + part), v.x, 0);
        dot = dot4(load_pairs(b + 6 + part), v.y, dot);
        sum += load_half(b) * scales[block] * dot;
    }
    sum = warp_sum(sum);
    if (lane() == 0) y[row()] = sum;
}

// Scale and minimum of group i of eight in a Q4_K block: six bits each, packed into twelve bytes.
static __device__ uint2 scale_and_minimum(const uint8_t *packed, uint32_t i) {
    if (i < 4) return {packed[i] & 63u, packed[i + 4] & 63u};
    return {packed[i + 4] & 15u | packed[i - 4] >> 6 << 4, (uint32_t)packed[i + 4] >> 4 | packed[i] >> 6 << 4};
}

// Q4_K: halves d and m, scales and minimums of eight groups of 32, then nibbles: the low ones of 32 bytes are one
// group, the high ones the next. A weight is d * scale * nibble - m * minimum. Columns are a multiple of 256; eight
// lanes share 64 weights.
extern "C" __global__ void gemv_q4_k(float *y, const uint8_t *w, const int8_t *x, const float *scales, uint32_t rows,
                                     uint32_t columns) {
    if (row() >= rows) return;
    uint32_t blocks = columns / 256, pair = lane() / 8, at = lane() % 8 * 4;
    const uint8_t *r = w + (uint64_t)row() * blocks * 144;
    float sum = 0;
    for (uint32_t block = 0; block < blocks; block++) {
        const uint8_t *b = r + block * 144;
        float d = load_half(b), m = load_half(b + 2);
        uint32_t nibbles = *(const uint32_t *)&b[16 + pair * 32 + at];
        for (uint32_t half = 0; half < 2; half++) {
            uint32_t group = pair * 2 + half;
            uint2 how = scale_and_minimum(b + 4, group);
            int32_t v = *(const int32_t *)&x[block * 256 + group * 32 + at];
            int32_t dot = dot4(nibbles >> (4 * half) & 0x0f0f0f0f, v, 0);
            float part = d * how.x * dot - m * how.y * dot4(0x01010101, v, 0);
            sum += part * scales[block * 8 + group];
        }
    }
    sum = warp_sum(sum);
    if (lane() == 0) y[row()] = sum;
}

// Q6_K: 128 bytes of low nibbles, 64 of upper pairs of bits, 16 signed scales for 16 weights each, a half d. Per 128
// weights, nibble n of byte l and bits 2n of byte l % 32 make weights 32 apart. Columns are a multiple of 256.
extern "C" __global__ void gemv_q6_k(float *y, const uint8_t *w, const int8_t *x, const float *scales, uint32_t rows,
                                     uint32_t columns) {
    if (row() >= rows) return;
    uint32_t blocks = columns / 256, half = lane() / 16, odd = lane() / 8 % 2, at = lane() % 8 * 4;
    const uint8_t *r = w + (uint64_t)row() * blocks * 210;
    float sum = 0;
    for (uint32_t block = 0; block < blocks; block++) {
        const uint8_t *b = r + block * 210;
        float d = load_half(b + 208);
        uint32_t low = load_pairs(b + half * 64 + odd * 32 + at), high = load_pairs(b + 128 + half * 32 + at);
        for (uint32_t upper = 0; upper < 2; upper++) {
            // Of four groups of 32 in this half of the block: odd, or two further.
            uint32_t group = half * 4 + upper * 2 + odd;
            uint32_t six = low >> (4 * upper) & 0x0f0f0f0f | (high >> (2 * (upper * 2 + odd)) & 0x03030303) << 4;
            int32_t v = *(const int32_t *)&x[block * 256 + group * 32 + at];
            // Weights are six bits minus 32.
            int32_t dot = dot4(six, v, 0) - 32 * dot4(0x01010101, v, 0);
            sum += d * (int8_t)b[192 + group * 2 + at / 16] * dot * scales[block * 8 + group];
        }
    }
    sum = warp_sum(sum);
    if (lane() == 0) y[row()] = sum;
}
