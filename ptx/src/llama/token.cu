// The last kernel of a token: the choice of the next one, and what follows from it. One block.
//
// What is computed is defined in `src/sample` of `llama_decode`, step by step and bit for bit: single operations that are
// rounded correctly, and sums of integers. Nothing is sorted: a threshold is found by histograms of the digits of ranks.
#include "common.h"

// Words of the output buffer; the plan says what they mean.
enum Output : u32 { COUNT = 0, REASON = 1, RING = 64 };
enum Reason : u32 { END_OF_TEXT = 1, LIMIT_REACHED = 2, CONTEXT_FULL = 3 };

constexpr u32 THREADS = 1024, WARPS = THREADS / 32;

// What the passes go over: all ids, or those in a list.
struct Candidates {
    const float* logits;
    const u32* marked;  // a bit for each id that the penalty applies to
    float penalty;
    const u32* list;    // ascending, or null for all ids
    u32 count;

    __device__ __forceinline__ u32 id(u32 n) const { return list ? list[n] : n; }
    __device__ __forceinline__ float logit(u32 id) const {
        const float l = finite(__ldcg(logits + id));
        if (!(marked[id / 32] >> id % 32 & 1)) return l;
        return finite(l > 0 ? __fdiv_rn(l, penalty) : __fmul_rn(l, penalty));
    }

    // fmaxf takes the other operand of what is not a number.
    static __device__ __forceinline__ float finite(float l) {
        return fminf(fmaxf(l, -3.402823466e+38f), 3.402823466e+38f);
    }
};

// A logit as an integer of the same order; minus zero equals zero.
__device__ __forceinline__ u32 rank_of(float logit) {
    const u32 bits = __float_as_uint(__fadd_rn(logit, 0.0f));
    return bits >> 31 ? ~bits : bits | 0x80000000;
}
__device__ __forceinline__ float logit_of(u32 rank) { return __uint_as_float(rank >> 31 ? rank & 0x7fffffff : ~rank); }

// e^z for z of at most 0, in units of 2^-40.
__device__ __forceinline__ u64 weight_of(float z) {
    const float t = __fmul_rn(z, 1.44269504088896340736f);
    if (!(t >= -40.5f)) return 0;
    const float n = rintf(t), f = __fsub_rn(t, n);
    float p = 1.540353e-4f;
    p = __fmaf_rn(p, f, 1.3333558e-3f);
    p = __fmaf_rn(p, f, 9.618129e-3f);
    p = __fmaf_rn(p, f, 5.550411e-2f);
    p = __fmaf_rn(p, f, 0.24022651f);
    p = __fmaf_rn(p, f, 0.6931472f);
    p = __fmaf_rn(p, f, 1.0f);
    return (u64)__fmul_rn(p, __uint_as_float((u32)(127 + 40 + (i32)n) << 23));
}

__device__ __forceinline__ u64 mix(u64 x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}
__device__ __forceinline__ u64 random_of(u64 seed, u32 position) {
    constexpr u64 STEP = 0x9e3779b97f4a7c15;
    return mix(mix(seed + STEP) + STEP * position);
}

// Sums over the block; every thread gets the result.
__device__ u64 sum_of_block(u64 v, u64* scratch) {
    for (u32 step = 1; step < 32; step *= 2) v += __shfl_xor_sync(0xffffffff, v, step);
    __syncthreads();
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
    __syncthreads();
    u64 sum = 0;
    for (u32 w = 0; w < WARPS; w++) sum += scratch[w];
    return sum;
}

// What stays: ranks above the threshold, and the first `ties` ids of the rank itself.
struct Kept {
    u32 threshold;
    u32 ties;
};

// Walks down the ranks until the amounts of those passed reach `enough`: amount 1 each (top-k) or their weights (top-p).
// Starts from what `before` kept.
template <class Amount>
__device__ Kept narrow(const Candidates& all, Kept before, u64 enough, Amount amount, u64* histogram) {
    __shared__ u32 chosen;
    __shared__ u64 above_chosen;
    u32 prefix = 0;
    u64 above = 0;
    for (i32 shift = 24; shift >= 0; shift -= 8) {
        if (threadIdx.x < 256) histogram[threadIdx.x] = 0;
        __syncthreads();
        for (u32 n = threadIdx.x; n < all.count; n += THREADS) {
            const float logit = all.logit(all.id(n));
            const u32 rank = rank_of(logit);
            if (rank < before.threshold) continue;
            if (shift == 24 || rank >> (shift + 8) == prefix) atomicAdd(histogram + (rank >> shift & 255), amount(logit));
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            u64 sum = above;
            u32 digit = 255;
            // The least rank of `before` is the least here, whatever its ties add.
            while (digit > 0 && sum + histogram[digit] < enough) sum += histogram[digit--];
            chosen = digit, above_chosen = sum;
        }
        __syncthreads();
        prefix = prefix << 8 | chosen, above = above_chosen;
        __syncthreads();
    }
    if (prefix < before.threshold) prefix = before.threshold;
    const u64 each = amount(logit_of(prefix)), missing = enough > above ? enough - above : 0;
    u64 ties = each ? (missing + each - 1) / each : 0xffffffff;
    if (prefix == before.threshold && ties > before.ties) ties = before.ties;
    return {prefix, ties > 0xffffffff ? 0xffffffff : (u32)ties};
}

