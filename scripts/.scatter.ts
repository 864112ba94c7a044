import { GraphBuilder } from "../src/engine/graph.ts"; import {encodeModel} from "../src/engine/onnx.ts"; import {loadProgram,deviceTensor} from "../src/engine/runtime.ts";
for (const kind of ['nd','el','mm'])for(const mod of [3,3000]){
const N=2048,d=256,V=4096;
const g=new GraphBuilder(); g.input('i','int32',[N,1]); g.input('u','float32',[N,d]);
const z=g.node('Expand',[g.float(0),g.integers([V,d])]); const s=kind==='nd'?g.node('ScatterND',[z,g.node('Cast',['i'],{to:7}),'u'],{reduction:'add'}):kind==='el'?g.node('ScatterElements',[z,g.node('Expand',['i',g.integers([N,d])]),'u'],{axis:0,reduction:'add'}):
 g.node('FusedMatMul',[g.node('OneHot',[g.node('Reshape',[g.node('Cast',['i'],{to:7}),g.integers([-1])]),g.integers([V],[]),g.constant('float32',[2],new Uint8Array(Float32Array.of(0,1).buffer))],{axis:0}),'u'],{transA:0,transB:0,alpha:{float:1}}); g.output('o',s,'float32',[V,d]);
const p=await loadProgram(encodeModel(g.finish()),'cpu',2);
let best=1e9,bad=0;
for(let it=0;it<25;it++){const i=deviceTensor('int32',new Int32Array(N).map((_,i)=>i%mod),[N,1]),u=deviceTensor('float32',new Float32Array(N*d).fill(1),[N,d]);const t=performance.now();const r=await p.run({i,u}); best=Math.min(best,performance.now()-t);const o=r.o!.data as Float32Array;  for(let k=0;k<3;k++)for(let j=0;j<d;j++) if(o[k*d+j]!==Math.ceil((N-k)/mod)) bad++;}
console.log(kind,mod,'bad',bad,best.toFixed(2)+'ms');}
