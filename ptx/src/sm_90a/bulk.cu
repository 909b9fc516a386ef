// What goes its way by itself and tells a barrier in shared memory when it has come: stores and reductions that signal,
// copies and reductions in bulk. Nobody waits for ever: who gives up leaves 0xbad words and is seen.
#include "types.h"

static __device__ uint32_t shared(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }

static __device__ uint32_t rank() {
    uint32_t r;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
    return r;
}

static __device__ uint32_t of(const void *place, uint32_t block) {
    uint32_t far;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(far) : "r"(shared(place)), "r"(block));
    return far;
}

static __device__ void meet() { asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory"); }

static __device__ void prepare(const void *barrier, uint32_t count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\nfence.mbarrier_init.release.cluster;" ::"r"(shared(barrier)), "r"(count) : "memory");
}

static __device__ void expect(const void *barrier, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared(barrier)), "r"(bytes) : "memory");
}

static __device__ bool over(const void *barrier, uint32_t parity) {
    uint32_t done;
    asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(shared(barrier)), "r"(parity) : "memory");
    return done;
}

// Waits for a phase, but not for ever: 0, or 0xbad.
static __device__ uint32_t wait(const void *barrier, uint32_t parity) {
    uint32_t done;
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(shared(barrier)), "r"(parity) : "memory");
    for (uint32_t tries = 0; !done && tries < 1 << 18; tries++) done = over(barrier, parity);
    return done ? 0 : 0xbad;
}

static __device__ void publish() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

static __device__ void bring(const void *to, const void *from, uint32_t bytes, const void *barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared(to)),
                 "l"(from), "r"(bytes), "r"(shared(barrier)) : "memory");
}

// Words that every thread of a cluster of four sends to the first block, in stores of each width. Blocks of 32;
// eight words from each thread, and what waiting gave.
extern "C" __global__ void __cluster_dims__(4, 1, 1) stores(uint32_t *out, const uint32_t *in) {
    __shared__ __align__(16) uint32_t lines[4][32][8];
    __shared__ uint64_t all;
    const uint32_t me = rank(), lane = threadIdx.x;
    if (lane == 0) prepare(&all, 1);
    for (uint32_t i = 0; i < 32; i++) lines[i / 8][lane][i % 8] = ~i;
    meet();
    const uint32_t *from = in + (blockIdx.x * 32 + lane) * 8;
    const uint32_t to = of(lines[me][lane], 0), counts = of(&all, 0);
#define STORE(type, place, ...) \
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes." type ::"r"(to + place), "r"(counts), __VA_ARGS__ : "memory")
    const uint64_t first = from[0] | (uint64_t)from[1] << 32, second = from[2] | (uint64_t)from[3] << 32;
    if (me == 0) {
        STORE("v4.b32 [%0], {%2, %3, %4, %5}, [%1];", 0, "r"(from[0]), "r"(from[1]), "r"(from[2]), "r"(from[3]));
        STORE("v4.f32 [%0], {%2, %3, %4, %5}, [%1];", 16, "r"(from[4]), "r"(from[5]), "r"(from[6]), "r"(from[7]));
    } else if (me == 1) {
        STORE("v2.s32 [%0], {%2, %3}, [%1];", 0, "r"(from[0]), "r"(from[1]));
        STORE("b64 [%0], %2, [%1];", 8, "l"(second));
        STORE("s64 [%0], %2, [%1];", 16, "l"(first));
        STORE("v2.u32 [%0], {%2, %3}, [%1];", 24, "r"(from[6]), "r"(from[7]));
    } else if (me == 2) {
        STORE("v2.u64 [%0], {%2, %3}, [%1];", 16, "l"(first), "l"(second));
        if (lane % 3 == 0) STORE("u32 [%0], %2, [%1];", 4, "r"(from[6]));
    } else {
        for (uint32_t i = 0; i < 8; i++) STORE("b32 [%0], %2, [%1];", 4 * i, "r"(from[i]));
    }
    uint32_t gave = 0;
    if (me == 0) {
        if (lane == 0) expect(&all, 32 * (32 + 32 + 16 + 32) + 11 * 4);
        gave = wait(&all, 0);
        for (uint32_t i = 0; i < 4; i++)
            for (uint32_t j = 0; j < 8; j++) out[((blockIdx.x + i) * 32 + lane) * 9 + j] = lines[i][lane][j];
    }
    out[(blockIdx.x * 32 + lane) * 9 + 8] = gave;
    meet();
}

