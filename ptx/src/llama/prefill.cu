// A batch of a prompt: the columns of the products are its tokens.
//
// Token n of the batch stands at the state's position plus n and is that word of the history. All vectors of a batch lie
// one after the other. The activations are quantised once for all products that use them, by `quantise_KIND`.
#include "formats.h"

template <class Format>
__device__ __forceinline__ void embed_batch(const u32* state, float* x, const u32* history, const u8* table, u32 columns) {
    let_next_start();
    wait_for_previous();
    if (__ldcg(state + STOP)) return;
    const u32 token = __ldcg(history + __ldcg(state + POSITION) + blockIdx.x);
    for (u32 at = threadIdx.x; at < columns; at += blockDim.x)
        x[(u64)blockIdx.x * columns + at] = weight_of<Format>(table, columns, token, at);
}

// Scales in 128 columns.
template <Kind kind>
constexpr u32 runs = 128 / Activations<kind>::run;

// A block for each token. With the weights of a norm, the scales include the norm's.
template <Kind kind>
__device__ __forceinline__ void quantise(const float* x, const float* norm, u8* values, float2* scales, u32 k, float epsilon) {
    using X = Activations<kind>;
    __shared__ float squares[32];
    const u32 lane = threadIdx.x % 32, padded = X::padded(k);
    let_next_start();
    wait_for_previous();
    x += (u64)blockIdx.x * k;
    const X to = {values + (u64)blockIdx.x * X::value_bytes(k), scales + (u64)blockIdx.x * (padded / X::run)};
    float rms = 1;
    if (norm) {
        float mine = 0;
        for (u32 at = threadIdx.x; at < k; at += blockDim.x) {
            const float v = __ldcg(x + at);
            mine += v * v;
        }
        mine = sum_of<32>(mine);
        if (lane == 0) squares[threadIdx.x / 32] = mine;
        __syncthreads();
        float all = 0;
        for (u32 w = 0; w < blockDim.x / 32; w++) all += squares[w];
        rms = rsqrtf(all / k + epsilon);
    }
    for (u32 at = threadIdx.x * 4; at < padded; at += blockDim.x * 4) {
        float4 v = make_float4(0, 0, 0, 0);
        if (at < k) {
            v = __ldcg((const float4*)(x + at));
            if (norm) {
                const float4 w = __ldg((const float4*)(norm + at));
                v.x *= w.x, v.y *= w.y, v.z *= w.z, v.w *= w.w;
            }
        }
        to.put(at, lane, v, rms);
    }
}

enum Mode : u32 { STORE = 0, ADD = 1, GATED = 3 };

constexpr u32 TOKENS = 64, NTILES = TOKENS / 8, WARPS = 8;

// The activations of 64 tokens and 128 columns, in shared memory.
template <Kind kind>
struct Panel {
    static constexpr u32 BYTES = Activations<kind>::integer ? 256 : 512;
    // The padding spreads tokens over the banks.
    static constexpr u32 STRIDE = BYTES + 64, RUNS = runs<kind>;
    __align__(16) u8 values[TOKENS * STRIDE];
    float2 scales[TOKENS * RUNS];

    __device__ __forceinline__ void request(const u8* from, const float2* from_scales, u32 group, u32 k, u32 tokens) {
        const u32 row_bytes = Activations<kind>::value_bytes(k), row_runs = Activations<kind>::padded(k) / 128 * RUNS;
        for (u32 i = threadIdx.x; i < TOKENS * (BYTES / 16); i += WARPS * 32) {
            // Past the batch the last token stands in: nobody looks at what comes of it.
            const u32 token = min(i / (BYTES / 16), tokens - 1), at = i % (BYTES / 16) * 16;
            copy_16(values + i / (BYTES / 16) * STRIDE + at, from + (u64)token * row_bytes + group * BYTES + at);
        }
        for (u32 i = threadIdx.x; i < TOKENS * RUNS / 2; i += WARPS * 32) {
            const u32 token = min(i / (RUNS / 2), tokens - 1), run = i % (RUNS / 2) * 2;
            copy_16(scales + i * 2, from_scales + (u64)token * row_runs + group * RUNS + run);
        }
        commit_copies();
    }
    __device__ __forceinline__ uint4 fragment(u32 ntile, u32 run, u32 lane) const {
        return *(const uint4*)(values + (ntile * 8 + lane / 4) * STRIDE + run * 64 + lane % 4 * 16);
    }
    // Of runs of 16, whose scales are equal in pairs.
    __device__ __forceinline__ float2 scale_of_32(u32 ntile, u32 run, u32 lane) const {
        const float2* at = scales + (ntile * 8 + lane % 4 * 2) * RUNS + run * 2;
        return make_float2(at[0].x, at[RUNS].x);
    }
    // {scale, sum} of this lane's two tokens.
    __device__ __forceinline__ float4 scale(u32 ntile, u32 run, u32 lane) const {
        const float2* at = scales + (ntile * 8 + lane % 4 * 2) * RUNS + run;
        return make_float4(at[0].x, at[0].y, at[RUNS].x, at[RUNS].y);
    }
};

