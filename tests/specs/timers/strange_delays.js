// expect: completed "set"
// output: "ran\n"
// output: "ran\n"
// output: "ran\n"
// output: "ran\n"
// output: "ran\n"
// output: "ran\n"
for (const d of [-5, NaN, undefined, "2", {}, null]) setTimeout(() => console.log("ran"), d);
"set"
