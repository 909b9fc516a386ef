typedef unsigned u32; typedef unsigned long long u64; typedef long long s64; typedef unsigned char u8; typedef unsigned short u16;
#define T (blockIdx.x*blockDim.x+threadIdx.x)
__device__ u32 gcount; __device__ float gtab[4]={1.f,2.f,3.f,4.f}; __constant__ int ctab[8]={3,1,4,1,5,9,2,6};
extern "C" __global__ void mem_basic(const u8*a,u8*o){
 int i=T; o+=i*128; a+=i*64; *(u8*)(o)=a[1]; *(short*)(o+2)=*(const signed char*)(a+3); *(u32*)(o+4)=*(const u16*)(a+4); *(int*)(o+8)=*(const short*)(a+6); *(u64*)(o+16)=*(const u64*)(a+8); *(uint4*)(o+32)=*(const uint4*)(a+16);
 *(volatile u32*)(o+48)=*(volatile const u32*)(a+32); u32 v; asm volatile("ld.acquire.gpu.u32 %0,[%1];":"=r"(v):"l"(a+36)); asm volatile("st.release.sys.u32 [%0],%1;"::"l"(o+52),"r"(v)); asm volatile("ld.relaxed.cta.u32 %0,[%1];":"=r"(v):"l"(a+40)); asm volatile("st.relaxed.gpu.u32 [%0],%1;"::"l"(o+56),"r"(v));
 asm volatile("ld.global.nc.L1::no_allocate.L2::128B.u32 %0,[%1];":"=r"(v):"l"(a+44)); *(u32*)(o+60)=v; asm volatile("ld.global.cg.u32 %0,[%1];":"=r"(v):"l"(a+48)); asm volatile("st.global.cs.u32 [%0],%1;"::"l"(o+64),"r"(v)); asm volatile("ld.global.lu.u32 %0,[%1];":"=r"(v):"l"(a+52)); asm volatile("st.global.wt.u32 [%0],%1;"::"l"(o+68),"r"(v)); asm volatile("ld.global.L1::evict_last.u32 %0,[%1];":"=r"(v):"l"(a+56)); asm volatile("st.global.L1::evict_first.u32 [%0],%1;"::"l"(o+72),"r"(v)); *(int*)(o+76)=ctab[i&7]; *(float*)(o+80)=gtab[i&3]; asm volatile("prefetch.global.L2 [%0];"::"l"(a)); asm volatile("prefetch.global.L1 [%0];"::"l"(a));
}
extern "C" __global__ void generic(u32*g,u32*o,int n){
 __shared__ u32 s[64]; u32 l[16]; int i=threadIdx.x; s[i&63]=g[i]; for(int k=0;k<16;k++) l[k]=i*k+n; __syncthreads();
 u32*p; int k=n+i; if(k%3==0) p=g+i; else if(k%3==1) p=s+((i+1)&63); else p=l+(i&15);
 u32 v=*p; *p=v+7; __syncthreads(); if(k%3<2) v+=atomicAdd(p,5); 
 if(k%3<2) { v^=atomicCAS(p,v,v+1); v+=atomicExch(p,v|1);} 
 o[i*4]=v; o[i*4+1]=l[(i+n)&15]; o[i*4+2]=s[i&63]; o[i*4+3]=__isShared(p)+2*__isLocal(p)+4*__isGlobal(p);
}
extern "C" __global__ void atomics(u32*u,s64*l,float*f,double*d,u32*o){
 __shared__ u32 s[16]; __shared__ u64 sl[4]; __shared__ float sf[2]; int i=threadIdx.x; if(i<16) s[i]=i*3; if(i<4) sl[i]=i; if(i<2) sf[i]=0; __syncthreads(); u32 r=0;
 r+=atomicAdd(u+0,i); r+=atomicSub(u+1,i); r+=atomicMin((int*)u+2,-i); r+=atomicMax(u+3,i); r+=atomicAnd(u+4,~(1u<<(i&31))); r+=atomicOr(u+5,1u<<(i&31)); r+=atomicXor(u+6,i); r+=atomicInc(u+7,20); r+=atomicDec(u+8,20); 
 o[i*4]=atomicExch(u+9,i); o[i*4+1]=atomicCAS(u+10,i,i+1); atomicAdd((u64*)l,(u64)i<<33); atomicMax((s64*)l+1,(s64)i*-5); atomicMin((u64*)l+2,(u64)i); r+=atomicExch((u64*)l+3,(u64)i); r+=atomicCAS((u64*)l+4,(u64)i,(u64)i+1);
 r+=(u32)atomicAdd(f,1.5f); atomicAdd(f+1,2.f); atomicAdd(d,0.25); r+=(u32)atomicAdd(d+1,0.5);
 r+=atomicAdd(s,i); atomicMin(s+1,i); atomicMax((int*)s+2,i); atomicAnd(s+3,i); atomicOr(s+4,i); r+=atomicXor(s+5,i); r+=atomicInc(s+6,7); atomicDec(s+7,9); r+=atomicExch(s+8,i); r+=atomicCAS(s+9,27,i); r+=(u32)atomicAdd(sl,(u64)i); r+=(u32)atomicCAS(sl+1,1ull,(u64)i); atomicExch(sl+2,(u64)i); atomicAdd(sf,1.f); atomicMax((s64*)sl+3,(s64)i);
 u32 h; asm volatile("atom.global.add.noftz.f16x2 %0,[%1],%2;":"=r"(h):"l"(u+11),"r"(0x3c003c00)); asm volatile("red.global.add.noftz.f16x2 [%0],%1;"::"l"(u+12),"r"(0x3c003c00)); 
#if __CUDA_ARCH__>=900
asm volatile("red.global.add.noftz.bf16x2 [%0],%1;"::"l"(u+13),"r"(0x3f803f80));
#endif
 unsigned short hh; asm volatile("atom.global.add.noftz.f16 %0,[%1],%2;":"=h"(hh):"l"(u+14),"h"((u16)0x3c00)); asm volatile("atom.acq_rel.gpu.global.add.u32 %0,[%1],%2;":"=r"(h):"l"(u+15),"r"(1)); asm volatile("red.release.sys.global.or.b32 [%0],%1;"::"l"(u+16),"r"(i)); asm volatile("atom.relaxed.cta.global.cas.b32 %0,[%1],%2,%3;":"=r"(h):"l"(u+17),"r"(i),"r"(i+1));
 o[i*4+2]=r; __syncthreads(); if(i<10) o[i*4+3]=s[i]; else if(i<14) o[i*4+3]=(u32)sl[i-10]; else if(i<16) o[i*4+3]=__float_as_uint(sf[i-14]); __threadfence(); __threadfence_block(); __threadfence_system();
}
extern "C" __global__ void reduce(const float*a,float*o,int n){
 extern __shared__ float sm[]; float s=0; for(int i=threadIdx.x;i<n;i+=blockDim.x) s+=a[blockIdx.x*n+i]; for(int d=16;d;d>>=1) s+=__shfl_xor_sync(~0u,s,d); if((threadIdx.x&31)==0) sm[threadIdx.x>>5]=s; __syncthreads(); if(threadIdx.x<32){ s=threadIdx.x<blockDim.x/32?sm[threadIdx.x]:0; for(int d=16;d;d>>=1) s+=__shfl_down_sync(~0u,s,d); if(!threadIdx.x) o[blockIdx.x]=s; }
 int c=__syncthreads_count(s>0); int an=__syncthreads_and(s>0); int orr=__syncthreads_or(s<0); if(threadIdx.x==0) {o[gridDim.x+blockIdx.x*3]=c; o[gridDim.x+blockIdx.x*3+1]=an; o[gridDim.x+blockIdx.x*3+2]=orr;}
}
extern "C" __global__ void barriers(int*o,int n){
 __shared__ int s[128]; int i=threadIdx.x; s[i]=0; __syncthreads(); if(i<32){ s[i]=i+1; asm volatile("bar.arrive 1,64;":::"memory"); } else if(i<64){ asm volatile("bar.sync 1,64;":::"memory"); s[i]=s[i-32]*2; } else if (n) { asm volatile("barrier.sync %0,%1;"::"r"(n),"r"(64):"memory"); s[i]=i; } __syncthreads(); o[i]=s[i]+s[(i+32)&127];
}
__device__ __noinline__ int fib(int n){ return n<2?n:fib(n-1)+fib(n-2); }
__device__ __noinline__ int f0(int x,int y){return x+y;} __device__ __noinline__ int f1(int x,int y){return x*y;} __device__ __noinline__ int f2(int x,int y){ int t[8]; for(int i=0;i<8;i++) t[(i*x)&7]=i+y; return t[x&7]+t[y&7]; } __device__ __noinline__ int f3(int x,int y){return x/(y|1);}
typedef int(*fn)(int,int); __device__ fn gfn[4]={f0,f1,f2,f3};
extern "C" __global__ void calls(const int*a,int*o){ int i=T; fn t[4]={f0,f1,f2,f3}; int x=a[i]; o[i*3]=t[x&3](x,i); o[i*3+1]=fib(x&7); o[i*3+2]=gfn[(x>>2)&3](x,i+1); }
extern "C" __global__ void specials(u32*o){ u32*p=o+T*20; p[0]=threadIdx.x;p[1]=threadIdx.y;p[2]=threadIdx.z;p[3]=blockIdx.x;p[4]=blockIdx.y;p[5]=blockIdx.z;p[6]=blockDim.x;p[7]=gridDim.y; u32 v; 
#define R(k,n) asm volatile("mov.u32 %0,%%" n ";":"=r"(v)); p[k]=v;
R(8,"laneid") R(9,"warpid") R(10,"nwarpid") R(11,"smid") R(12,"nsmid") R(13,"lanemask_eq") R(14,"lanemask_lt") R(15,"lanemask_ge") R(16,"clock") u64 w; asm volatile("mov.u64 %0,%%clock64;":"=l"(w)); p[17]=w>>40; asm volatile("mov.u64 %0,%%globaltimer;":"=l"(w)); p[18]=w!=0; R(19,"dynamic_smem_size") R(16,"lanemask_le") R(16,"lanemask_gt") R(16,"total_smem_size") R(16,"globaltimer_lo") R(16,"clock_hi") __nanosleep(20);}
extern "C" __global__ void traps(int*a,int n){ if(n==1) __trap(); if(n==2) asm volatile("exit;"); if(n==3) asm volatile("brkpt;"); if(n==4) while(*(volatile int*)a==0); if (n==5) while(1); a[n]=n; asm volatile("discard.global.L2 [%0],128;"::"l"(a)); }
extern "C" __global__ void spin(volatile int*a,int*o){ int i=threadIdx.x; if(i%2==0){ while(atomicAdd((int*)a,0)<16); o[i]=1; } else { atomicAdd((int*)a,1); o[i]=2; } }
