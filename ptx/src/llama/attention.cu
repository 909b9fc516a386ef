// Attention of one token to all before it, and the cache.
//
// Grid: splits, KV heads, and blocks that share out the query heads of a KV head, four at most to each. Positions go by runs of 16 or 32, which
// are dealt to splits, then to their warps. A warp multiplies queries with the keys of a run, and the weights that a softmax
// under way gives them with its values, on the tensor cores: queries and weights are sums of two halves, in columns (rows)
// of their own. Each warp has a softmax of its own (the largest score so far, the sum, the weighted values); these are
// merged by the block, and where there is more than one split, by the first of a cluster, or without clusters by the block
// that ends last.
//
// What takes time here is one request after the other. So keys and values are requested before the wait for the kernel
// before: the position may then be an old one, which the wait will tell. Positions before it have been in the cache since
// the token before, and do not change.
//
// For a batch of a prompt, `remember` puts all its keys and values into the cache, then attention_SIZE_batch has a block
// for each token instead of splits.
#include "common.h"

constexpr u32 HEADS = 4;  // query heads of a block
constexpr u32 WARPS = 8;
constexpr u32 SPLITS = 8; // the most splits: blocks of a cluster

struct Attention {
    const u32* state;
    const float* qkv;     // heads x size, then keys, then values
    half* keys;           // KV head, position, element
    half* values;
    float* out;
    const float* q_norm;  // or null
    const float* k_norm;
    const u64* turns;     // turns per position of each pair, times 2^64
    float* partial;       // where there are no clusters: z and KV head, split: lines of heads
    u32* arrived;         // there too, a count for each z and KV head, left at 0
    u32 heads;
    u32 kv_heads;
    u32 halves;           // pairs are (i, i + size / 2), else (2i, 2i + 1)
    float epsilon;
    float scale;          // of scores, in powers of two
};

// Where the splits of a KV head leave what they have, and how they wait for each other: with clusters in the shared memory
// of the first block, whose barrier counts the bytes; else in memory, by a count.
#if __CUDA_ARCH__ >= 900
// Blocks share a multiprocessor with those of the products before and behind, where shared memory has room for both: so
// less is under way, in shorter runs.
constexpr bool EARLY = true;
#define CLUSTER __cluster_dims__(SPLITS, 1, 1)
template <u32 size>
__device__ __forceinline__ float (*of_splits(const Attention&))[HEADS][size + 2] {
    __shared__ float lines[SPLITS][HEADS][size + 2];
    return lines;
}
__device__ __forceinline__ u32 barrier() {
    __shared__ u64 of_bytes;
    return (u32)__cvta_generic_to_shared(&of_bytes);
}
__device__ __forceinline__ void leave(float* at, float v) {
    asm volatile("{ .reg .u32 far, counts; mapa.shared::cluster.u32 far, %0, 0; mapa.shared::cluster.u32 counts, %1, 0;"
                 "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [far], %2, [counts]; }"
                 ::"r"((u32)__cvta_generic_to_shared(at)), "r"(barrier()), "r"(__float_as_uint(v)) : "memory");
}
// Nothing may be left with a block that has not begun.
__device__ __forceinline__ void begins() {
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barrier()) : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncwarp();
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
__device__ __forceinline__ void all_have_begun() { asm volatile("barrier.cluster.wait.aligned;" ::: "memory"); }
// Whether this block is the one that merges.
__device__ __forceinline__ bool all_have_left(const Attention&, u32, u32 bytes) {
    if (blockIdx.x != 0) return false;
    if (threadIdx.x == 0)
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier()), "r"(bytes) : "memory");
    u32 done;
    do {
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
                     : "=r"(done) : "r"(barrier()) : "memory");
    } while (!done);
    return true;
}
#else
constexpr bool EARLY = false;
#define CLUSTER
template <u32 size>
__device__ __forceinline__ float (*of_splits(const Attention& p))[HEADS][size + 2] {
    return (float(*)[HEADS][size + 2])p.partial + (blockIdx.z * gridDim.y + blockIdx.y) * SPLITS;
}
__device__ __forceinline__ void leave(float* at, float v) { *at = v; }
__device__ __forceinline__ void begins() {}
__device__ __forceinline__ void all_have_begun() {}
__device__ __forceinline__ bool all_have_left(const Attention& p, u32 splits, u32) {
    __shared__ u32 last;
    __syncthreads();
    if (threadIdx.x == 0) {
        u32* arrived = p.arrived + blockIdx.z * gridDim.y + blockIdx.y;
        // For the whole block: the barriers order its stores before this, its loads after.
        __threadfence();
        last = atomicAdd(arrived, 1) == splits - 1;
        if (last) *arrived = 0;
        __threadfence();
    }
    __syncthreads();
    return last;
}
#endif

