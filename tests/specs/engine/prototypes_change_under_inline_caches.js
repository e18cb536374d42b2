// expect: completed "1,2,3,own,TypeError"
// What hot code has remembered of prototypes is changed behind its back.
class Base { get value() { return 1; } }
class Child extends Base {}
function read(o) { return o.value; }
const child = new Child();
for (let i = 0; i < 30000; i++) read(child);
const results = [read(child)];
Object.defineProperty(Base.prototype, "value", { get() { return 2; }, configurable: true });
results.push(read(child));
Object.setPrototypeOf(Child.prototype, { value: 3 });
results.push(read(child));
Object.defineProperty(child, "value", { value: "own" });
results.push(read(child));
Object.setPrototypeOf(child, null);
function call(o) { return o.method(); }
const callee = { method: () => 1 };
for (let i = 0; i < 30000; i++) call(callee);
callee.method = 7;
try { call(callee); } catch (error) { results.push(error.constructor.name); }
results.join(",")
