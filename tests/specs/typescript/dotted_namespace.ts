// expect: completed "deep"
namespace A.B.C { export let v = "deep" } A.B.C.v
