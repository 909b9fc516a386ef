// Attention of one token to all before it, and the cache.
//
// Grid: splits, KV heads, and as many times four query heads as share a KV head. The positions so far are dealt to the
// splits in equal chunks, splits without any return. Each of a block's lane groups goes over positions of its own with a
// softmax of its own (the largest score so far, the sum, the weighted values), and these are merged: lanes, warps, and
// where there is more than one split, in the block that ends last.
//
// One load after the other is what takes time here, so what can be asked for together is: queries with the position, the
// first keys and values before the queries are rotated.
//
// For a batch of a prompt, `remember` puts all its keys and values into the cache, then attention_SIZE_batch has a block
// for each token instead of splits.
#include "common.h"

constexpr u32 HEADS = 4;    // query heads of a block
constexpr u32 BATCH = 5;    // positions that a lane group requests at a time: a little more than 2,048 in one go
constexpr u32 WARPS = 8;
constexpr u32 CHUNK = 64;   // the least positions of a split: fewer are not worth a merge
constexpr u32 SPLITS = 32;  // the most splits: a lane each when they are merged

struct Attention {
    const u32* state;
    const float* qkv;     // heads x size, then keys, then values
    half* keys;           // KV head, position, element
    half* values;
    float* out;
    const float* q_norm;  // or null
    const float* k_norm;
    const u64* turns;     // turns per position of each pair, times 2^64
    float* partial;       // head, split: size values; then head, split: {largest, sum}
    u32* arrived;         // a count for each z and KV head, left at 0
    u32 heads;
    u32 kv_heads;
    u32 halves;           // pairs are (i, i + size / 2), else (2i, 2i + 1)
    float epsilon;
    float scale;          // of scores, in powers of two
};

// A head of queries or keys in a warp: pairs of elements, lane by lane.
template <u32 size>
struct Head {
    static constexpr u32 PAIRS = size / 2, EACH = (PAIRS + 31) / 32;
    float a[EACH], b[EACH], wa[EACH], wb[EACH];
    u64 turns[EACH];
    u32 lane, halves;

    __device__ __forceinline__ u32 pair(u32 i) const { return lane + i * 32; }
    __device__ __forceinline__ u32 first(u32 i) const { return halves ? pair(i) : pair(i) * 2; }
    __device__ __forceinline__ u32 second(u32 i) const { return halves ? pair(i) + PAIRS : pair(i) * 2 + 1; }

    // What never changes, before the wait.
    __device__ __forceinline__ Head(const Attention& p, const float* norm, u32 lane) : lane(lane), halves(p.halves) {
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            turns[i] = 0, wa[i] = wb[i] = 1;
            if (pair(i) >= PAIRS) continue;
            turns[i] = p.turns[pair(i)];
            if (norm) wa[i] = norm[first(i)], wb[i] = norm[second(i)];
        }
    }
    __device__ __forceinline__ void load(const float* from) {
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            a[i] = b[i] = 0;
            if (pair(i) < PAIRS) a[i] = __ldcg(from + first(i)), b[i] = __ldcg(from + second(i));
        }
    }
    template <class Put>
    __device__ __forceinline__ void rotate(const Attention& p, bool norm, u32 position, Put put) {
        float squares = 0;
#pragma unroll
        for (u32 i = 0; i < EACH; i++) squares += a[i] * a[i] + b[i] * b[i];
        const float scale = norm ? rsqrtf(sum_of<32>(squares) / size + p.epsilon) : 1;
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            if (pair(i) >= PAIRS) continue;
            const float x = a[i] * scale * wa[i], y = b[i] * scale * wb[i];
            // Whole turns fall off at the top of 64 bits: the angle is right at any position.
            const i32 angle = (i32)(position * turns[i] >> 32);
            float sine, cosine;
            sincospif((float)angle * (1.0f / 2147483648.0f), &sine, &cosine);
            put(first(i), x * cosine - y * sine);
            put(second(i), x * sine + y * cosine);
        }
    }
};

// A softmax under way over some of the positions: scores are powers of two.
struct Softmax {
    float most, sum;
};

