// Attention of one token to all before it, and the cache.
//
// Grid: splits, KV heads, and as many times four query heads as share a KV head. The positions so far are dealt to the
// splits in equal chunks, splits without any return. Each of a block's lane groups goes over positions of its own with a
// softmax of its own (the largest score so far, the sum, the weighted values), and these are merged: lanes, warps, and
// where there is more than one split, in the block that ends last.
#include "common.h"

constexpr u32 HEADS = 4;    // query heads of a block
constexpr u32 BATCH = 4;    // positions that a lane group requests at a time
constexpr u32 WARPS = 4;
constexpr u32 CHUNK = 64;   // the least positions of a split: fewer are not worth a merge

struct Attention {
    const u32* state;
    const float* qkv;     // heads x size, then keys, then values
    half* keys;           // KV head, position, element
    half* values;
    float* out;
    const float* q_norm;  // or null
    const float* k_norm;
    const u64* turns;     // turns per position of each pair, times 2^64
    float* partial;       // head, split: largest, sum, then size values
    u32* arrived;         // a count for each z and KV head, left at 0
    u32 heads;
    u32 kv_heads;
    u32 halves;           // pairs are (i, i + size / 2), else (2i, 2i + 1)
    float epsilon;
    float scale;          // of scores, in powers of two
};

// Norm, if there is one, and rotation of one head by one warp. `out` may be shared or local memory of the block.
template <u32 size, class Put>
__device__ __forceinline__ void rotate(const float* from, const float* norm, const Attention& p, u32 position, u32 lane, Put put) {
    constexpr u32 PAIRS = size / 2, EACH = (PAIRS + 31) / 32;
    float a[EACH], b[EACH], squares = 0;
#pragma unroll
    for (u32 i = 0; i < EACH; i++) {
        const u32 pair = lane + i * 32, first = p.halves ? pair : pair * 2, second = p.halves ? pair + PAIRS : pair * 2 + 1;
        a[i] = b[i] = 0;
        if (pair < PAIRS) {
            a[i] = __ldcg(from + first), b[i] = __ldcg(from + second);
            squares += a[i] * a[i] + b[i] * b[i];
        }
    }
    const float scale = norm ? rsqrtf(sum_of<32>(squares) / size + p.epsilon) : 1;
#pragma unroll
    for (u32 i = 0; i < EACH; i++) {
        const u32 pair = lane + i * 32, first = p.halves ? pair : pair * 2, second = p.halves ? pair + PAIRS : pair * 2 + 1;
        if (pair >= PAIRS) continue;
        if (norm) a[i] *= scale * norm[first], b[i] *= scale * norm[second];
        // Whole turns fall off at the top of 64 bits: the angle is right at any position.
        const i32 angle = (i32)(position * p.turns[pair] >> 32);
        float sine, cosine;
        sincospif((float)angle * (1.0f / 2147483648.0f), &sine, &cosine);
        put(first, a[i] * cosine - b[i] * sine);
        put(second, a[i] * sine + b[i] * cosine);
    }
}

// A softmax under way over some of the positions: scores are powers of two.
struct Softmax {
    float most, sum;
};