// A head of queries or keys in a warp: pairs of elements, lane by lane.
template <u32 size>
struct Head {
    static constexpr u32 PAIRS = size / 2, EACH = (PAIRS + 31) / 32;
    float a[EACH], b[EACH], wa[EACH], wb[EACH], sine[EACH], cosine[EACH];
    u32 lane, halves;

    __device__ __forceinline__ u32 pair(u32 i) const { return lane + i * 32; }
    __device__ __forceinline__ u32 first(u32 i) const { return halves ? pair(i) : pair(i) * 2; }
    __device__ __forceinline__ u32 second(u32 i) const { return halves ? pair(i) + PAIRS : pair(i) * 2 + 1; }

    // What does not depend on the kernel before.
    __device__ __forceinline__ Head(const Attention& p, const float* norm, u32 position, u32 lane) : lane(lane), halves(p.halves) {
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            wa[i] = wb[i] = 1;
            if (norm && pair(i) < PAIRS) wa[i] = norm[first(i)], wb[i] = norm[second(i)];
        }
        turn(p, position);
    }
    __device__ __forceinline__ void turn(const Attention& p, u32 position) {
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            // Whole turns fall off at the top of 64 bits: the angle is right at any position.
            const i32 angle = pair(i) < PAIRS ? (i32)(position * p.turns[pair(i)] >> 32) : 0;
            sincospif((float)angle * (1.0f / 2147483648.0f), &sine[i], &cosine[i]);
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
    __device__ __forceinline__ void rotate(const Attention& p, bool norm, Put put) {
        float squares = 0;
#pragma unroll
        for (u32 i = 0; i < EACH; i++) squares += a[i] * a[i] + b[i] * b[i];
        const float scale = norm ? rsqrtf(sum_of<32>(squares) / size + p.epsilon) : 1;
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            if (pair(i) >= PAIRS) continue;
            const float x = a[i] * scale * wa[i], y = b[i] * scale * wb[i];
            put(first(i), x * cosine[i] - y * sine[i]);
            put(second(i), x * sine[i] + y * cosine[i]);
        }
    }
};

constexpr float NOTHING = -1e30f;  // below every score: the largest so far where there was none

// Keys and values of a run in shared memory, by rows of a position. The 16-byte pieces of a row are swapped about from row
// to row, so that a column of them lies in different banks.
template <u32 size, u32 RUN>
struct Stage {
    static constexpr u32 PIECES = size / 8, BYTES = RUN * size * 2;  // of keys, and again of values
    u8* keys;

    __device__ __forceinline__ u8* values() const { return keys + BYTES; }
    static __device__ __forceinline__ u32 piece(u32 row, u32 n) {
        return row * size * 2 + (n ^ (PIECES >= 8 ? row % 8 : row / 2 % PIECES)) * 16;
    }
    // Requests positions from `first` on, of which those from `end` on are not there: they become zeros, as a weight of 0
    // does not take away what is infinite.
    __device__ __forceinline__ void request(const half* from_keys, const half* from_values, u32 first, u32 end, u32 lane) const {
#pragma unroll
        for (u32 i = 0; i < RUN * PIECES / 32; i++) {
            const u32 row = (i * 32 + lane) / PIECES, n = (i * 32 + lane) % PIECES, to = piece(row, n);
            const u64 at = (u64)(first + row) * size + n * 8;
            if (first + row < end) {
                copy_16(keys + to, from_keys + at);
                copy_16(values() + to, from_values + at);
            } else {
                *(uint4*)(keys + to) = *(uint4*)(values() + to) = make_uint4(0, 0, 0, 0);
            }
        }
    }
    __device__ __forceinline__ void put(u32 row, const half* key, const half* value, u32 lane) const {
        if (lane >= PIECES) return;
        *(uint4*)(keys + piece(row, lane)) = *(const uint4*)(key + lane * 8);
        *(uint4*)(values() + piece(row, lane)) = *(const uint4*)(value + lane * 8);
    }
    // Of 16 positions, 16 columns: two B fragments of keys, an A fragment of transposed values.
    __device__ __forceinline__ uint4 key_fragments(u32 sixteen, u32 step, u32 lane) const {
        return load_matrices<false>(keys + piece(sixteen * 16 + lane / 16 * 8 + lane % 8, step * 2 + lane / 8 % 2));
    }
    __device__ __forceinline__ uint4 value_fragment(u32 sixteen, u32 step, u32 lane) const {
        return load_matrices<true>(values() + piece(sixteen * 16 + lane / 16 * 8 + lane % 8, step * 2 + lane / 8 % 2));
    }
};

