// expect: completed "area 9"
abstract class Shape { abstract area(): number; describe(): string { return `area ${this.area()}` } }
class Square extends Shape { constructor(private readonly side: number) { super() } override area() { return this.side ** 2 } }
new Square(3).describe()
