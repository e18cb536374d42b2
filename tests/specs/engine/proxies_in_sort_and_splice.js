// expect: completed "1,2,3|9,9|4,3|TypeError"
// Traps run in the middle of the array's own methods, and change what these are about.
const target = [3, 1, 2];
const sorting = new Proxy(target, {
  get(t, k, r) { if (k === "0") t.length = 3; return Reflect.get(t, k, r); },
  set(t, k, v, r) { t.extra = k; return Reflect.set(t, k, v, r); },
});
const sorted = [...Array.prototype.sort.call(sorting, (a, b) => { target.push(0); target.length = 3; return a - b; })];
const victim = [1, 2, 3, 4, 5];
class Species extends Array {
  static get [Symbol.species]() { return function () { victim.length = 1; return [9, 9, 9]; }; }
}
Object.setPrototypeOf(victim, Species.prototype);
const taken = victim.splice(1, 2);
const holder = { length: 2, 0: 4, 1: 3 };
const spliced = Array.prototype.concat.call([], new Proxy([4, 3], { has: (t, k) => k in t }));
const revocable = Proxy.revocable([1, 2, 3], { get(t, k) { if (k === "length") revocable.revoke(); return t[k]; } });
let last = "none";
try { Array.prototype.reverse.call(revocable.proxy); } catch (error) { last = error.constructor.name; }
[sorted.join(","), taken.join(","), spliced.join(","), last].join("|")
