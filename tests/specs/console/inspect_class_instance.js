// expect: completed "undefined"
// output: "Point { x: 1, y: { z: 2 } } [ Point { x: 1, y: { z: 2 } } ]\n"
// output: "Sub { x: 1, y: { z: 2 } }\n"
class Point { constructor() { this.x = 1; this.y = { z: 2 } } get sum() { return 3 } static s = 1; #hidden = 5 } console.log(new Point(), [new Point()]); class Sub extends Point {} console.log(new Sub())