// Calls `each(n, id, logit, stays)` for all candidates, a warp for each segment of them, ascending. `ties` are the
// candidates of the threshold's rank in the segments before.
template <class Each>
__device__ __forceinline__ void walk(const Candidates& all, Kept kept, u32 ties, Each each) {
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, length = ceil_div(ceil_div(all.count, 32), WARPS) * 32;
    const u32 end = min(all.count, (warp + 1) * length);
    for (u32 from = warp * length; from < end; from += 32) {
        const u32 n = from + lane, id = n < end ? all.id(n) : 0;
        const float logit = n < end ? all.logit(id) : 0;
        const u32 rank = n < end ? rank_of(logit) : 0;
        const u32 same = __ballot_sync(0xffffffff, n < end && rank == kept.threshold);
        const u32 turn = ties + __popc(same & ((1u << lane) - 1));
        ties += __popc(same);
        each(id, logit, n < end && (rank > kept.threshold || (rank == kept.threshold && turn < kept.ties)));
    }
}

// The ties in the segments before this warp's.
__device__ u32 ties_before(const Candidates& all, Kept kept, u32* scratch) {
    u32 mine = 0;
    walk(all, {kept.threshold, 0xffffffff}, 0, [&](u32, float logit, bool stays) {
        mine += __popc(__ballot_sync(0xffffffff, stays && rank_of(logit) == kept.threshold));
    });
    __syncthreads();
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = mine;
    __syncthreads();
    u32 before = 0;
    for (u32 w = 0; w < threadIdx.x / 32; w++) before += scratch[w];
    return before;
}

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


__device__ __forceinline__ u32 best_of_block(float value, u32 row, float* values, u32* rows) {
    auto take = [&](float v, u32 r) {
        if (v > value || (v == value && r < row)) value = v, row = r;
    };
    for (u32 step = 16; step; step /= 2)
        take(__shfl_xor_sync(0xffffffff, value, step), __shfl_xor_sync(0xffffffff, row, step));
    if (threadIdx.x % 32 == 0) values[threadIdx.x / 32] = value, rows[threadIdx.x / 32] = row;
    __syncthreads();
    for (u32 w = 0; w < WARPS; w++) take(values[w], rows[w]);
    return row;
}