// A softmax under way over some of the positions, in a warp. Scores are powers of two. With g = lane / 4 and t = lane % 4,
// a lane has largest and sum of head g % 4, and of the weighted values rows g and g + 8 of 16 elements: of heads 2t and
// 2t + 1 the high parts in lanes t < 2, the low parts in the others.
template <u32 size>
struct Softmax {
    static constexpr u32 STEPS = size / 16;
    float most = NOTHING, sum = 0, out[STEPS][4] = {};

    template <u32 RUN>
    __device__ __forceinline__ void take(const Stage<size, RUN>& stage, const uint2 (&q)[STEPS], u32 there, u32 lane) {
        constexpr u32 EIGHTS = RUN / 8;
        float c[EIGHTS][4] = {};
#pragma unroll
        for (u32 i = 0; i < STEPS; i++) {
            const uint4 high_and_low = make_uint4(q[i].x, 0, q[i].y, 0);
#pragma unroll
            for (u32 j = 0; j < EIGHTS; j += 2) {
                const uint4 k = stage.key_fragments(j / 2, i, lane);
                mma_f16(c[j], high_and_low, k.x, k.y);
                mma_f16(c[j + 1], high_and_low, k.z, k.w);
            }
        }
        // High and low parts of a query are rows g and g + 4.
        float weight[EIGHTS][2], highest = most;
#pragma unroll
        for (u32 j = 0; j < EIGHTS; j++)
#pragma unroll
            for (u32 i = 0; i < 2; i++) {
                weight[j][i] = c[j][i] + __shfl_xor_sync(0xffffffff, c[j][i], 16);
                if (j * 8 + lane % 4 * 2 + i >= there) weight[j][i] = NOTHING;
                highest = fmaxf(highest, weight[j][i]);
            }
        highest = max_of<4>(highest);
        const float keep = exp2f(most - highest);
        most = highest;
        sum *= keep;
        u32 parts[EIGHTS];
#pragma unroll
        for (u32 j = 0; j < EIGHTS; j++) {
            const float a = exp2f(weight[j][0] - highest), b = exp2f(weight[j][1] - highest);
            sum += a + b;
            half2 part = __floats2half2_rn(a, b);
            const float2 back = __half22float2(part);
            if (lane >= 16) part = __floats2half2_rn(a - back.x, b - back.y);
            parts[j] = *(u32*)&part;
        }
        const float keep0 = __shfl_sync(0xffffffff, keep, lane % 2 * 8), keep1 = __shfl_sync(0xffffffff, keep, lane % 2 * 8 + 4);
#pragma unroll
        for (u32 i = 0; i < STEPS; i++) {
            out[i][0] *= keep0, out[i][1] *= keep1, out[i][2] *= keep0, out[i][3] *= keep1;
#pragma unroll
            for (u32 j = 0; j < EIGHTS; j += 2) mma_f16(out[i], stage.value_fragment(j / 2, i, lane), parts[j], parts[j + 1]);
        }
    }
    // A line for each head: its values, then largest and sum.
    __device__ __forceinline__ void put(float (*to)[size + 2], u32 lane) {
        const u32 g = lane / 4, t = lane % 4;
        sum = sum_of<4>(sum);
#pragma unroll
        for (u32 i = 0; i < STEPS; i++)
#pragma unroll
            for (u32 j = 0; j < 4; j++) {
                const float both = out[i][j] + __shfl_xor_sync(0xffffffff, out[i][j], 2);
                if (t < 2) to[t * 2 + j % 2][i * 16 + j / 2 * 8 + g] = both;
            }
        if (g < HEADS && t == 0) to[g][size] = most, to[g][size + 1] = sum;
    }
};

// Several softmaxes as one: element e of head h, not yet divided by `sum`.
template <u32 size, u32 count>
__device__ __forceinline__ float merge(const float (*of)[HEADS][size + 2], u32 h, u32 e, u32 there, float& most, float& sum) {
    float value = 0;
    most = NOTHING, sum = 0;
#pragma unroll
    for (u32 i = 0; i < count; i++)
        if (i < there) most = fmaxf(most, of[i][h][size]);
#pragma unroll
    for (u32 i = 0; i < count; i++) {
        if (i >= there) continue;
        const float keep = exp2f(of[i][h][size] - most);
        sum += of[i][h][size + 1] * keep;
        value += of[i][h][e] * keep;
    }
    return value;
}

