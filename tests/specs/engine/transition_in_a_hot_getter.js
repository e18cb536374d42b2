// expect: completed "1000,0,1"
// A hot function that reads a field, while a getter on the way changes the object's shape.
function Point(x) { this.x = x; }
let changes = 0;
const odd = {
  get next() {
    changes++;
    point.y = changes;
    if (changes % 3 === 0) delete point.y;
    if (changes % 7 === 0) point.x = { valueOf: () => 1 };
    return 1;
  },
};
let point = new Point(1);
function read(p, o) { const a = p.x; const b = o.next; return +a + b + +p.x; }
let wrong = 0;
for (let i = 0; i < 20000; i++) read(new Point(1), { next: 1 });
for (let i = 0; i < 1000; i++) {
  point = new Point(1);
  if (read(point, odd) !== 3) wrong++;
}
`${changes},${wrong},${+point.x}`
