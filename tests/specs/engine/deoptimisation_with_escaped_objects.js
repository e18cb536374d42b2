// expect: completed "3,3,3,1|0.5,1,x"
// Objects that a compiler had taken apart are put together again in the middle of a function.
function pair(a, b, odd) {
  const object = { a, b, list: [a, b] };
  const inner = () => object.list.length;
  if (odd) { const seen = arguments; object.a = odd(object, seen); }
  return [object.a, object.b, inner(), arguments.length - 2];
}
for (let i = 0; i < 30000; i++) pair(1, 2, null);
const grown = pair(1, 3, (object) => { object.list.push(3); return object.list.length; });
function loop(n, change) {
  let x = 0.5, y = 1;
  for (let i = 0; i < n; i++) { if (i === change) y = "x"; else if (typeof y === "number") y = y + 0; }
  return [x, 1, y];
}
for (let i = 0; i < 2000; i++) loop(50, -1);
`${grown.join(",")}|${loop(1e5, 99999).join(",")}`
