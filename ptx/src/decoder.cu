// What a decoder of language models runs, written the plain way: products of quantised matrices with a vector,
// normalisation, rotation, attention, the largest element. Blocks of 32 by any number of threads where a row is a
// warp's work.

#include "types.h"
#include <cuda_fp16.h>

#define WARP 0xffffffffu

static __device__ float sum_of_warp(float x) {
    for (int by = 16; by; by /= 2) x += __shfl_xor_sync(WARP, x, by);
    return x;
}

static __device__ uint32_t row_of_warp() {
    return blockIdx.x * blockDim.y + threadIdx.y;
}

static __device__ uint32_t word(const uint8_t* bytes) {
    const uint16_t* halves = (const uint16_t*)bytes;
    return halves[0] | (uint32_t)halves[1] << 16;
}

extern "C" __global__ void gemv_f16(float* y, const __half2* w, const __half2* x, uint32_t k) {
    const uint4* row = (const uint4*)(w + (uint64_t)row_of_warp() * k / 2);
    const uint4* other = (const uint4*)x;
    float sum = 0;
    for (uint32_t i = threadIdx.x; i < k / 8; i += 32) {
        uint4 a = __ldg(row + i), b = __ldg(other + i);
        __half2 low = __hmul2(*(__half2*)&a.x, *(__half2*)&b.x);
        low = __hfma2(*(__half2*)&a.y, *(__half2*)&b.y, low);
        __half2 high = __hmul2(*(__half2*)&a.z, *(__half2*)&b.z);
        high = __hfma2(*(__half2*)&a.w, *(__half2*)&b.w, high);
        float2 p = __half22float2(low), q = __half22float2(high);
        sum += p.x + p.y + q.x + q.y;
    }
    sum = sum_of_warp(sum);
    if (threadIdx.x == 0) y[row_of_warp()] = sum;
}

struct Q8 {
    __half scale;
    int8_t q[32];
};

// x is quantised in blocks of 32 as well: bytes and scales apart.
extern "C" __global__ void gemv_q8_0(float* y, const Q8* w, const int8_t* x, const float* scales, uint32_t k) {
    const Q8* row = w + (uint64_t)row_of_warp() * (k / 32);
    float sum = 0;
    for (uint32_t b = threadIdx.x; b < k / 32; b += 32) {
        int dot = 0;
        for (int j = 0; j < 8; j++) {
            dot = __dp4a((int)word((const uint8_t*)row[b].q + j * 4), ((const int*)x)[b * 8 + j], dot);
        }
        sum += __half2float(row[b].scale) * scales[b] * dot;
    }
    sum = sum_of_warp(sum);
    if (threadIdx.x == 0) y[row_of_warp()] = sum;
}

// Blocks of 256: eight parts, each with a scale and a minimum of six bits.
struct Q4K {
    __half scale, minimum;
    uint8_t parts[12];
    uint8_t q[128];
};

static __device__ void scale_and_minimum(const uint8_t* parts, uint32_t j, uint32_t* scale, uint32_t* minimum) {
    if (j < 4) {
        *scale = parts[j] & 63;
        *minimum = parts[j + 4] & 63;
    } else {
        *scale = (parts[j + 4] & 15) | (parts[j - 4] >> 6) << 4;
        *minimum = parts[j + 4] >> 4 | (parts[j] >> 6) << 4;
    }
}

// sums holds the sum of each 32 bytes of x.
extern "C" __global__ void gemv_q4_k(float* y, const Q4K* w, const int8_t* x, const float* scales, const int32_t* sums,
                                     uint32_t k) {
    const Q4K* row = w + (uint64_t)row_of_warp() * (k / 256);
    uint32_t j = threadIdx.x % 8;
    float sum = 0;
    for (uint32_t b = threadIdx.x / 8; b < k / 256; b += 4) {
        uint32_t scale, minimum;
        scale_and_minimum(row[b].parts, j, &scale, &minimum);
        const uint32_t* q = (const uint32_t*)(row[b].q + j / 2 * 32);
        int dot = 0;
        for (int i = 0; i < 8; i++) {
            dot = __dp4a((int)(q[i] >> (j % 2 * 4) & 0x0f0f0f0f), ((const int*)x)[b * 64 + j * 8 + i], dot);
        }
        uint32_t at = b * 8 + j;
        sum += scales[at] * (__half2float(row[b].scale) * scale * dot - __half2float(row[b].minimum) * minimum * sums[at]);
    }
    sum = sum_of_warp(sum);
    if (threadIdx.x == 0) y[row_of_warp()] = sum;
}

// Blocks of 256: sixteen parts, four bits in one place and two in another.
struct Q6K {
    uint8_t low[128], high[64];
    int8_t parts[16];
    __half scale;
};

