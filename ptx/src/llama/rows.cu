// Products of matrices with one vector: rows_FORMAT, and rows_mixed for up to three matrices of different formats.
//
// A block has groups of `split` warps. A group computes a tile of 16 rows, its warps taking turns over the units of
// columns, then goes on to the tile that is a grid further. The first weights are requested before the kernel waits
// for the one before it; only then may it look at the activations or the state.
#include "formats.h"

enum Mode : u32 {
    STORE = 0,   // out[row] = product
    ADD = 1,     // out[row] += product
    SWIGLU = 2,  // out[row] = silu(product with matrix 0) * product with matrix 1
    GATED = 3,   // out[row] = silu(out[row]) * product: SWIGLU in two launches, for formats that differ
    LOGITS = 4,  // as STORE, and best[block] = {the largest, its row}
};

struct Rows {
    const u32* state;
    float* out;
    const float* x;
    const float* norm;  // weights of the RMSNorm in front, or null
    const u8* matrix[3];
    u32 tiles[3];  // of each matrix; rows of the second and third matrix follow those of the first in `out`
    u32 columns;
    float epsilon;
    u32 mode;
    u32 split;
    float2* best;
};

struct Best {
    float value;
    u32 row;
    __device__ __forceinline__ void take(float v, u32 r) {
        if (v > value || (v == value && r < row)) value = v, row = r;
    }
};

// The n-th tile of those that blocks share out, in [first, end) of the matrices' tiles laid end to end.
__device__ __forceinline__ const u8* tile_at(const Rows& p, u32 n, u32 bytes) {
    u32 matrix = 0;
    if (p.mode == SWIGLU) {
        matrix = n % 2, n /= 2;
    } else {
        if (n >= p.tiles[0]) n -= p.tiles[0], matrix = 1;
        if (matrix == 1 && n >= p.tiles[1]) n -= p.tiles[1], matrix = 2;
    }
    const u8* base = matrix == 0 ? p.matrix[0] : matrix == 1 ? p.matrix[1] : p.matrix[2];
    return base + (u64)n * bytes;
}

__device__ __forceinline__ float silu(float v) { return v / (1 + expf(-v)); }

