// expect: completed "14,0,RuntimeError,RangeError,7"
// tiers: jit baseline
// A memory grows while code that has its old size at hand reads and writes it.
const memory = new WebAssembly.Memory({ initial: 1, maximum: 3 });
let before = new Uint8Array(memory.buffer);
before[5] = 7;
// (import "m" "g" (func)) (import "m" "m" (memory 1 3)) (func (export "f") (param i32) (result i32)
//   local.get 0  i32.load8_u  call 0  local.get 0  i32.load8_u  i32.add)
const bytes = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 9, 2, 96, 0, 0, 96, 1, 127, 1, 127, 2, 15, 2, 1, 109, 1, 103, 0, 0, 1, 109, 1, 109,
  2, 1, 1, 3, 3, 2, 1, 1, 7, 5, 1, 1, 102, 0, 1, 10, 17, 1, 15, 0, 32, 0, 45, 0, 0, 16, 0, 32, 0, 45, 0, 0, 106, 11,
]);
let grow = false;
const imports = { m: { m: memory, g() { if (grow) { memory.grow(1); grow = false; } } } };
const { f } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports;
for (let i = 0; i < 30000; i++) f(4);
grow = true;
const sum = f(5);
const outcome = (run) => { try { return String(run()); } catch (error) { return error.constructor.name; } };
const beyond = outcome(() => f(131072));
const into = new Uint8Array(memory.buffer);
into.set({ length: 1, get 0() { memory.grow(1); return 9; } });
const stays = new Uint8Array(memory.buffer)[5];
`${sum},${before.length},${beyond},${outcome(() => memory.grow(9))},${stays}`
