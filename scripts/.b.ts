import { createEngine } from "../src/engine/engine.ts";
import { modelShape, initialParameters, elementsOfPath } from "../src/model/parameters.ts";
const cfgs:any={full:[{vocabulary:4096,sequenceLength:256,width:256,blocks:6,heads:4,ropeTheta:1e4,normEpsilon:1e-5},8],demo:[{vocabulary:2048,sequenceLength:128,width:128,blocks:4,heads:4,ropeTheta:1e4,normEpsilon:1e-5},16]};
const [c,B]=cfgs[process.argv[2]??'full']; const threads=+(process.argv[3]??2), steps=+(process.argv[4]??8);
const shape=modelShape(c); const T=shape.sequenceLength,n=elementsOfPath(shape);
function* batches(){ for(;;){ const tokens=Int32Array.from({length:B*(T+1)},()=>Math.random()*shape.vocabulary|0); yield {tokens,mask:new Float32Array(B*T).fill(1)}; } }
const e = await createEngine({shape,batchSize:B,kind:"compiled",device:process.env.DEV??"cpu",threads});
const st={parameters:initialParameters(shape,1),firstMoment:new Float32Array(n),secondMoment:new Float32Array(n),step:0};
const ms:number[]=[];
for await (const r of e.train(st,batches(),{firstStep:0,steps,learningRate:()=>1e-3,optimizer:{beta1:.9,beta2:.95,epsilon:1e-8,weightDecay:.1,clipNorm:1}})) {ms.push(r.milliseconds);console.log(r.step,r.loss.toFixed(5),r.gradientNorm.toFixed(4),r.milliseconds.toFixed(0));}
const best=Math.min(...ms.slice(1)); const pm=shape.blocks*(4*shape.width**2+3*shape.width*shape.hidden)+shape.vocabulary*shape.width;
const fl=6*pm*B*T+12*shape.blocks*T*shape.width*B*T;
const cu=process.cpuUsage();console.log('cpu s',((cu.user+cu.system)/1e6).toFixed(2),'best ms',best,'tok/s',(B*T/best*1e3).toFixed(0),'GFLOP/s',(fl/best/1e6).toFixed(1),'rss',process.memoryUsage().rss/1e6|0);
await e.close();
