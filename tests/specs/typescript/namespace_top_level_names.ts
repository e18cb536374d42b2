// expect: completed "function,undefined"
enum E { A } let secret = 1; function f() {} [typeof globalThis.f, typeof (globalThis as any).secret].join()
