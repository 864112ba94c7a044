#!/usr/bin/env node
import { launch } from "../src/launch.js";

await launch("pathweave-bootstrap", "bootstrap", () => import("./pathweave-bootstrap.ts"));
