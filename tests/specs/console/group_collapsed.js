// expect: completed "undefined"
// output: "g!\n"
// output: "  in\n"
console.groupCollapsed("%s!", "g"); console.log("in")