// Batch: of token x of a batch, all of which is in the cache.
template <u32 size, bool batch>
__device__ __forceinline__ void attention(Attention p) {
    constexpr u32 LANES = size / 8, AT_ONCE = 32 / LANES, BLOCK = WARPS * AT_ONCE;
    __shared__ __align__(16) float q[HEADS][size];
    __shared__ __align__(16) half fresh_key[size], fresh_value[size];
    __shared__ float merged[WARPS][HEADS][size + 2];
    __shared__ float shares[HEADS][SPLITS];
    __shared__ u32 last;
    float2* sums = (float2*)(p.partial + (u64)p.heads * SPLITS * size);
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u32 split = batch ? 0 : blockIdx.x, kv = blockIdx.y, shared_by = p.heads / p.kv_heads;
    const u32 head = kv * shared_by + blockIdx.z * HEADS, heads = min(HEADS, shared_by - blockIdx.z * HEADS);

    // The first warps have a head of queries each, then one has the new key and one the new value.
    static_assert(WARPS >= HEADS + 2, "a warp for each");
    const bool has_query = warp < heads, has_key = !batch && warp == HEADS, has_value = !batch && warp == HEADS + 1;
    if (batch) {
        p.qkv += (u64)blockIdx.x * (p.heads + 2 * p.kv_heads) * size;
        p.out += (u64)blockIdx.x * p.heads * size;
    }
    const float* norm = has_key ? p.k_norm : p.q_norm;
    Head<size> mine_of(p, norm, lane);

    let_next_start();
    wait_for_previous();
    const u32 stop = __ldcg(p.state + STOP), context = __ldcg(p.state + CONTEXT);
    const u32 position = __ldcg(p.state + POSITION) + (batch ? blockIdx.x : 0);
    if (has_query || has_key) mine_of.load(p.qkv + (has_key ? p.heads + kv : head + warp) * size);
    float new_value[(size + 31) / 32];
    if (has_value)
        for (u32 i = 0; i < (size + 31) / 32; i++)
            new_value[i] = __ldcg(p.qkv + (p.heads + p.kv_heads + kv) * size + i * 32 + lane);
    if (stop) return;
    const u32 count = position + 1, chunk = batch ? count : max(CHUNK, ceil_div(ceil_div(count, gridDim.x), 16) * 16);
    const u32 begin = split * chunk, end = min(count, begin + chunk), splits = ceil_div(count, chunk);
    if (begin >= count) return;
    const bool newest = !batch && end == count;
    half* keys = p.keys + (u64)kv * context * size;
    half* values = p.values + (u64)kv * context * size;

    const u32 at = lane % LANES * 8, seat = warp * AT_ONCE + lane / LANES;
    uint4 k[BATCH], v[BATCH];
    auto request = [&](u32 from) {
#pragma unroll
        for (u32 b = 0; b < BATCH; b++) {
            const u32 n = from + b * BLOCK;
            k[b] = v[b] = make_uint4(0, 0, 0, 0);
            // The newest is not there yet.
            if (n < end && (batch || n != position)) {
                k[b] = __ldcg((const uint4*)(keys + (u64)n * size + at));
                v[b] = __ldcg((const uint4*)(values + (u64)n * size + at));
            }
        }
    };
    request(begin + seat);

    if (has_query) mine_of.rotate(p, p.q_norm, position, [&](u32 i, float f) { q[warp][i] = f * p.scale; });
    if (newest && has_key)
        mine_of.rotate(p, p.k_norm, position, [&](u32 i, float f) {
            fresh_key[i] = __float2half_rn(f);
            if (blockIdx.z == 0) keys[(u64)position * size + i] = fresh_key[i];
        });
    if (newest && has_value)
        for (u32 i = 0; i < (size + 31) / 32; i++) {
            fresh_value[i * 32 + lane] = __float2half_rn(new_value[i]);
            if (blockIdx.z == 0) values[(u64)position * size + i * 32 + lane] = fresh_value[i * 32 + lane];
        }
    __syncthreads();

    // A lane has eight elements of each head's query and of the values so far.
    float mine[HEADS][8], out[HEADS][8];
    Softmax soft[HEADS];
#pragma unroll
    for (u32 h = 0; h < HEADS; h++) {
        soft[h] = {__int_as_float(0xff800000), 0};
#pragma unroll
        for (u32 i = 0; i < 8; i++) mine[h][i] = h < heads ? q[h][at + i] : 0, out[h][i] = 0;
    }
    for (u32 from = begin + seat; from < end; from += BLOCK * BATCH) {
#pragma unroll
        for (u32 b = 0; b < BATCH; b++)
            // Only the block that has the newest: what others find in that shared memory can be infinite, and so more
            // than a weight of 0 takes away.
            if (newest && from + b * BLOCK == position)
                k[b] = *(const uint4*)(fresh_key + at), v[b] = *(const uint4*)(fresh_value + at);
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
        request(from + BLOCK * BATCH);
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
            p.partial[((u64)(head + h) * SPLITS + split) * size + e] = value;
            if (e == 0) sums[(head + h) * SPLITS + split] = make_float2(most, sum);
        }
    }
    if (splits == 1) return;

    // The splits.
    __syncthreads();
    if (threadIdx.x == 0) {
        // For the whole block: the barrier has ordered its stores before this.
        __threadfence();
        last = atomicAdd(p.arrived + blockIdx.z * gridDim.y + kv, 1) == splits - 1;
        __threadfence();
    }
    __syncthreads();
    if (!last) return;
    if (threadIdx.x == 0) p.arrived[blockIdx.z * gridDim.y + kv] = 0;
    if (warp < heads) {
        // The share of each split, a lane each.
        float2 own = make_float2(__int_as_float(0xff800000), 0);
        if (lane < splits) own = __ldcg(sums + (head + warp) * SPLITS + lane);
        const float keep = exp2f(own.x - max_of<32>(own.x));
        shares[warp][lane] = keep / sum_of<32>(own.y * keep);
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < heads * size; i += WARPS * 32) {
        const u32 h = i / size, e = i % size;
        const float* part = p.partial + (u64)(head + h) * SPLITS * size + e;
        float value = 0;
        for (u32 s = 0; s < splits; s += 8) {
            float eight[8];
#pragma unroll
            for (u32 j = 0; j < 8; j++) eight[j] = s + j < splits ? __ldcg(part + (s + j) * size) : 0;
#pragma unroll
            for (u32 j = 0; j < 8; j++) value += s + j < splits ? eight[j] * shares[h][s + j] : 0;
        }
        p.out[(head + h) * size + e] = value;
    }
}

