// Products of matrices with one vector: rows_FORMAT, and rows_mixed for up to three matrices of different formats.
//
// A block has groups of `split` warps. A group computes a tile of 16 rows, its warps taking turns over the items, then goes
// on to a tile of the next turn. Each warp has a ring of items in shared memory, and where it has used one up the one DEPTH
// further is requested at once. The first are requested before the kernel waits for the one before it; only then may it
// look at the activations or the state.
#include "formats.h"

enum Mode : u32 {
    STORE = 0,   // out[row] = product
    ADD = 1,     // out[row] += product
    SWIGLU = 2,  // out[row] = silu(product with matrix 0) * product with matrix 1
    GATED = 3,   // out[row] = silu(out[row]) * product: SWIGLU in two launches, for formats that differ
    LOGITS = 4,  // as STORE, and best[block] = {the largest, its row}
};

#if __CUDA_ARCH__ >= 900
// Blocks of a multiprocessor: one whose products are under way, and one of the next kernel, which starts early.
#define BLOCKS 2
constexpr u32 RING_BYTES = 6528;
// Items that a warp takes at a time.
template <class Format>
constexpr u32 STEP = 1;
#else
// No kernel starts early, and instructions are scarce.
#define BLOCKS 1
constexpr u32 RING_BYTES = 8704;
template <class Format>
constexpr u32 STEP = Format::COLUMNS == 128 ? 2 : 1;
#endif
// How many of these it has under way. The host computes the same.
template <class Format>
constexpr u32 DEPTH = RING_BYTES / (STEP<Format> * Format::BYTES);

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
    u32 groups;
    float2* best;
};

struct Best {
    float value;
    u32 row;
    __device__ __forceinline__ void take(float v, u32 r) {
        if (v > value || (v == value && r < row)) value = v, row = r;
    }
};

// The tile of `group` in a turn, of all tiles laid end to end, where those that SwiGLU joins are neighbours.
__device__ __forceinline__ u32 tile_of(const Rows& p, u32 turn, u32 group, bool mixed) {
    if (mixed) return turn ? 0xffffffff : blockIdx.x * p.groups + group;
    const u32 pairing = p.mode == SWIGLU ? 2 : 1;
    return ((turn * (p.groups / pairing) + group / pairing) * gridDim.x + blockIdx.x) * pairing + group % pairing;
}

__device__ __forceinline__ const u8* address_of(const Rows& p, u32 tile, u32 bytes) {
    u32 matrix = 0;
    if (p.mode == SWIGLU) {
        matrix = tile % 2, tile /= 2;
    } else {
        if (tile >= p.tiles[0]) tile -= p.tiles[0], matrix = 1;
        if (matrix == 1 && tile >= p.tiles[1]) tile -= p.tiles[1], matrix = 2;
    }
    const u8* base = matrix == 0 ? p.matrix[0] : matrix == 1 ? p.matrix[1] : p.matrix[2];
    return base + (u64)tile * bytes;
}

__device__ __forceinline__ float silu(float v) { return v / (1 + expf(-v)); }

// A warp's requests, which are DEPTH items ahead of its products.
template <class Format>
struct Requests {
    const Rows& p;
    bool mixed;
    u32 lane, group, part, items;  // of a tile
    u32 turn, item, turns;         // turns that there are for this group
    const u8* at;                  // this lane's 16 bytes of the item

    __device__ __forceinline__ void begin_tile() {
        item = part * STEP<Format>;
        at = address_of(p, tile_of(p, turn, group, mixed), items * Format::BYTES) + item * Format::BYTES + lane * 16;
    }
    __device__ __forceinline__ void next(u8* slot) {
        if (turn < turns) {
            copy<STEP<Format> * Format::BYTES>(slot + lane * 16, at, lane);
            at += p.split * STEP<Format> * Format::BYTES, item += p.split * STEP<Format>;
            if (item >= items && ++turn < turns) begin_tile();
        }
        commit_copies();
    }
};

