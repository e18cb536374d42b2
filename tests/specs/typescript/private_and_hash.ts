// expect: completed "6"
class A { private x = 1; #y = 2; get z(): number { return this.x + this.#y } set z(v: number) { this.#y = v } } const a = new A(); a.z = 5; a.z
