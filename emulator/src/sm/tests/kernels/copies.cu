// Barriers in shared memory, and copies under way that they or groups stand for. A `mistake` that is not 0 leaves
// out what orders one access before another.
typedef unsigned u32;
typedef unsigned long long u64;

static __device__ u32 shared(const void *p) { return (u32)__cvta_generic_to_shared(p); }
static __device__ void init(const void *b, u32 n) { asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared(b)), "r"(n) : "memory"); }
static __device__ void arrive(const void *b) { asm volatile("{ .reg .b64 s; mbarrier.arrive.shared.b64 s, [%0]; }" ::"r"(shared(b)) : "memory"); }
static __device__ u32 over(const void *b, u32 parity) {
    u32 done;
    asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(shared(b)), "r"(parity) : "memory");
    return done;
}

// The first warp leaves words, the second takes them, over and over through the same place.
extern "C" __global__ void hand_over(u32 *out, u32 rounds, u32 mistake) {
    __shared__ u32 word[32];
    __shared__ u64 full, empty;
    const u32 lane = threadIdx.x % 32;
    if (threadIdx.x == 0) init(&full, 32), init(&empty, 32);
    __syncthreads();
    u32 sum = 0;
    for (u32 i = 0; i < rounds; i++) {
        if (threadIdx.x < 32) {
            if (i) while (!over(&empty, (i - 1) % 2)) {}
            word[lane] = i * 32 + lane;
            arrive(&full);
        } else {
            while ((mistake != 2 || i + 1 < rounds) && !over(&full, i % 2)) {}
            const u32 more = i + 1 < rounds;
            if (mistake == 1 && more) arrive(&empty);
            sum += word[31 - lane];
            if (mistake != 1 && more) arrive(&empty);
        }
    }
    if (threadIdx.x >= 32) out[lane] = sum;
}

// Two warps copy; each reads what the other has copied.
extern "C" __global__ void swap(u32 *out, const u32 *in, u32 by_barrier, u32 mistake) {
    __shared__ __align__(16) u32 words[64 * 4];
    __shared__ u64 all;
    if (threadIdx.x == 0) init(&all, 64);
    __syncthreads();
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared(words + threadIdx.x * 4)), "l"(in + threadIdx.x * 4) : "memory");
    if (by_barrier) {
        asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared(&all)) : "memory");
        while (mistake != 1 && !over(&all, 0)) {}
    } else {
        asm volatile("cp.async.commit_group;" ::: "memory");
        if (mistake == 1) asm volatile("cp.async.wait_group 1;" ::: "memory");
        else asm volatile("cp.async.wait_group 0;" ::: "memory");
        if (mistake != 2) __syncthreads();
    }
    for (u32 i = 0; i < 4; i++) out[threadIdx.x * 4 + i] = words[(threadIdx.x ^ 32) * 4 + i];
}
