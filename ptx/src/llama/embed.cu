// The first kernel of a token: its embedding.
#include "formats.h"

// x = the token's row of the embedding, four columns a thread. Also notes the token in the history.
template <class Format>
__device__ __forceinline__ void embed(const u32* state, float* x, u32* history, const u8* table, u32 columns) {
    let_next_start();
    wait_for_previous();
    if (__ldcg(state + STOP)) return;
    const u32 token = __ldcg(state + TOKEN), at = (blockIdx.x * blockDim.x + threadIdx.x) * 4;
    if (at == 0) history[__ldcg(state + POSITION)] = token;
    if (at >= columns) return;
#pragma unroll
    for (u32 i = 0; i < 4; i++) x[at + i] = weight_of<Format>(table, columns, token, at + i);
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
