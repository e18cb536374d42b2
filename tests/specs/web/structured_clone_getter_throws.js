// expect: failed exception
// error: "RangeError: mine"
// What a getter throws goes through as it is.
structuredClone({ get a() { throw new RangeError("mine") } })
