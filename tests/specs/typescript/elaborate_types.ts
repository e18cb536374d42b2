// expect: completed "1"
type Path<T> = T extends `${infer H}.${infer R}` ? [H, ...Path<R>] : [T];
type Mapped<T> = { readonly [K in keyof T as `get${Capitalize<K & string>}`]-?: () => T[K] };
type Fn = new (...args: any[]) => abstract new () => object;
type Tuple = [name: string, age?: number, ...rest: boolean[]];
declare const u: unique symbol;
let o = { a: 1 }, k: keyof typeof o = "a", imported: import("fs").Stats | undefined;
o[k]
