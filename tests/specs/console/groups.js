// expect: completed "undefined"
// output: "outer\n"
// output: "  in\n"
// output: "[WARN]     deeper\n"
// output: "  back\n"
// output: "out\n"
// The prefix comes first, then the indentation of the open groups.
console.group("outer");
console.log("in");
console.group();
console.warn("deeper");
console.groupEnd();
console.log("back");
console.groupEnd();
console.groupEnd();
console.log("out");