template <class Format>
__device__ __forceinline__ void rows(const Rows& p, bool mixed) {
    extern __shared__ __align__(16) u8 shared[];
    constexpr u32 SLOT = STEP<Format> * Format::BYTES;
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    const u32 group = warp / p.split, part = warp % p.split;
    const u32 tiles = p.tiles[0] + p.tiles[1] + p.tiles[2], items = items_of<Format>(p.columns);

    // Behind the vector and the sums lie the first slots of all warps, then the second ones, and so on: slots that have no
    // item need not be there.
    const u32 vector_bytes = Format::X::bytes(p.columns), slots = warps * SLOT;
    const u32 first = vector_bytes + (32 + 2 * warps * 16) * 4 + warp * SLOT, last = first + (DEPTH<Format> - 1) * slots;
    u32 slot = first, turns = 0;
    if (group < p.groups)
        while (tile_of(p, turns, group, mixed) < tiles) turns++;
    Requests<Format> requests = {p, mixed, lane, group, part, items, 0, 0, turns, nullptr};
    if (turns) requests.begin_tile();
#pragma unroll
    for (u32 i = 0; i < DEPTH<Format>; i++) requests.next(shared + first + i * slots);
    let_next_start();
    wait_for_previous();
    const u32 stop = __ldcg(p.state + STOP);

    u8* const vector = shared;
    const typename Format::X x = {vector, (float2*)(vector + Format::X::value_bytes(p.columns))};
    float* squares = (float*)(vector + vector_bytes);
    float* sums = squares + 32;  // two turns of 16 rows for each warp
    float mine = sum_of<32>(x.prepare(p.x, p.norm, p.columns));
    if (lane == 0) squares[warp] = mine;
    __syncthreads();
    // Asked for before the activations, needed only now: no time is spent on it alone.
    if (stop) return wait_for_copies<0>();
    float scale = 1;
    if (p.norm) {
        float all = 0;
        for (u32 i = 0; i < warps; i++) all += squares[i];
        scale = rsqrtf(all / p.columns + p.epsilon);
    }

    Best best = {__int_as_float(0xff800000), 0xffffffff};
    // The first 16 threads of a group, or of a pair of groups, finish a row each.
    const u32 pairing = p.mode == SWIGLU ? 2 : 1, owner = threadIdx.x / 16 * pairing;
    for (u32 turn = 0; tile_of(p, turn, 0, mixed) < tiles; turn++) {
        Sum sum;
        const u32 finished = tile_of(p, turn, owner, mixed), row = finished / pairing * 16 + threadIdx.x % 16;
        const bool finishes = owner < p.groups && finished < tiles;
        // What the products are added to, or gated by.
        float old = 0;
        if (finishes && (p.mode == ADD || p.mode == GATED)) old = __ldcg(p.out + row);
        if (turn < turns) {
            for (u32 item = part * STEP<Format>; item < items; item += p.split * STEP<Format>) {
                wait_for_copies<DEPTH<Format> - 1>();
                __syncwarp();
#pragma unroll
                for (u32 i = 0; i < STEP<Format>; i++) Format::dot(sum, shared + slot + i * Format::BYTES, x, item + i, lane);
                __syncwarp();
                requests.next(shared + slot);
                slot = slot == last ? first : slot + slots;
            }
        }
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
        sums = turn % 2 ? sums - warps * 16 : sums + warps * 16;
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
        u32 tiles1, u32 tiles2, u32 columns, float epsilon, u32 mode, u32 split, u32 groups, float2 *best
#define ARGUMENTS                                                                                                       \
    {state, out, x, norm, {w0, w1, w2}, {tiles0, tiles1, tiles2}, columns, epsilon, mode, split, groups, best}
#define ROWS(name, Format)                                                                                              \
    extern "C" __global__ void __launch_bounds__(512, BLOCKS) rows_##name(PARAMETERS) {                                      \
        const Rows p = ARGUMENTS;                                                                                       \
        rows<Format>(p, false);                                                                                         \
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
extern "C" __global__ void __launch_bounds__(512, BLOCKS) rows_mixed(PARAMETERS, u32 formats) {
    const Rows p = ARGUMENTS;
    const u32 first = blockIdx.x * groups;
    const u32 matrix = first < tiles0 ? 0 : first < tiles0 + tiles1 ? 1 : 2;
    switch (formats >> matrix * 4 & 15) {
        case 0: return rows<F32>(p, true);
        case 1: return rows<F16>(p, true);
        case 2: return rows<BF16>(p, true);
        case 3: return rows<Q4_0>(p, true);
        case 4: return rows<Q8_0>(p, true);
        case 5: return rows<Q4_K>(p, true);
        case 6: return rows<Q5_K>(p, true);
        case 7: return rows<Q6_K>(p, true);
    }
}