// Batch: of token x of a batch, all of which is in the cache. Dynamic shared memory: what each warp has under way.
template <u32 size, bool batch>
__device__ __forceinline__ void attention(Attention p) {
    constexpr u32 UNDER_WAY = batch || (EARLY && size < 128) ? 8192 : 16384;
    constexpr u32 RUN = size == 128 || (EARLY && !batch) ? 16 : 32;
    constexpr u32 STAGE = 2 * Stage<size, RUN>::BYTES, DEPTH = UNDER_WAY / STAGE;
    constexpr u32 STRIDE = size + 8;  // spreads the rows over the banks
    extern __shared__ __align__(128) u8 stages[];
    __shared__ __align__(16) half q[2 * HEADS][STRIDE];
    __shared__ __align__(16) half fresh_key[size], fresh_value[size];
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u32 split = batch ? 0 : blockIdx.x, most_splits = batch ? 1 : gridDim.x;
    const u32 kv = blockIdx.y, shared_by = p.heads / p.kv_heads;
    const u32 each = ceil_div(shared_by, gridDim.z), head = kv * shared_by + blockIdx.z * each;
    const u32 heads = min(each, shared_by - blockIdx.z * each);

    // The first warps have a head of queries each, then one has the new key and one the new value.
    static_assert(WARPS >= HEADS + 2, "a warp for each");
    const bool has_query = warp < heads, has_key = !batch && warp == HEADS, has_value = !batch && warp == HEADS + 1;
    if (batch) {
        p.qkv += (u64)blockIdx.x * (p.heads + 2 * p.kv_heads) * size;
        p.out += (u64)blockIdx.x * p.heads * size;
    }
    let_next_start();
    if (!batch) begins();

    const u32 context = __ldcg(p.state + CONTEXT), behind = batch ? blockIdx.x : 0;
    const half* keys = p.keys + (u64)kv * context * size;
    const half* values = p.values + (u64)kv * context * size;
    auto stage = [&](u32 turn) { return Stage<size, RUN>{stages + (warp * DEPTH + turn % DEPTH) * STAGE}; };
    u32 position, splits;
    auto run = [&](u32 turn) { return (turn * WARPS + warp) * splits + split; };
    // The newest is not in the cache.
    auto request = [&](u32 turn) {
        const u32 first = run(turn) * RUN;
        if (split < splits && first <= position) stage(turn).request(keys, values, first, batch ? position + 1 : position, lane);
        commit_copies();
    };
    auto begin = [&](u32 at) {
        position = at;
        splits = min(most_splits, ceil_div(position + 1, WARPS * RUN));
#pragma unroll
        for (u32 turn = 0; turn < DEPTH; turn++) request(turn);
    };
    if (!batch) begin(__ldcg(p.state + POSITION));
    Head<size> mine(p, has_key ? p.k_norm : p.q_norm, batch ? 0 : position, lane);

    wait_for_previous();
    const u32 stop = __ldcg(p.state + STOP), now = __ldcg(p.state + POSITION) + behind;
    if (has_query || has_key) mine.load(p.qkv + (has_key ? p.heads + kv : head + warp) * size);
    float new_value[(size + 31) / 32];
    if (has_value)
        for (u32 i = 0; i < (size + 31) / 32; i++)
            new_value[i] = __ldcg(p.qkv + (p.heads + p.kv_heads + kv) * size + i * 32 + lane);
    if (stop) return wait_for_copies<0>();
    if (batch || now != position) {
        wait_for_copies<0>();
        begin(now);
        mine.turn(p, position);
    }
    if (split >= splits) return;
    const u32 newest = position / RUN;
    const bool has_newest = !batch && newest % splits == split;

    if (has_query)
        mine.rotate(p, p.q_norm, [&](u32 i, float f) {
            const half high = __float2half_rn(f * p.scale);
            q[warp][i] = high, q[warp + HEADS][i] = __float2half_rn(f * p.scale - __half2float(high));
        });
    else if (warp < HEADS)
        for (u32 i = lane; i < size; i += 32) q[warp][i] = q[warp + HEADS][i] = __float2half_rn(0);
    const u64 line = ((u64)kv * context + position) * size;
    if (has_newest && has_key)
        mine.rotate(p, p.k_norm, [&](u32 i, float f) {
            fresh_key[i] = __float2half_rn(f);
            if (blockIdx.z == 0) p.keys[line + i] = fresh_key[i];
        });
    if (has_newest && has_value)
        for (u32 i = 0; i < (size + 31) / 32; i++) {
            fresh_value[i * 32 + lane] = __float2half_rn(new_value[i]);
            if (blockIdx.z == 0) p.values[line + i * 32 + lane] = fresh_value[i * 32 + lane];
        }
    __syncthreads();

    uint2 query[size / 16];
#pragma unroll
    for (u32 i = 0; i < size / 16; i++) {
        const half* at = &q[lane / 4][i * 16 + lane % 4 * 2];
        query[i] = make_uint2(*(const u32*)at, *(const u32*)(at + 8));
    }
    Softmax<size> soft;
    for (u32 turn = 0; run(turn) <= newest; turn++) {
        wait_for_copies<DEPTH - 1>();
        const Stage<size, RUN> at = stage(turn);
        if (!batch && run(turn) == newest) at.put(position % RUN, fresh_key, fresh_value, lane);
        __syncwarp();
        soft.take(at, query, position + 1 - run(turn) * RUN, lane);
        __syncwarp();
        request(turn + DEPTH);
    }
    wait_for_copies<0>();

    // The warps. The stages are free.
    float(*merged)[HEADS][size + 2] = (float(*)[HEADS][size + 2]) stages;
    __syncthreads();
    soft.put(merged[warp], lane);
    __syncthreads();
    const bool alone = batch || splits == 1;
    if (!alone) all_have_begun();
    float(*left)[HEADS][size + 2] = of_splits<size>(p);
    for (u32 i = threadIdx.x; i < heads * size; i += WARPS * 32) {
        const u32 h = i / size, e = i % size;
        float most, sum;
        const float value = merge<size, WARPS>(merged, h, e, WARPS, most, sum);
        if (alone) {
            p.out[head * size + i] = value / sum;
        } else {
            leave(&left[split][h][e], value);
            if (e == 0) leave(&left[split][h][size], most), leave(&left[split][h][size + 1], sum);
        }
    }
    if constexpr (!batch) {
        if (alone || !all_have_left(p, splits, splits * heads * (size + 2) * 4)) return;
        for (u32 i = threadIdx.x; i < heads * size; i += WARPS * 32) {
            float most, sum;
            const float value = merge<size, SPLITS>(left, i / size, i % size, splits, most, sum);
            p.out[head * size + i] = value / sum;
        }
    }
}

