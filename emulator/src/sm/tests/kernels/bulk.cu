// Clusters, stores that signal and bulk copies: Hopper's. A `mistake` that is not 0 leaves out what orders one access
// before another.
typedef unsigned u32;
typedef unsigned long long u64;

static __device__ u32 shared(const void *p) { return (u32)__cvta_generic_to_shared(p); }
static __device__ u32 rank() { u32 r; asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r)); return r; }
static __device__ u32 of(u32 place, u32 block) { u32 far; asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(far) : "r"(place), "r"(block)); return far; }
static __device__ void meet() { asm volatile("barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;" ::: "memory"); }
static __device__ void init(const void *b, u32 n) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1; fence.mbarrier_init.release.cluster;" ::"r"(shared(b)), "r"(n) : "memory");
}
static __device__ void expect(const void *b, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared(b)), "r"(bytes) : "memory");
}
static __device__ void wait(const void *b, u32 parity) {
    u32 done;
    do asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                    : "=r"(done) : "r"(shared(b)), "r"(parity) : "memory");
    while (!done);
}
static __device__ void bring(const void *to, const void *from, u32 bytes, const void *b) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared(to)), "l"(from), "r"(bytes), "r"(shared(b)) : "memory");
}
static __device__ void send(void *to, const void *from, u32 bytes) {
    asm volatile("fence.proxy.async.shared::cta; cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2; cp.async.bulk.commit_group;" ::"l"(to), "r"(shared(from)), "r"(bytes) : "memory");
}

// Every thread of a cluster leaves words with its first block, and counts there.
extern "C" __global__ void __cluster_dims__(4, 1, 1) signals(u32 *out, const u32 *in, u32 mistake) {
    __shared__ __align__(16) u32 lines[4][32][4];
    __shared__ u32 sum;
    __shared__ u64 all;
    const u32 me = rank(), lane = threadIdx.x;
    if (lane == 0) init(&all, 1), sum = 0;
    meet();
    const u32 *from = in + (blockIdx.x * 32 + lane) * 4;
    const u32 to = of(shared(lines[me][lane]), 0), counts = of(shared(&all), 0);
    if (me % 2)
        asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1,%2,%3,%4}, [%5];" ::"r"(to), "r"(from[0]), "r"(from[1]), "r"(from[2]), "r"(from[3]), "r"(counts) : "memory");
    else {
        asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b64 [%0], %1, [%2];" ::"r"(to), "l"(from[0] | (u64)from[1] << 32), "r"(counts) : "memory");
        asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(to + 8), "r"(from[2]), "r"(counts) : "memory");
        asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(to + 12), "r"(from[3]), "r"(counts) : "memory");
    }
    asm volatile("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%0], %1, [%2];" ::"r"(of(shared(&sum), 0)), "r"(from[0]), "r"(counts) : "memory");
    if (me) return;
    if (lane == 0) expect(&all, 4 * 32 * 20);
    // Others must find the block there, whether it waits in time or not.
    if (mistake == 0) wait(&all, 0);
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) out[blockIdx.x / 4 * 513 + (i * 32 + lane) * 4 + j] = lines[i][lane][j];
    if (lane == 0) out[blockIdx.x / 4 * 513 + 512] = sum;
    if (mistake == 1) wait(&all, 0);
}

// Brings words, adds one to each, and sends them on: block by block.
extern "C" __global__ void there_and_back(u32 *out, const u32 *in, u32 mistake) {
    __shared__ __align__(128) u32 words[256];
    __shared__ u64 come;
    if (threadIdx.x == 0) init(&come, 1);
    __syncthreads();
    if (threadIdx.x == 0) expect(&come, 1024), bring(words, in + blockIdx.x * 256, 1024, &come);
    if (mistake != 1) wait(&come, 0);
    for (u32 i = threadIdx.x; i < 256; i += blockDim.x) words[i]++;
    if (mistake != 2) __syncthreads();
    if (threadIdx.x == 0) {
        send(out + blockIdx.x * 256, words, 1024);
        if (mistake != 3) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
        for (u32 i = 0; i < 256; i++) words[i] = 0;
    }
}

