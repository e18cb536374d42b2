// expect: failed exception
// error: "it went through"
try { structuredClone({ get a() { throw new TypeError("mine") } }) } catch (e) { if (e instanceof TypeError) throw new Error("it went through") }
