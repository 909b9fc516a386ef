typedef unsigned u32; typedef unsigned long long u64; typedef long long s64; typedef unsigned char u8;
#define T (blockIdx.x*blockDim.x+threadIdx.x)
extern "C" __global__ void int_basic(const int*a,const int*b,const int*c,int*o){
 int i=T; int x=a[i],y=b[i],z=c[i]; u32 ux=x,uy=y,uz=z; int*p=o+i*48;
 p[0]=x+y-z; p[1]=x*y+z; p[2]=__mulhi(x,y); p[3]=__umulhi(ux,uy); p[4]=x&y|~z; p[5]=x^y^z;
 p[6]=x<<(y&31); p[7]=x>>(y&31); p[8]=ux>>(uy&31); p[9]=__funnelshift_l(x,y,z); p[10]=__funnelshift_rc(x,y,z);
 p[11]=min(x,y); p[12]=max(ux,uy); p[13]=abs(x); p[14]=__popc(x); p[15]=__clz(x); p[16]=__brev(x); p[17]=__ffs(x);
 p[18]=__byte_perm(x,y,z); p[19]=x<y?z:x; p[20]=ux/(uy|1); p[21]=x%(y|1); p[22]=__dp4a(x,y,z); p[23]=__dp4a(ux,uy,uz);
 p[24]=__dp2a_lo(x,y,z); p[25]=__sad(x,y,uz); p[26]=__vabsdiffu4(x,y); p[27]=__mul24(x,y); p[28]=__hadd(x,y); p[29]=__rhadd(x,y);
 int r; asm("bfe.s32 %0,%1,5,9;":"=r"(r):"r"(x)); p[30]=r; asm("bfi.b32 %0,%1,%2,%3,%4;":"=r"(r):"r"(x),"r"(y),"r"(z&31),"r"(7)); p[31]=r;
 asm("szext.wrap.s32 %0,%1,%2;":"=r"(r):"r"(x),"r"(y)); p[32]=r; asm("szext.clamp.u32 %0,%1,%2;":"=r"(r):"r"(x),"r"(y)); p[33]=r;
 asm("bmsk.clamp.b32 %0,%1,%2;":"=r"(r):"r"(x&63),"r"(y&63)); p[34]=r; asm("bmsk.wrap.b32 %0,%1,%2;":"=r"(r):"r"(x),"r"(y)); p[35]=r;
 asm("bfind.s32 %0,%1;":"=r"(r):"r"(x)); p[36]=r; asm("bfind.shiftamt.u32 %0,%1;":"=r"(r):"r"(x)); p[37]=r;
 asm("prmt.b32.f4e %0,%1,%2,%3;":"=r"(r):"r"(x),"r"(y),"r"(z)); p[38]=r; asm("prmt.b32.rc16 %0,%1,%2,%3;":"=r"(r):"r"(x),"r"(y),"r"(z)); p[39]=r;
 asm("shf.l.wrap.b32 %0,%1,%2,%3;":"=r"(r):"r"(x),"r"(y),"r"(z)); p[40]=r;  p[41]=__vmaxs4(x,y); p[42]=(x>5)+(y>3)*2+(z>1)*4;
 asm("lop3.b32 %0,%1,%2,%3,0x6a;":"=r"(r):"r"(x),"r"(y),"r"(z)); p[43]=r; p[44]=(short)x; p[45]=(signed char)y; p[46]=(u8)z; p[47]=min(min(x,y),z);
}
extern "C" __global__ void int64(const s64*a,const s64*b,s64*o){
 int i=T; s64 x=a[i],y=b[i]; u64 ux=x,uy=y; s64*p=o+i*24;
 p[0]=x+y; p[1]=x-y; p[2]=x*y; p[3]=__mul64hi(x,y); p[4]=__umul64hi(ux,uy); p[5]=x<<(y&63); p[6]=x>>(y&63); p[7]=ux>>(uy&63);
 p[8]=x<y; p[9]=ux<uy; p[10]=x/(y|1); p[11]=ux%(uy|1); p[12]=__popcll(x); p[13]=__clzll(x); p[14]=__brevll(x); p[15]=min(x,y); p[16]=max(ux,uy);
 p[17]=x==y?1:(x>y?2:3); p[18]=(s64)(int)x*(int)y; p[19]=(u64)(u32)x*(u32)y+uy; p[20]=x&y; p[21]=-x; p[22]=llabs(x); p[23]=__ffsll(x);
}
extern "C" __global__ void vote_match(const int*a,int*o){
 int i=T; int x=a[i]; int*p=o+i*16; 
 p[0]=__ballot_sync(~0u,x>0); p[1]=__any_sync(~0u,x>5); p[2]=__all_sync(~0u,x>-100); unsigned pr; asm volatile("{.reg .pred p,q; setp.gt.s32 p,%1,0; vote.sync.uni.pred q,p,-1; selp.u32 %0,1,0,q;}":"=r"(pr):"r"(x)); p[3]=pr;
 p[4]=__match_any_sync(~0u,x); int pp; p[5]=__match_all_sync(~0u,x,&pp); p[6]=pp; p[7]=__match_any_sync(~0u,(u64)x<<20);
 p[8]=__reduce_add_sync(~0u,x); p[9]=__reduce_min_sync(~0u,x); p[10]=__reduce_max_sync(~0u,(u32)x); p[11]=__reduce_and_sync(~0u,x); p[12]=__reduce_or_sync(~0u,x); p[13]=__reduce_xor_sync(~0u,x); p[14]=__activemask(); 
 p[15]=__match_all_sync(~0u,(u64)x,&pp);
}
extern "C" __global__ void shuffles(const int*a,const int*b,int*o){
 int i=T; int x=a[i],y=b[i]; int*p=o+i*12;
 p[0]=__shfl_sync(~0u,x,3); p[1]=__shfl_up_sync(~0u,x,2); p[2]=__shfl_down_sync(~0u,x,5); p[3]=__shfl_xor_sync(~0u,x,16);
 p[4]=__shfl_sync(~0u,x,y); p[5]=__shfl_up_sync(~0u,x,y&31); p[6]=__shfl_down_sync(~0u,x,y&31,8); p[7]=__shfl_xor_sync(~0u,x,y&31,16);
 int r,q; asm volatile("{.reg .pred p; shfl.sync.idx.b32 %0|p,%2,%3,%4,-1; selp.s32 %1,1,0,p;}":"=r"(r),"=r"(q):"r"(x),"r"(y),"r"(b[0])); p[8]=r;p[9]=q;
 asm volatile("{.reg .pred p; shfl.sync.down.b32 %0|p,%2,7,%3,-1; selp.s32 %1,1,0,p;}":"=r"(r),"=r"(q):"r"(x),"r"(b[1])); p[10]=r;p[11]=q;
}
extern "C" __global__ void divergent(const int*a,int*o,int n){
 int i=T; if(i>=n) return; int x=a[i]; int s=0;
 for(int k=0;k<(x&15);k++){ if((k^x)&1){ s+=k*x; if(s>5000) break; } else { s^=k<<3; if((x&64)&&k==7) continue; s+=1; } }
 switch(x&7){case 0:s+=11;break;case 1:s*=3;break;case 2:s-=x;break;case 3:s^=0x55;break;case 4:s=s*s;break;case 5:s|=x;break;case 6:s&=x;break;default:s=~s;}
 if(x&32){ s+=__popc(__activemask()); if(x&16) s+=__shfl_xor_sync(__activemask(),s,0); }
 o[i]=s;
}
extern "C" __global__ void collectives(const int*a,int*o,int n){
 int i=T; int x=a[i]; int r=0;
 for(int k=0;k<n;k++){ if((x>>k)&1){ unsigned m=__match_any_sync(__activemask(),x&3); r+=__reduce_add_sync(m,x)+__shfl_sync(m,x,__ffs(m)-1); __syncwarp(m);} else r^=__ballot_sync(__activemask(),x&2); __syncwarp(); }
 o[i]=r;
}