// The first block of a cluster brings words to those of a mask; every block passes its own on to the next one.
extern "C" __global__ void __cluster_dims__(4, 1, 1) to_many(u32 *out, const u32 *in, u32 ranks) {
    __shared__ __align__(128) u32 words[64], passed[64];
    __shared__ u64 come, handed;
    const u32 me = rank(), next = (me + 1) % 4;
    if (threadIdx.x == 0) init(&come, 1), init(&handed, 1);
    words[threadIdx.x] = 7;
    passed[threadIdx.x] = me;
    meet();
    if (threadIdx.x == 0) {
        expect(&come, ranks >> me & 1 ? 256 : 0);
        expect(&handed, 512);
        if (me == 0)
            asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(shared(words)), "l"(in), "r"(256), "r"(shared(&come)), "h"((unsigned short)ranks) : "memory");
    }
    wait(&come, 0);
    if (threadIdx.x == 0) {
        asm volatile("fence.proxy.async.shared::cta; cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], 256, [%2];" ::"r"(of(shared(passed), next)), "r"(shared(words)), "r"(of(shared(&handed), next)) : "memory");
        asm volatile("cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.u32 [%0], [%1], 256, [%2];" ::"r"(of(shared(passed), next)), "r"(shared(words)), "r"(of(shared(&handed), next)) : "memory");
    }
    wait(&handed, 0);
    out[blockIdx.x * 64 + threadIdx.x] = passed[threadIdx.x];
    meet();
}

// Reductions in bulk to memory, sixteen words of each.
extern "C" __global__ void reduces(u32 *out, const u32 *in) {
    __shared__ __align__(128) u32 words[16];
    words[threadIdx.x] = in[threadIdx.x];
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (threadIdx.x) return;
#define RED(n, how) asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group." how " [%0], [%1], 64;" ::"l"(out + n * 16), "r"(shared(words)) : "memory")
    RED(0, "add.u32"); RED(1, "min.s32"); RED(2, "max.u32"); RED(3, "inc.u32"); RED(4, "and.b32"); RED(5, "xor.b64");
    RED(6, "add.u64"); RED(7, "max.s64"); RED(8, "add.f32"); RED(9, "add.noftz.f16"); RED(10, "max.bf16"); RED(11, "add.f64");
    asm volatile("cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;" ::: "memory");
}

// What compilers say of addresses of clusters.
extern "C" __global__ void __cluster_dims__(2, 1, 1) spaces(u32 *out) {
    __shared__ u32 word;
    u64 own = (u64)&word, far;
    const u32 me = rank();
    asm volatile("mapa.u64 %0, %1, %2;" : "=l"(far) : "l"(own), "r"((me + 1) % 2));
    u32 a, b, c, d, e;
    asm volatile("{ .reg .pred p; isspacep.shared::cta p, %1; selp.u32 %0, 1, 0, p; }" : "=r"(a) : "l"(own));
    asm volatile("{ .reg .pred p; isspacep.shared::cta p, %1; selp.u32 %0, 1, 0, p; }" : "=r"(b) : "l"(far));
    asm volatile("{ .reg .pred p; isspacep.shared::cluster p, %1; selp.u32 %0, 1, 0, p; }" : "=r"(c) : "l"(far));
    asm volatile("getctarank.u64 %0, %1;" : "=r"(d) : "l"(far));
    if (threadIdx.x == 0) word = me + 10;
    meet();
    e = *(volatile u32 *)far;
    atomicAdd((u32 *)far, 5);
    meet();
    u32 *line = out + blockIdx.x * 6;
    line[0] = a, line[1] = b, line[2] = c, line[3] = d, line[4] = e, line[5] = *(volatile u32 *)&word;
}

// Reads what belongs to a block that has ended, or that does not exist.
extern "C" __global__ void __cluster_dims__(2, 1, 1) reads_too_late(u32 *out, u32 block) {
    __shared__ u32 word;
    word = 3;
    u32 v;
    if (rank() == 1) return;
    // Long enough for the other to have ended.
    for (u32 i = 0; i < 20000; i++) *(volatile u32 *)&word = i;
    asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(v) : "r"(of(shared(&word), block)) : "memory");
    out[0] = v;
}