// As mma_s8, 16 bytes each.
__device__ __forceinline__ void mma_s8_16(i32 (&c)[4], u32 a0, u32 a1, u32 b) {
    asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a0), "r"(a1), "r"(b));
}

// For two rows and two tokens.
__device__ __forceinline__ float both(const i32 (&high)[4], const i32 (&low)[4], u32 i) { return (float)(high[i] * 256 + low[i]); }

// The `group`-th 128 columns of `weights`.
template <class Format, Kind kind>
__device__ __forceinline__ void multiply_group(float (&sums)[NTILES][4], const u8* weights, const Panel<kind>& x, u32 group, u32 lane, Format*) {
#pragma unroll
    for (u32 run = 0; run < 4; run++) {
        const uint4 a = Format::fragment(weights, group * 4 + run, lane);
        const Scales w = Format::scales(weights, group * 4 + run, 0, lane);
#pragma unroll
        for (u32 n = 0; n < NTILES; n++) {
            const uint4 b = x.fragment(n, run, lane);
            i32 high[4] = {0, 0, 0, 0}, low[4] = {0, 0, 0, 0};
            if (Format::is_signed) {
                mma_s8(high, a.x, a.y, a.z, a.w, b.x, b.y);
                mma_s8(low, a.x, a.y, a.z, a.w, b.z, b.w);
            } else {
                mma_u8(high, a.x, a.y, a.z, a.w, b.x, b.y);
                mma_u8(low, a.x, a.y, a.z, a.w, b.z, b.w);
            }
            const float4 scale = x.scale(n, run, lane);
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                sums[n][i] += both(high, low, i) * (w.scale[i / 2] * (i % 2 ? scale.z : scale.x));
                if (Format::has_low) sums[n][i] -= w.low[i / 2] * (i % 2 ? scale.w : scale.y);
            }
        }
    }
}
// Weights have scales for 16 columns; the activations' are for 32 all the same.
template <>
__device__ __forceinline__ void multiply_group(float (&sums)[NTILES][4], const u8* weights, const Panel<Kind::BytesBy16>& x, u32 group,
                                               u32 lane, Q6_K*) {
#pragma unroll
    for (u32 run = 0; run < 4; run++) {
        const uint4 a = Q6_K::fragment(weights, run, lane);
        const Scales w[2] = {Q6_K::scales(weights, run, 0, lane), Q6_K::scales(weights, run, 1, lane)};
#pragma unroll
        for (u32 n = 0; n < NTILES; n++) {
            const uint4 b = x.fragment(n, run, lane);
            i32 high[2][4] = {}, low[2][4] = {};
            mma_s8_16(high[0], a.x, a.y, b.x);
            mma_s8_16(low[0], a.x, a.y, b.z);
            mma_s8_16(high[1], a.z, a.w, b.y);
            mma_s8_16(low[1], a.z, a.w, b.w);
            const float2 scale = x.scale_of_32(n, run, lane);
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                const float dot = both(high[0], low[0], i) * w[0].scale[i / 2] + both(high[1], low[1], i) * w[1].scale[i / 2];
                sums[n][i] += dot * (i % 2 ? scale.y : scale.x);
            }
        }
    }
}
template <Kind kind>
__device__ __forceinline__ void multiply_group(float (&sums)[NTILES][4], const u8* weights, const Panel<kind>& x, u32, u32 lane,
                                               Float16<kind>*) {
#pragma unroll
    for (u32 n = 0; n < NTILES; n++) {
        float c[4] = {0, 0, 0, 0};
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            const uint4 a = row_of(weights, i, lane), b = x.fragment(n, i, lane);
            Float16<kind>::multiply(c, a, b.x, b.y);
            Float16<kind>::multiply(c, a, b.z, b.w);
        }
        const float4 scale = x.scale(n, 0, lane);
#pragma unroll
        for (u32 i = 0; i < 4; i++) sums[n][i] += c[i] * (i % 2 ? scale.z : scale.x);
    }
}

// Columns of weights that are requested at a time: panels are of 128.
template <class Format>
constexpr u32 SPAN = Format::COLUMNS < 128 ? 128 : Format::COLUMNS;

