// expect: failed exception
// error: "Error: inside"
// error: "<anonymous>:6:34"
// error: "<anonymous>:8:3"
namespace N {
  export const f = () => { throw new Error("inside") };
}
N.f();