// Reductions of every kind, by every thread of a cluster of four, to words of the second block. Blocks of 32.
extern "C" __global__ void __cluster_dims__(4, 1, 1) reductions_that_signal(uint32_t *out, const uint32_t *in) {
    __shared__ __align__(16) uint32_t words[16];
    __shared__ uint64_t all;
    const uint32_t me = rank(), lane = threadIdx.x;
    if (lane == 0) prepare(&all, 1);
    if (lane < 16) words[lane] = out[lane];
    meet();
    const uint32_t *from = in + (blockIdx.x * 32 + lane) * 16, counts = of(&all, 1);
#define REDUCE(type, n, register, value) \
    asm volatile("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes." type " [%0], %2, [%1];" ::"r"(of(words + n, 1)), "r"(counts), register(value) : "memory")
    REDUCE("add.u32", 0, "r", from[0]);
    REDUCE("add.s32", 1, "r", from[1]);
    REDUCE("min.s32", 2, "r", from[2]);
    REDUCE("min.u32", 3, "r", from[3]);
    REDUCE("max.s32", 4, "r", from[4]);
    REDUCE("max.u32", 5, "r", from[5]);
    REDUCE("and.b32", 6, "r", from[6] | in[lane]);
    REDUCE("or.b32", 7, "r", from[7] & in[lane]);
    REDUCE("xor.b32", 8, "r", from[8]);
    REDUCE("inc.u32", 9, "r", in[0]);
    REDUCE("dec.u32", 10, "r", in[1]);
    REDUCE("add.u64", 12, "l", *(const uint64_t *)(from + 10));
    if (lane % 5 == 1) REDUCE("inc.u32", 14, "r", 21);
    uint32_t gave = 0;
    if (me == 1) {
        if (lane == 0) expect(&all, 4 * (32 * (11 * 4 + 8) + 7 * 4));
        gave = wait(&all, 0);
    }
    meet();
    if (me == 1) {
        if (lane < 16) out[lane] = words[lane];
        out[16 + lane] = gave;
    }
}

// Pieces of several sizes come from memory by one barrier, phase after phase, are changed and sent back. Blocks of 64,
// each 8192 words; the last 64 words are what waiting gave.
extern "C" __global__ void copies(uint32_t *out, const uint32_t *in) {
    __shared__ __align__(128) uint32_t words[8192];
    __shared__ uint64_t come;
    const uint32_t sizes[5] = {16, 48, 1040, 8192, 20016};
    uint32_t *to = out + blockIdx.x * 8192, start = 0, gave = 0;
    const uint32_t *from = in + blockIdx.x * 8192;
    if (threadIdx.x == 0) prepare(&come, 1);
    for (uint32_t i = threadIdx.x; i < 8192; i += 64) words[i] = i;
    publish();
    __syncthreads();
    for (uint32_t n = 0; n < 5; n++) {
        const uint32_t half = sizes[n] / 32 * 16, rest = sizes[n] - half;
        if (threadIdx.x == 0) {
            // Before it is expected, in two parts, and afterwards.
            if (n % 2 == 0) bring(words + start, from + start, sizes[n], &come);
            if (half) asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(shared(&come)), "r"(half) : "memory");
            expect(&come, rest);
            if (n % 2) bring(words + start, from + start, half, &come), bring(words + start + half / 4, from + start + half / 4, rest, &come);
        }
        gave |= wait(&come, n % 2) << n;
        start += sizes[n] / 4;
        // Nobody may find the phase after the next.
        __syncthreads();
    }
    for (uint32_t i = threadIdx.x; i < start; i += 64) words[i] = words[i] * 3 + 1;
    publish();
    __syncthreads();
    if (threadIdx.x == 0) {
        uint32_t at = 0;
        for (uint32_t n = 0; n < 5; n++) {
            asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to + at), "r"(shared(words + at)), "r"(sizes[n]) : "memory");
            asm volatile("cp.async.bulk.commit_group;" ::: "memory");
            at += sizes[n] / 4;
        }
        asm volatile("cp.async.bulk.wait_group.read 2;" ::: "memory");
        asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    }
    if (threadIdx.x < 64) to[8192 - 64 + threadIdx.x] = gave;
}