template <u32 size>
__device__ __forceinline__ void attention(const Attention& p) {
    constexpr u32 LANES = size / 8, AT_ONCE = 32 / LANES, BLOCK = WARPS * AT_ONCE;
    __shared__ __align__(16) float q[HEADS][size];
    __shared__ __align__(16) half fresh_key[size], fresh_value[size];
    __shared__ float merged[WARPS][HEADS][size + 2];
    __shared__ u32 last;
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u32 split = blockIdx.x, kv = blockIdx.y, shared_by = p.heads / p.kv_heads;
    const u32 head = kv * shared_by + blockIdx.z * HEADS, heads = min(HEADS, shared_by - blockIdx.z * HEADS);

    let_next_start();
    wait_for_previous();
    if (__ldcg(p.state + STOP)) return;
    const u32 position = __ldcg(p.state + POSITION), context = __ldcg(p.state + CONTEXT), count = position + 1;
    const u32 chunk = max(CHUNK, ceil_div(ceil_div(count, gridDim.x), BLOCK) * BLOCK);
    const u32 begin = split * chunk, end = min(count, begin + chunk), splits = ceil_div(count, chunk);
    if (begin >= count) return;
    const bool newest = end == count;
    half* keys = p.keys + (u64)kv * context * size;
    half* values = p.values + (u64)kv * context * size;

    for (u32 h = warp; h < heads; h += WARPS)
        rotate<size>(p.qkv + (head + h) * size, p.q_norm, p, position, lane, [&](u32 i, float v) { q[h][i] = v * p.scale; });
    if (newest && warp == WARPS - 1)
        rotate<size>(p.qkv + (p.heads + kv) * size, p.k_norm, p, position, lane, [&](u32 i, float v) {
            fresh_key[i] = __float2half_rn(v);
            if (blockIdx.z == 0) keys[(u64)position * size + i] = fresh_key[i];
        });
    if (newest)
        for (u32 i = threadIdx.x; i < size; i += WARPS * 32) {
            fresh_value[i] = __float2half_rn(__ldcg(p.qkv + (p.heads + p.kv_heads + kv) * size + i));
            if (blockIdx.z == 0) values[(u64)position * size + i] = fresh_value[i];
        }
    __syncthreads();

    // A lane has eight elements of each head's query and of the values so far.
    const u32 at = lane % LANES * 8, seat = warp * AT_ONCE + lane / LANES;
    float mine[HEADS][8], out[HEADS][8];
    Softmax soft[HEADS];
#pragma unroll
    for (u32 h = 0; h < HEADS; h++) {
        soft[h] = {__int_as_float(0xff800000), 0};
#pragma unroll
        for (u32 i = 0; i < 8; i++) mine[h][i] = h < heads ? q[h][at + i] : 0, out[h][i] = 0;
    }
    for (u32 from = begin + seat; from < end; from += BLOCK * BATCH) {
        uint4 k[BATCH], v[BATCH];
#pragma unroll
        for (u32 b = 0; b < BATCH; b++) {
            const u32 n = from + b * BLOCK;
            if (n < end) {
                const half *key = n == position ? fresh_key : keys + (u64)n * size;
                const half *value = n == position ? fresh_value : values + (u64)n * size;
                k[b] = *(const uint4*)(key + at), v[b] = *(const uint4*)(value + at);
            } else {
                k[b] = v[b] = make_uint4(0, 0, 0, 0);
            }
        }
        float scores[HEADS][BATCH];
#pragma unroll
        for (u32 b = 0; b < BATCH; b++) {
            const half2* pair = (const half2*)&k[b];
#pragma unroll
            for (u32 h = 0; h < HEADS; h++) scores[h][b] = 0;
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                const float2 f = __half22float2(pair[i]);
#pragma unroll
                for (u32 h = 0; h < HEADS; h++) scores[h][b] += mine[h][2 * i] * f.x + mine[h][2 * i + 1] * f.y;
            }
        }
        // Lane groups of a warp may be done at different times: the shuffles name the lanes of this group.
        const u32 group = (LANES == 32 ? 0xffffffff : (1u << LANES) - 1) << lane / LANES * LANES;
#pragma unroll
        for (u32 h = 0; h < HEADS; h++) {
            if (h >= heads) continue;
            float most = soft[h].most;
#pragma unroll
            for (u32 b = 0; b < BATCH; b++) {
#pragma unroll
                for (u32 step = 1; step < LANES; step *= 2) scores[h][b] += __shfl_xor_sync(group, scores[h][b], step);
                if (from + b * BLOCK >= end) scores[h][b] = __int_as_float(0xff800000);
                most = fmaxf(most, scores[h][b]);
            }
            const float keep = exp2f(soft[h].most - most);
            soft[h].most = most;
            soft[h].sum *= keep;
#pragma unroll
            for (u32 i = 0; i < 8; i++) out[h][i] *= keep;
#pragma unroll
            for (u32 b = 0; b < BATCH; b++) {
                const float weight = exp2f(scores[h][b] - most);
                soft[h].sum += weight;
                scores[h][b] = weight;
            }
        }
#pragma unroll
        for (u32 b = 0; b < BATCH; b++) {
            const half2* pair = (const half2*)&v[b];
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                const float2 f = __half22float2(pair[i]);
#pragma unroll
                for (u32 h = 0; h < HEADS; h++) {
                    if (h >= heads) continue;
                    out[h][2 * i] += scores[h][b] * f.x;
                    out[h][2 * i + 1] += scores[h][b] * f.y;
                }
            }
        }
    }
    __syncwarp();

    // The lane groups of a warp. A group that had no position has a largest of minus infinity and must count for
    // nothing: the other's largest is subtracted, or zero where both had none.
