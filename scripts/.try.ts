import { createEngine } from "../src/engine/engine.ts";
import { modelShape, initialParameters, elementsOfPath } from "../src/model/parameters.ts";
const shape = modelShape({vocabulary:64,sequenceLength:16,width:32,blocks:2,heads:2,ropeTheta:1e4,normEpsilon:1e-5});
const B=3;
function* batches(){ let s=1; const r=()=>{s=(s*1103515245+12345)&0x7fffffff; return s>>>8;}; for(;;){ const tokens=Int32Array.from({length:B*17},()=>r()%64); yield {tokens,mask:Float32Array.from({length:B*16},()=>r()%4===0?0:1)}; } }
for (const [kind,device] of [["eager","cpu"],["compiled","cpu"]] as const){
 const e = await createEngine({shape,batchSize:B,kind,device,threads:2,stepsPerCall:2});
 const n=elementsOfPath(shape);
 const st={parameters:initialParameters(shape,1),firstMoment:new Float32Array(n),secondMoment:new Float32Array(n),step:0};
 for await (const r of e.train(st,batches(),{firstStep:0,steps:7,learningRate:()=>1e-2,optimizer:{beta1:.9,beta2:.95,epsilon:1e-8,weightDecay:.1,clipNorm:.5}})) console.log(e.name,r.step,r.loss,r.gradientNorm,r.milliseconds);
 console.log(st.step, st.parameters.slice(0,3));
 const b=batches().next().value!; console.log(await e.score(st.parameters,b), (await e.logits(st.parameters,b.tokens.slice(0,32),Int32Array.of(3,15))).slice(62,66), (await e.features(st.parameters,b.tokens.slice(0,16),Int32Array.of(3))).slice(0,3));
 await e.close();
}
