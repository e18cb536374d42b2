// expect: completed "undefinedundefinedundefined"
declare const missing: number; declare function f(): void; declare class D { x: number } declare module "m" { export const q: 1 } declare global { interface Window { z: 1 } }
typeof missing + typeof f + typeof D