// best: the best row of each of the head's blocks. list: room for a u32 for each id. Dynamic shared memory: a bit for each
// id, in words.
extern "C" __global__ void __launch_bounds__(THREADS) choose(u32* state, u32* output, u32* history, const float* logits,
                                                             const float2* best, u32 blocks, u32* list, u32 vocabulary,
                                                             u32 ring) {
    extern __shared__ u32 marked[];
    __shared__ u64 histogram[256];
    __shared__ float values[WARPS];
    __shared__ u32 rows[WARPS];
    let_next_start();
    wait_for_previous();
    if (__ldcg(state + STOP)) return;
    const float temperature = __uint_as_float(__ldcg(state + TEMPERATURE)), penalty = __uint_as_float(__ldcg(state + PENALTY));
    const u32 position = __ldcg(state + POSITION), last_n = min(__ldcg(state + LAST_N), position + 1);
    const bool penalised = penalty != 1 && penalty != 0 && last_n != 0;

    float value = __int_as_float(0xff800000);
    u32 row = 0xffffffff;
    auto take = [&](float v, u32 r) {
        if (v > value || (v == value && r < row)) value = v, row = r;
    };
    Candidates all = {logits, marked, penalty, nullptr, vocabulary};
    if (temperature == 0 && !penalised) {
        for (u32 i = threadIdx.x; i < blocks; i += THREADS) {
            const float2 b = __ldcg(best + i);
            take(b.x, __float_as_uint(b.y));
        }
    } else {
        for (u32 i = threadIdx.x; i < ceil_div(vocabulary, 32); i += THREADS) marked[i] = 0;
        __syncthreads();
        if (penalised)
            for (u32 i = threadIdx.x; i < last_n; i += THREADS) {
                const u32 id = __ldcg(history + position - i);
                if (id < vocabulary) atomicOr(marked + id / 32, 1u << id % 32);
            }
        __syncthreads();
        for (u32 id = threadIdx.x; id < vocabulary; id += THREADS) take(all.logit(id), id);
    }
    row = best_of_block(value, row, values, rows);
    if (temperature == 0) {
        if (threadIdx.x == 0) advance(state, output, history, ring, row);
        return;
    }

    const float top = all.logit(row);
    auto weight = [&](float logit) { return weight_of(__fdiv_rn(__fsub_rn(logit, top), temperature)); };
    Kept kept = {0, 0xffffffff};
    const u32 top_k = __ldcg(state + TOP_K);
    if (top_k > 0 && top_k < vocabulary) {
        kept = narrow(all, kept, top_k, [](float) { return (u64)1; }, histogram);
        // Those few, in their order, are all that the rest has to look at.
        const u32 before = ties_before(all, kept, rows);
        u32 mine = 0;
        walk(all, kept, before, [&](u32, float, bool stays) { mine += __popc(__ballot_sync(0xffffffff, stays)); });
        __syncthreads();
        if (threadIdx.x % 32 == 0) rows[threadIdx.x / 32] = mine;
        __syncthreads();
        u32 at = 0;
        for (u32 w = 0; w < threadIdx.x / 32; w++) at += rows[w];
        walk(all, kept, before, [&](u32 id, float, bool stays) {
            const u32 those = __ballot_sync(0xffffffff, stays);
            if (stays) list[at + __popc(those & ((1u << threadIdx.x % 32) - 1))] = id;
            at += __popc(those);
        });
        __syncthreads();
        all.list = list, all.count = top_k;
        kept = {0, 0xffffffff};
    }
    const float top_p = __uint_as_float(__ldcg(state + TOP_P));
    if (top_p < 1) {
        u64 sum = 0;
        for (u32 n = threadIdx.x; n < all.count; n += THREADS) sum += weight(all.logit(all.id(n)));
        sum = sum_of_block(sum, histogram);
        const u64 share = (u64)__fmul_rn(top_p, 4294967296.0f), enough = __umul64hi(sum, share) << 32 | sum * share >> 32;
        __syncthreads();
        kept = narrow(all, kept, enough ? enough : 1, weight, histogram);
    }
    const u64 least = (u64)__fmul_rn(__uint_as_float(__ldcg(state + MIN_P)), 1099511627776.0f);
    const u32 before = ties_before(all, kept, rows);
    u64 mine = 0;
    walk(all, kept, before, [&](u32, float logit, bool stays) {
        const u64 w = stays ? weight(logit) : 0;
        if (w >= least) mine += w;
    });
    for (u32 step = 1; step < 32; step *= 2) mine += __shfl_xor_sync(0xffffffff, mine, step);
    __syncthreads();
    if (threadIdx.x % 32 == 0) histogram[threadIdx.x / 32] = mine;
    __syncthreads();
    u64 reached = 0, sum = 0;
    for (u32 w = 0; w < WARPS; w++) {
        if (w < threadIdx.x / 32) reached += histogram[w];
        sum += histogram[w];
    }
    const u64 seed = (u64)__ldcg(state + SEED + 1) << 32 | __ldcg(state + SEED);
    const u64 drawn = __umul64hi(sum, random_of(seed, position + 1));
    // One warp's segment has it.
    if (drawn < reached || drawn >= reached + mine) return;
    u32 token = 0xffffffff;
    walk(all, kept, before, [&](u32 id, float logit, bool stays) {
        u64 w = stays ? weight(logit) : 0;
        if (w < least) w = 0;
        u64 upto = w;
        for (u32 step = 1; step < 32; step *= 2) {
            const u64 other = __shfl_up_sync(0xffffffff, upto, step);
            if (threadIdx.x % 32 >= step) upto += other;
        }
        const u32 past = __ballot_sync(0xffffffff, reached + upto > drawn);
        if (past && token == 0xffffffff) token = __shfl_sync(0xffffffff, id, __ffs(past) - 1);
        reached += __shfl_sync(0xffffffff, upto, 31);
    });
    if (threadIdx.x % 32 == 0) advance(state, output, history, ring, token);
}
