// expect: completed "measured"
// output: "[WARN] Timer 'nothing' does not exist\n"
// output: "[WARN] Timer 't' already exists\n"
const lines = [];
console.time(); console.time("t");
console.timeEnd("nothing");
console.time("t");
"measured"