// The keys and values of a batch. Grid: tokens, KV heads. A warp for the key, one for the value.
template <u32 size>
__device__ __forceinline__ void remember(const Attention& p) {
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, kv = blockIdx.y;
    let_next_start();
    wait_for_previous();
    if (__ldcg(p.state + STOP)) return;
    const u32 position = __ldcg(p.state + POSITION) + blockIdx.x, context = __ldcg(p.state + CONTEXT);
    const float* qkv = p.qkv + (u64)blockIdx.x * (p.heads + 2 * p.kv_heads) * size;
    const u64 at = ((u64)kv * context + position) * size;
    if (warp == 0) {
        Head<size> key(p, p.k_norm, position, lane);
        key.load(qkv + (p.heads + kv) * size);
        key.rotate(p, p.k_norm, [&](u32 i, float f) { p.keys[at + i] = __float2half_rn(f); });
    } else {
        for (u32 i = lane; i < size; i += 32)
            p.values[at + i] = __float2half_rn(__ldcg(qkv + (p.heads + p.kv_heads + kv) * size + i));
    }
}

#define KERNEL(name, what, threads, cluster)                                                                            \
    extern "C" __global__ void cluster __launch_bounds__ threads name(                                                         \
        const u32* state, const float* qkv, half* keys, half* values, float* out, const float* q_norm,                  \
        const float* k_norm, const u64* turns, float* partial, u32* arrived, u32 heads, u32 kv_heads, u32 halves,         \
        float epsilon, float scale) {                                                                                   \
        what({state, qkv, keys, values, out, q_norm, k_norm, turns, partial, arrived, heads, kv_heads, halves, epsilon,  \
              scale});                                                                                                  \
    }
#define ATTENTION(size)                                                                                                 \
    KERNEL(attention_##size, (attention<size, false>), (WARPS * 32, 1), CLUSTER)                                                  \
    KERNEL(attention_##size##_batch, (attention<size, true>), (WARPS * 32), )                                             \
    KERNEL(remember_##size, remember<size>, (64), )

ATTENTION(32)
ATTENTION(64)
ATTENTION(128)