extern "C" __global__ void gemv_q6_k(float* y, const Q6K* w, const int8_t* x, const float* scales, uint32_t k) {
    const Q6K* row = w + (uint64_t)row_of_warp() * (k / 256);
    // Half a block for sixteen lanes; each lane has four elements 32 apart, eight times over two words.
    uint32_t half = threadIdx.x / 16, at = threadIdx.x % 16 * 2;
    float sum = 0;
    for (uint32_t b = 0; b < k / 256; b++) {
        const uint8_t *low = row[b].low + half * 64, *high = row[b].high + half * 32;
        const int8_t* parts = row[b].parts + half * 8;
        const int8_t* other = x + b * 256 + half * 128;
        float part = 0;
        for (uint32_t l = at; l < at + 2; l++) {
            int q[4] = {(low[l] & 15) | (high[l] & 3) << 4, (low[l + 32] & 15) | (high[l] >> 2 & 3) << 4,
                        low[l] >> 4 | (high[l] >> 4 & 3) << 4, low[l + 32] >> 4 | (high[l] >> 6) << 4};
            for (int n = 0; n < 4; n++) {
                part += scales[b * 8 + half * 4 + n] * (parts[l / 16 + n * 2] * (q[n] - 32) * other[l + n * 32]);
            }
        }
        sum += part * __half2float(row[b].scale);
    }
    sum = sum_of_warp(sum);
    if (threadIdx.x == 0) y[row_of_warp()] = sum;
}

// A row for each block of whole warps.
extern "C" __global__ void rms_norm(float* out, const float* x, const float* weight, uint32_t n, float epsilon) {
    __shared__ float part[32];
    const float* row = x + (uint64_t)blockIdx.x * n;
    float sum = 0;
    for (uint32_t i = threadIdx.x; i < n; i += blockDim.x) sum += row[i] * row[i];
    sum = sum_of_warp(sum);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (uint32_t i = 0; i < blockDim.x / 32; i++) sum += part[i];
    float scale = rsqrtf(sum / n + epsilon);
    for (uint32_t i = threadIdx.x; i < n; i += blockDim.x) out[(uint64_t)blockIdx.x * n + i] = row[i] * scale * weight[i];
}

extern "C" __global__ void rope(float* x, uint32_t n, uint32_t position, float base) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n / 2) return;
    float s, c, angle = position * powf(base, -2.0f * i / n);
    sincosf(angle, &s, &c);
    float a = x[i], b = x[i + n / 2];
    x[i] = a * c - b * s;
    x[i + n / 2] = a * s + b * c;
}

// A head for each block of one warp: softmax on the way, the weighted sum in 4 x width bytes of shared memory.
extern "C" __global__ void attend(float* out, const float* q, const __half* keys, const __half* values, uint32_t n,
                                  uint32_t width, float scale) {
    extern __shared__ float sums[];
    float largest = __int_as_float(0xff800000), total = 0;
    for (uint32_t i = threadIdx.x; i < width; i += 32) sums[i] = 0;
    for (uint32_t at = 0; at < n; at++) {
        float score = 0;
        for (uint32_t i = threadIdx.x; i < width; i += 32) {
            score += q[blockIdx.x * width + i] * __half2float(keys[(uint64_t)at * width + i]);
        }
        score = sum_of_warp(score) * scale;
        float now = fmaxf(largest, score);
        float keep = __expf(largest - now), add = __expf(score - now);
        total = total * keep + add;
        for (uint32_t i = threadIdx.x; i < width; i += 32) {
            sums[i] = sums[i] * keep + add * __half2float(values[(uint64_t)at * width + i]);
        }
        largest = now;
    }
    for (uint32_t i = threadIdx.x; i < width; i += 32) out[blockIdx.x * width + i] = sums[i] / total;
}

// best starts at 0 and ends with the place of the largest element in its lower half, complemented.
extern "C" __global__ void argmax(uint64_t* best, const float* x, uint32_t n) {
    uint64_t mine = 0;
    for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        uint32_t bits = __float_as_uint(x[i]);
        // The order of the numbers as that of unsigned words.
        bits = bits >> 31 ? ~bits : bits | 0x80000000u;
        uint64_t key = (uint64_t)bits << 32 | ~i;
        mine = key > mine ? key : mine;
    }
    for (int by = 16; by; by /= 2) {
        uint64_t other = __shfl_xor_sync(WARP, mine, by);
        mine = other > mine ? other : mine;
    }
    if (threadIdx.x % 32 == 0) atomicMax((unsigned long long*)best, mine);
}

// Softmax over a row for each block, the row in dynamic shared memory.
extern "C" __global__ void softmax(float* out, const float* x, uint32_t n) {
    extern __shared__ float row[];
    __shared__ float part[2][32];
    float largest = __int_as_float(0xff800000);
    for (uint32_t i = threadIdx.x; i < n; i += blockDim.x) {
        row[i] = x[(uint64_t)blockIdx.x * n + i];
        largest = fmaxf(largest, row[i]);
    }
    for (int by = 16; by; by /= 2) largest = fmaxf(largest, __shfl_xor_sync(WARP, largest, by));
    if (threadIdx.x % 32 == 0) part[0][threadIdx.x / 32] = largest;
    __syncthreads();
    for (uint32_t i = 0; i < blockDim.x / 32; i++) largest = fmaxf(largest, part[0][i]);
    float sum = 0;
    for (uint32_t i = threadIdx.x; i < n; i += blockDim.x) sum += row[i] = expf(row[i] - largest);
    sum = sum_of_warp(sum);
    if (threadIdx.x % 32 == 0) part[1][threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (uint32_t i = 0; i < blockDim.x / 32; i++) sum += part[1][i];
    for (uint32_t i = threadIdx.x; i < n; i += blockDim.x) out[(uint64_t)blockIdx.x * n + i] = row[i] / sum;
}
