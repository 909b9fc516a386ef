// The first and the last kernel of a token: its embedding, and the choice of the next one.
#include "formats.h"

// Words of the output buffer; the plan says what they mean.
enum Output : u32 { COUNT = 0, REASON = 1, RING = 64 };
enum Reason : u32 { END_OF_TEXT = 1, LIMIT_REACHED = 2, CONTEXT_FULL = 3 };

// x = the token's row of the embedding, four columns a thread. Also notes the token in the history.
template <class Format>
__device__ __forceinline__ void embed(const u32* state, float* x, u32* history, const u8* table, u32 columns) {
    let_next_start();
    wait_for_previous();
    if (__ldcg(state + STOP)) return;
    const u32 token = __ldcg(state + TOKEN), at = (blockIdx.x * blockDim.x + threadIdx.x) * 4;
    if (at == 0) history[__ldcg(state + POSITION)] = token;
    if (at >= columns) return;
    const u8* tile = table + (u64)(token / 16) * Format::tile_bytes(columns);
#pragma unroll
    for (u32 i = 0; i < 4; i++) x[at + i] = Format::weight(tile, token % 16, at + i, columns);
}

#define EMBED(name, Format)                                                                                             \
    extern "C" __global__ void embed_##name(const u32* state, float* x, u32* history, const u8* table, u32 columns) {    \
        embed<Format>(state, x, history, table, columns);                                                               \
    }
EMBED(f32, F32)
EMBED(f16, F16)
EMBED(bf16, BF16)
EMBED(q4_0, Q4_0)
EMBED(q8_0, Q8_0)
EMBED(q4_k, Q4_K)
EMBED(q5_k, Q5_K)
EMBED(q6_k, Q6_K)

// Emits a token, and makes it the next one to embed, or stops. By one thread.
__device__ __forceinline__ void advance(volatile u32* state, volatile u32* output, u32* history, u32 ring, u32 token) {
    const u32 emitted = state[EMITTED], position = state[POSITION] + 1;
    u32 reason = 0;
    if (position >= state[CONTEXT]) reason = CONTEXT_FULL;
    if (emitted + 1 >= state[LIMIT]) reason = LIMIT_REACHED;
    for (u32 i = 0; i < 4; i++)
        if (token == state[END_TOKENS + i]) reason = END_OF_TEXT;
    state[TOKEN] = token;
    state[POSITION] = position;
    state[EMITTED] = emitted + 1;
    if (position < state[CONTEXT]) history[position] = token;
    if (reason) {
        state[STOP] = 1;
        output[REASON] = reason;
    }
    output[RING + emitted % ring] = token;
    // The CPU takes what lies before a count for granted.
    __threadfence_system();
    output[COUNT] = emitted + 1;
}

// The likeliest token, from the best row of each block of the head. One block.
extern "C" __global__ void __launch_bounds__(256) pick_likeliest(u32* state, u32* output, u32* history, const float2* best,
                                                                  u32 count, u32 ring) {
    __shared__ float values[8];
    __shared__ u32 rows[8];
    let_next_start();
    wait_for_previous();
    if (__ldcg(state + STOP)) return;
    float value = __int_as_float(0xff800000);
    u32 row = 0xffffffff;
    auto take = [&](float v, u32 r) {
        if (v > value || (v == value && r < row)) value = v, row = r;
    };
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) {
        const float2 b = __ldcg(best + i);
        take(b.x, __float_as_uint(b.y));
    }
    for (u32 step = 16; step; step /= 2)
        take(__shfl_xor_sync(0xffffffff, value, step), __shfl_xor_sync(0xffffffff, row, step));
    if (threadIdx.x % 32 == 0) values[threadIdx.x / 32] = value, rows[threadIdx.x / 32] = row;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (u32 w = 0; w < blockDim.x / 32; w++) take(values[w], rows[w]);
    // Logits that are no numbers leave no row.
    advance(state, output, history, ring, row == 0xffffffff ? 0 : row);
}
