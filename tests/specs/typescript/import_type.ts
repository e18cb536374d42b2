// expect: completed "3"
// Types only: nothing is imported.
import type { A } from "./a.ts";
let x: A | number = 3; x
