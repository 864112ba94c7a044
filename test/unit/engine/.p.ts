import {records,freshState,tinyEngine,lossesOf,normsOf} from "./support.ts"; import { learningRateSchedule } from "../../../src/model/schedule.ts"; import {readFileSync} from "node:fs";
const g=JSON.parse(readFileSync("test/golden/engine/torch-losses.json","utf8"));
const learningRate = learningRateSchedule({ learningRate: 0.02, finalLearningRate: 0.1, warmupSteps: 5 },20);
for(const kind of ["compiled","eager"] as const){
const e=await tinyEngine({kind}); const a=await records(e,freshState(),20,{learningRate}); a.forEach((r,i)=>console.log(i,(r.loss-g.losses[i]).toExponential(2),(r.gradientNorm-g.gradientNorms[i]).toExponential(2),r.learningRate)); await e.close();}