// The keys and values of a batch. Grid: tokens, KV heads. A warp for the key, one for the value.
template <u32 size>
__device__ __forceinline__ void remember(const Attention& p) {
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, kv = blockIdx.y;
    Head<size> key(p, p.k_norm, lane);
    let_next_start();
    wait_for_previous();
    if (__ldcg(p.state + STOP)) return;
    const u32 position = __ldcg(p.state + POSITION) + blockIdx.x, context = __ldcg(p.state + CONTEXT);
    const float* qkv = p.qkv + (u64)blockIdx.x * (p.heads + 2 * p.kv_heads) * size;
    const u64 at = ((u64)kv * context + position) * size;
    if (warp == 0) {
        key.load(qkv + (p.heads + kv) * size);
        key.rotate(p, p.k_norm, position, [&](u32 i, float f) { p.keys[at + i] = __float2half_rn(f); });
    } else {
        for (u32 i = lane; i < size; i += 32)
            p.values[at + i] = __float2half_rn(__ldcg(qkv + (p.heads + p.kv_heads + kv) * size + i));
    }
}

#define KERNEL(name, what, threads)                                                                                     \
    extern "C" __global__ void __launch_bounds__(threads) name(                                                         \
        const u32* state, const float* qkv, half* keys, half* values, float* out, const float* q_norm,                  \
        const float* k_norm, const u64* turns, float* partial, u32* arrived, u32 heads, u32 kv_heads, u32 halves,         \
        float epsilon, float scale) {                                                                                   \
        what({state, qkv, keys, values, out, q_norm, k_norm, turns, partial, arrived, heads, kv_heads, halves, epsilon,  \
              scale});                                                                                                  \
    }
#define ATTENTION(size)                                                                                                 \
    KERNEL(attention_##size, (attention<size, false>), WARPS * 32)                                                      \
    KERNEL(attention_##size##_batch, (attention<size, true>), WARPS * 32)                                               \
    KERNEL(remember_##size, remember<size>, 64)

ATTENTION(32)
ATTENTION(64)
ATTENTION(128)