// out[token][row] for a matrix of `tiles` tiles. Grid: eight tiles each, 64 tokens each. A warp has a tile.
template <class Format, Kind kind>
__device__ __forceinline__ void tiles(const u32* state, float* out, u32 stride, const u8* values, const float2* scales,
                                      const u8* matrix, u32 tiles, u32 k, u32 tokens, u32 mode) {
    extern __shared__ __align__(16) u8 shared[];
    // Two panels, and for each warp the weights of two spans: one is filled while the other is used.
    constexpr u32 SPAN_BYTES = SPAN<Format> / Format::COLUMNS * Format::BYTES, GROUPS = SPAN<Format> / 128;
    Panel<kind>* panels = (Panel<kind>*)shared;
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, tile = blockIdx.x * WARPS + warp;
    const u32 groups = ceil_div(k, 128), first = blockIdx.y * TOKENS, here = min(TOKENS, tokens - first);
    u8* weights = shared + 2 * sizeof(Panel<kind>) + warp * 2 * SPAN_BYTES;
    values += (u64)first * Activations<kind>::value_bytes(k);
    scales += (u64)first * (Activations<kind>::padded(k) / 128 * runs<kind>);
    // A warp beyond the matrix multiplies with the last tile and keeps nothing.
    const u8* at = matrix + (u64)min(tile, tiles - 1) * tile_bytes<Format>(k);
    copy<SPAN_BYTES>(weights + lane * 16, at + lane * 16, lane);
    let_next_start();
    wait_for_previous();
    if (__ldcg(state + STOP)) return wait_for_copies<0>();
    float sums[NTILES][4] = {};
    panels[0].request(values, scales, 0, k, here);
    for (u32 group = 0; group < groups; group++) {
        const u32 span = group / GROUPS;
        if (group + 1 < groups) {
            if (group % GROUPS == 0 && group + GROUPS < groups)
                copy<SPAN_BYTES>(weights + (span + 1) % 2 * SPAN_BYTES + lane * 16, at + (span + 1) * SPAN_BYTES + lane * 16, lane);
            panels[(group + 1) % 2].request(values, scales, group + 1, k, here);
            wait_for_copies<1>();
        } else {
            wait_for_copies<0>();
        }
        __syncthreads();
        multiply_group(sums, weights + span % 2 * SPAN_BYTES, panels[group % 2], group % GROUPS, lane, (Format*)nullptr);
        __syncthreads();
    }
    if (tile >= tiles) return;
#pragma unroll
    for (u32 n = 0; n < NTILES; n++)
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            const u32 token = n * 8 + lane % 4 * 2 + i % 2, row = tile * 16 + lane / 4 + i / 2 * 8;
            if (token >= here) continue;
            float* to = out + (u64)(first + token) * stride + row;
            float v = sums[n][i];
            if (mode == ADD) v += __ldcg(to);
            if (mode == GATED) {
                const float gate = __ldcg(to);
                v *= gate / (1 + expf(-gate));
            }
            *to = v;
        }
}

#define PREFILL(name, Format, kind)                                                                                      \
    extern "C" __global__ void embed_batch_##name(const u32* state, float* x, const u32* history, const u8* table,      \
                                                  u32 columns) {                                                        \
        embed_batch<Format>(state, x, history, table, columns);                                                         \
    }                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(WARPS * 32, 2)                                                         \
        tiles_##name(const u32* state, float* out, u32 stride, const u8* values, const float2* scales, const u8* matrix, \
                     u32 count, u32 k, u32 tokens, u32 mode) {                                                          \
        tiles<Format, kind>(state, out, stride, values, scales, matrix, count, k, tokens, mode);                        \
    }
PREFILL(f16, F16, Kind::Half)
PREFILL(bf16, BF16, Kind::Bfloat)
PREFILL(q4_0, Q4_0, Kind::Bytes)
PREFILL(q8_0, Q8_0, Kind::Bytes)
PREFILL(q4_k, Q4_K, Kind::Bytes)
PREFILL(q5_k, Q5_K, Kind::Bytes)
PREFILL(q6_k, Q6_K, Kind::BytesBy16)

#define QUANTISE(name, kind)                                                                                            \
    extern "C" __global__ void __launch_bounds__(256) quantise_##name(const float* x, const float* norm, u8* values,     \
                                                                      float2* scales, u32 k, float epsilon) {           \
        quantise<kind>(x, norm, values, scales, k, epsilon);                                                            \
    }
QUANTISE(half, Kind::Half)
QUANTISE(bfloat, Kind::Bfloat)
QUANTISE(bytes, Kind::Bytes)
QUANTISE(bytes_by_16, Kind::BytesBy16)

// The batch is done: its tokens are in the cache, and the next word of the history is the next to embed.
extern "C" __global__ void move_on(u32* state, const u32* history, u32 tokens) {
    let_next_start();
    wait_for_previous();
    volatile u32* words = state;
    if (words[STOP]) return;
    const u32 position = words[POSITION] + tokens;
    words[POSITION] = position;
    if (position < words[CONTEXT]) words[TOKEN] = __ldcg(history + position);
}
