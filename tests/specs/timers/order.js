// expect: completed "undefined"
// output: "first\n"
// output: "10\n"
// output: "20\n"
// output: "30\n"
setTimeout(() => console.log("30"), 30);
setTimeout(() => console.log("10"), 10);
setTimeout(() => console.log("20"), 20);
console.log("first");
