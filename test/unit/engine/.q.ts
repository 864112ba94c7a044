import {records,freshState,tinyEngine} from "./support.ts";
const e=await tinyEngine({device:process.argv[2]!}); try{ await records(e,freshState(),1);}catch(x){console.log(x)} await e.close();
