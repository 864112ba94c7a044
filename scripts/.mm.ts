import { GraphBuilder } from "../src/engine/graph.ts"; import {encodeModel} from "../src/engine/onnx.ts"; import {loadProgram,deviceTensor} from "../src/engine/runtime.ts";
const th=+(process.argv[2]??2);
for(const [m,k,n,ta,tb] of [[2048,256,4096,0,1],[2048,256,256,0,1],[256,2048,256,1,0],[2048,256,688,0,1],[688,2048,256,1,0],[2048,4096,256,0,0],[4096,2048,256,1,0],[1024,1024,1024,0,0],[2048,2048,2048,0,0]]){
const g=new GraphBuilder(); g.input('a','float32',ta?[k,m]:[m,k]); g.input('b','float32',tb?[n,k]:[k,n]);
g.output('o',g.node('FusedMatMul',['a','b'],{transA:ta,transB:tb,alpha:{float:1}}),'float32',[m,n]);
const p=await loadProgram(encodeModel(g.finish()),'cpu',th); const A=deviceTensor('float32',new Float32Array(m*k).fill(1.1),ta?[k,m]:[m,k]),Bt=deviceTensor('float32',new Float32Array(k*n).fill(.3),tb?[n,k]:[k,n]);
let best=1e9; for(let i=0;i<12;i++){const t=performance.now(); await p.run({a:A,b:Bt}); best=Math.min(best,performance.now()-t);}
console.log(m,k,n,ta,tb,best.toFixed(2),'ms',(2*m*k*n/best/1e6).toFixed(1),'GF/s');}