// The first block of a cluster brings words to those of a mask, with a policy of caches; every block passes its own on
// to the next one, and combines them there with what it had. Blocks of 64.
extern "C" __global__ void __cluster_dims__(4, 1, 1) between_blocks(uint32_t *out, const uint32_t *in, uint32_t ranks) {
    __shared__ __align__(128) uint32_t words[64], passed[13][64];
    __shared__ uint64_t come, handed;
    const uint32_t me = rank(), next = (me + 1) % 4, i = threadIdx.x;
    if (i == 0) prepare(&come, 1), prepare(&handed, 1);
    words[i] = 7 * i + me;
    for (uint32_t n = 0; n < 13; n++) passed[n][i] = in[64 + (blockIdx.x * 13 + n) * 64 + i];
    publish();
    meet();
    if (i == 0) {
        uint64_t policy;
        asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
        asm volatile("cp.async.bulk.prefetch.L2.global [%0], 256;" ::"l"(in) : "memory");
        expect(&come, ranks >> me & 1 ? 256 : 0);
        expect(&handed, 13 * 256);
        if (me == 0)
            asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster.L2::cache_hint [%0], [%1], %2, [%3], %4, %5;"
                         ::"r"(shared(words)), "l"(in), "r"(256), "r"(shared(&come)), "h"((uint16_t)ranks), "l"(policy) : "memory");
    }
    uint32_t gave = wait(&come, 0);
    if (i == 0) {
        publish();
        asm volatile("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], 256, [%2];" ::"r"(of(passed[0], next)),
                     "r"(shared(words)), "r"(of(&handed, next)) : "memory");
#define PASS(n, how)                                                                                                   \
    asm volatile("cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes." how " [%0], [%1], 256, [%2];" ::"r"( \
                     of(passed[n], next)), "r"(shared(words)), "r"(of(&handed, next)) : "memory")
        PASS(1, "add.u32");
        PASS(2, "add.s32");
        PASS(3, "add.u64");
        PASS(4, "min.s32");
        PASS(5, "min.u32");
        PASS(6, "max.s32");
        PASS(7, "max.u32");
        PASS(8, "inc.u32");
        PASS(9, "dec.u32");
        PASS(10, "and.b32");
        PASS(11, "or.b32");
        PASS(12, "xor.b32");
    }
    gave |= wait(&handed, 0) << 16;
    for (uint32_t n = 0; n < 13; n++) out[(blockIdx.x * 14 + n) * 64 + i] = passed[n][i];
    out[(blockIdx.x * 14 + 13) * 64 + i] = gave;
    meet();
}

