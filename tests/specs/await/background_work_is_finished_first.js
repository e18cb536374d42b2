// expect: completed "1"
// output: "background\n"
(async () => { await new Promise(r => setTimeout(r, 10)); console.log("background") })(); 1
