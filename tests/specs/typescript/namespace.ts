// expect: completed "2"
namespace Outer { export const x = 1; export namespace Inner { export function f() { return x + 1 } } } Outer.Inner.f()
