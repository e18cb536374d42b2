// expect: completed "set"
// output: "1\n"
// output: "2\n"
// output: "3\n"
for (const n of [1, 2, 3]) setTimeout(() => console.log(n), 5);
"set"
