// expect: failed exception
// output: "before\n"
// error: "stop"
setTimeout(() => console.log("before"), 1);
setTimeout(() => { throw "stop" }, 5);
setTimeout(() => console.log("after"), 30);