// Reductions in bulk to memory, 128 bytes of each; some of them twice. One block of 32.
extern "C" __global__ void reductions(uint32_t *out, const uint32_t *in) {
    __shared__ __align__(128) uint32_t words[33][32];
    for (uint32_t n = 0; n < 33; n++) words[n][threadIdx.x] = in[n * 32 + threadIdx.x];
    publish();
    __syncwarp();
    if (threadIdx.x) return;
#define RED(n, how) asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group." how " [%0], [%1], 128;" ::"l"(out + n * 32), "r"(shared(words[n])) : "memory")
    RED(0, "add.u32"); RED(1, "add.s32"); RED(2, "add.u64"); RED(3, "add.f32"); RED(4, "add.f64");
    RED(5, "add.noftz.f16"); RED(6, "add.noftz.bf16");
    RED(7, "min.u32"); RED(8, "min.s32"); RED(9, "min.u64"); RED(10, "min.s64"); RED(11, "min.f16"); RED(12, "min.bf16");
    RED(13, "max.u32"); RED(14, "max.s32"); RED(15, "max.u64"); RED(16, "max.s64"); RED(17, "max.f16"); RED(18, "max.bf16");
    RED(19, "inc.u32"); RED(20, "dec.u32");
    RED(21, "and.b32"); RED(22, "or.b32"); RED(23, "xor.b32"); RED(24, "and.b64"); RED(25, "or.b64"); RED(26, "xor.b64");
    asm volatile("cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;" ::: "memory");
    // Words that are not numbers, tiny ones, and what is equal but for its sign.
    RED(27, "add.f32"); RED(28, "add.f64"); RED(29, "add.noftz.f16"); RED(30, "add.noftz.bf16"); RED(31, "min.f16"); RED(32, "max.bf16");
    asm volatile("cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;" ::: "memory");
}

// What a barrier says while arrivals and bytes are expected and come. One thread.
extern "C" __global__ void transactions(uint64_t *out) {
    __shared__ uint64_t barrier;
    uint32_t n = 0;
    const uint32_t at = shared(&barrier);
    uint64_t state = 0, word;
#define SHOW                                                                                                           \
    asm volatile("ld.volatile.shared.b64 %0, [%1];" : "=l"(word) : "r"(at) : "memory");                                \
    out[n++] = word, out[n++] = over(&barrier, 0) + 2 * over(&barrier, 1), out[n++] = state
#define ARRIVE(how) asm volatile("mbarrier.arrive" how : "=l"(state) : "r"(at) : "memory")
#define CHANGE(how) asm volatile("mbarrier." how : : "r"(at) : "memory")
    CHANGE("init.shared::cta.b64 [%0], 3;");
    SHOW;
    ARRIVE(".shared::cta.b64 %0, [%1];");
    SHOW;
    CHANGE("expect_tx.relaxed.cta.shared::cta.b64 [%0], 48;");
    SHOW;
    ARRIVE(".shared::cta.b64 %0, [%1], 2;");
    SHOW;
    CHANGE("complete_tx.relaxed.cta.shared::cta.b64 [%0], 16;");
    SHOW;
    CHANGE("complete_tx.relaxed.cta.shared::cta.b64 [%0], 32;");
    SHOW;
    // Bytes come before they are expected.
    CHANGE("complete_tx.relaxed.cta.shared::cta.b64 [%0], 64;");
    SHOW;
    ARRIVE(".expect_tx.shared::cta.b64 %0, [%1], 80;");
    SHOW;
    ARRIVE("_drop.shared::cta.b64 %0, [%1];");
    SHOW;
    ARRIVE(".shared::cta.b64 %0, [%1];");
    SHOW;
    CHANGE("complete_tx.relaxed.cta.shared::cta.b64 [%0], 16;");
    SHOW;
    // The next phase lacks one arrival.
    ARRIVE("_drop.expect_tx.shared::cta.b64 %0, [%1], 1048575;");
    SHOW;
    CHANGE("complete_tx.relaxed.cta.shared::cta.b64 [%0], 1048575;");
    SHOW;
    ARRIVE(".shared::cta.b64 %0, [%1];");
    SHOW;
    CHANGE("inval.shared::cta.b64 [%0];");
    CHANGE("init.shared::cta.b64 [%0], 1048575;");
    SHOW;
    ARRIVE(".shared::cta.b64 %0, [%1], 1048575;");
    SHOW;
}