template <class Format>
__device__ __forceinline__ void rows(const Rows& p) {
    extern __shared__ __align__(16) u8 shared[];
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    const u32 groups = warps / p.split, group = warp / p.split, part = warp % p.split;
    const u32 tiles = p.tiles[0] + p.tiles[1] + p.tiles[2], units = Format::units(p.columns);
    const u32 tile_bytes = Format::tile_bytes(p.columns);
    const bool works = part < units;

    u32 tile = blockIdx.x * groups + group;
    Format weights;
    const u8* at = tile_at(p, tile, tile_bytes);
    if (works && tile < tiles) weights.load(at, part, p.columns, lane);

    let_next_start();
    wait_for_previous();
    const u32 stop = __ldcg(p.state + STOP);

    typename Format::X x(shared, p.columns);
    float* squares = (float*)(shared + Format::X::bytes(p.columns));
    float* sums = squares + 32;  // two turns of 16 rows for each warp
    float mine = sum_of<32>(x.prepare(p.x, p.norm, p.columns));
    if (lane == 0) squares[warp] = mine;
    __syncthreads();
    // Asked for before the activations, needed only now: no time is spent on it alone.
    if (stop) return;
    float scale = 1;
    if (p.norm) {
        float all = 0;
        for (u32 i = 0; i < warps; i++) all += squares[i];
        scale = rsqrtf(all / p.columns + p.epsilon);
    }

    Best best = {__int_as_float(0xff800000), 0xffffffff};
    for (u32 first = blockIdx.x * groups; first < tiles; first += gridDim.x * groups) {
        Sum sum;
        // What the products are added to, or gated by: the first 16 threads of a group have a row each.
        const u32 pairing = p.mode == SWIGLU ? 2 : 1, owner = threadIdx.x / 16 * pairing, n = first + owner;
        const u32 row = n / pairing * 16 + threadIdx.x % 16;
        const bool finishes = owner < groups && n < tiles;
        float old = 0;
        if (finishes && (p.mode == ADD || p.mode == GATED)) old = __ldcg(p.out + row);
        const bool busy = works && tile < tiles;
        const u32 next = tile + gridDim.x * groups;
        const u8* next_at = tile_at(p, next, tile_bytes);
        if (busy) {
            u32 unit = part;
            while (true) {
                weights.dot(sum, x, unit, p.columns, lane);
                unit += p.split;
                if (unit >= units) break;
                weights.load(at, unit, p.columns, lane);
            }
        }
        // On the way while the warps' sums meet.
        if (works && next < tiles) weights.load(next_at, part, p.columns, lane);
        const float row0 = sum_of<4>(Format::result(sum, 0, lane)), row1 = sum_of<4>(Format::result(sum, 1, lane));
        if (lane % 4 == 0) {
            sums[warp * 16 + lane / 4] = row0;
            sums[warp * 16 + lane / 4 + 8] = row1;
        }
        __syncthreads();
        if (finishes) {
            float a = 0, b = 0;
            for (u32 w = 0; w < p.split; w++) {
                a += sums[(owner * p.split + w) * 16 + threadIdx.x % 16];
                if (pairing == 2) b += sums[((owner + 1) * p.split + w) * 16 + threadIdx.x % 16];
            }
            a *= scale, b *= scale;
            if (p.mode == SWIGLU) a = silu(a) * b;
            if (p.mode == GATED) a *= silu(old);
            if (p.mode == ADD) a += old;
            p.out[row] = a;
            // What is no number counts as the least, as in the definition of sampling.
            if (p.mode == LOGITS) best.take(fminf(fmaxf(a, -3.402823466e+38f), 3.402823466e+38f), row);
        }
        // The next turn writes the other half, so that one barrier a turn is enough.
        sums = first / (gridDim.x * groups) % 2 ? sums - warps * 16 : sums + warps * 16;
        tile = next, at = next_at;
    }
    if (p.mode == LOGITS) {
        __syncthreads();
        Best* all = (Best*)shared;
        all[threadIdx.x] = best;
        __syncthreads();
        if (warp != 0) return;
        for (u32 i = lane; i < blockDim.x; i += 32) best.take(all[i].value, all[i].row);
        for (u32 step = 16; step; step /= 2)
            best.take(__shfl_xor_sync(0xffffffff, best.value, step), __shfl_xor_sync(0xffffffff, best.row, step));
        if (lane == 0) p.best[blockIdx.x] = make_float2(best.value, __uint_as_float(best.row));
    }
}

#define PARAMETERS                                                                                                      \
    const u32 *state, float *out, const float *x, const float *norm, const u8 *w0, const u8 *w1, const u8 *w2, u32 tiles0,  \
        u32 tiles1, u32 tiles2, u32 columns, float epsilon, u32 mode, u32 split, float2 *best
#define ARGUMENTS                                                                                                       \
    {state, out, x, norm, {w0, w1, w2}, {tiles0, tiles1, tiles2}, columns, epsilon, mode, split, best}
#define ROWS(name, Format)                                                                                              \
    extern "C" __global__ void __launch_bounds__(512, 1) rows_##name(PARAMETERS) {                                      \
        const Rows p = ARGUMENTS;                                                                                       \
        rows<Format>(p);                                                                                                \
    }

ROWS(f32, F32)
ROWS(f16, F16)
ROWS(bf16, BF16)
ROWS(q4_0, Q4_0)
ROWS(q8_0, Q8_0)
ROWS(q4_k, Q4_K)
ROWS(q5_k, Q5_K)
ROWS(q6_k, Q6_K)

// Matrices of different formats: four bits of `formats` for each, the place in the list above. Blocks take one turn, and
// the tiles of each matrix are a multiple of a block's groups, so that a block has one format.
extern "C" __global__ void __launch_bounds__(512, 1) rows_mixed(PARAMETERS, u32 formats) {
    const Rows p = ARGUMENTS;
    const u32 groups = blockDim.x / 32 / split, first = blockIdx.x * groups;
    const u32 matrix = first < tiles0 ? 0 : first < tiles0 + tiles1 ? 1 : 2;
    switch (formats >> matrix * 4 & 15) {
        case 0: return rows<F32>(p);
        case 1: return rows<F16>(p);
        case 2: return rows<BF16>(p);
        case 3: return rows<Q4_0>(p);
        case 4: return rows<Q8_0>(p);
        case 5: return rows<Q4_K>(p);
        case 6: return rows<Q5_K>(p);
        case 7: return rows<Q6_K>(p);
    }
}
