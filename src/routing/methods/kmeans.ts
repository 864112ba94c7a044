import { createRouter, decodeRouter } from "../router.ts";
import type { RoutingMethod } from "./types.ts";

/** The nearest of P centroids (paper section 2.4.1), which `create` fits (`src/routing/kmeans.ts`). */
export const kmeans: RoutingMethod = {
  work: [],
  route: (object) => createRouter(decodeRouter(object)),
};
