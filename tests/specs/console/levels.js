// expect: completed "undefined"
// output: "a { b: 1 }\n"
// output: "[INFO] i\n"
// output: "[WARN] w\n"
// output: "[ERROR] e\n"
// output: "d\n"
console.log("a", {b: 1}); console.info("i"); console.warn("w"); console.error("e"); console.debug("d")