#pragma unroll
    for (u32 h = 0; h < HEADS; h++) {
        if (h >= heads) continue;
        const float all = max_of<32>(soft[h].most), keep = exp2f(soft[h].most - (all > -1e30f ? all : 0));
        soft[h].sum *= keep;
#pragma unroll
        for (u32 i = 0; i < 8; i++) out[h][i] *= keep;
#pragma unroll
        for (u32 step = LANES; step < 32; step *= 2) {
            soft[h].sum += __shfl_xor_sync(0xffffffff, soft[h].sum, step);
#pragma unroll
            for (u32 i = 0; i < 8; i++) out[h][i] += __shfl_xor_sync(0xffffffff, out[h][i], step);
        }
        if (lane < LANES) {
#pragma unroll
            for (u32 i = 0; i < 8; i++) merged[warp][h][at + i] = out[h][i];
            if (lane == 0) merged[warp][h][size] = all, merged[warp][h][size + 1] = soft[h].sum;
        }
    }
    __syncthreads();

    // The warps.
    for (u32 i = threadIdx.x; i < heads * size; i += WARPS * 32) {
        const u32 h = i / size, e = i % size;
        float most = __int_as_float(0xff800000), sum = 0, value = 0;
#pragma unroll
        for (u32 w = 0; w < WARPS; w++) most = fmaxf(most, merged[w][h][size]);
#pragma unroll
        for (u32 w = 0; w < WARPS; w++) {
            const float keep = exp2f(merged[w][h][size] - most);
            sum += merged[w][h][size + 1] * keep;
            value += merged[w][h][e] * keep;
        }
        if (splits == 1) {
            p.out[(head + h) * size + e] = value / sum;
        } else {
            float* part = p.partial + ((u64)(head + h) * gridDim.x + split) * (size + 2);
            part[2 + e] = value;
            if (e == 0) part[0] = most, part[1] = sum;
        }
    }
    if (splits == 1) return;

    // The splits.
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(p.arrived + blockIdx.z * gridDim.y + kv, 1) == splits - 1;
    __syncthreads();
    if (!last) return;
    __threadfence();
    if (threadIdx.x == 0) p.arrived[blockIdx.z * gridDim.y + kv] = 0;
    for (u32 i = threadIdx.x; i < heads * size; i += WARPS * 32) {
        const u32 h = i / size, e = i % size;
        const float* part = p.partial + (u64)(head + h) * gridDim.x * (size + 2);
        float most = __int_as_float(0xff800000), sum = 0, value = 0;
        for (u32 s = 0; s < splits; s++) most = fmaxf(most, __ldcg(part + s * (size + 2)));
        for (u32 s = 0; s < splits; s++) {
            const float keep = exp2f(__ldcg(part + s * (size + 2)) - most);
            sum += __ldcg(part + s * (size + 2) + 1) * keep;
            value += __ldcg(part + s * (size + 2) + 2 + e) * keep;
        }
        p.out[(head + h) * size + e] = value / sum;
    }
}

#define ATTENTION(size)                                                                                                 \
    extern "C" __global__ void __launch_bounds__(WARPS * 32) attention_##size(                                          \
        const u32* state, const float* qkv, half* keys, half* values, float* out, const float* q_norm,                  \
        const float* k_norm, const u64* turns, float* partial, u32* arrived, u32 heads, u32 kv_heads, u32 halves,         \
        float epsilon, float scale) {                                                                                   \
        attention<size>({state, qkv, keys, values, out, q_norm, k_norm, turns, partial, arrived, heads, kv_heads,        \
                         halves, epsilon, scale});                                                                      \
    }

ATTENTION(32)
ATTENTION(64)
ATTENTION(128)
