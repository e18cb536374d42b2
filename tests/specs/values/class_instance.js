// expect: completed "[object Object]"
// preview: "Point { x: 1 }"
class Point { constructor() { this.x = 1 } } new Point()
