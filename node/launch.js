#!/usr/bin/env node
import { launch } from "../src/launch.js";

await launch("pathweave", "pathweave", () => import("./pathweave.ts"));
