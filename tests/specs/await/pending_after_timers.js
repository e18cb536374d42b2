// expect: failed nothing_left_to_wait_for
// output: "timer\n"
setTimeout(() => console.log("timer"), 5); await new Promise(() => {})
