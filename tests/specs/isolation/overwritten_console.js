// expect: completed "1"
// output: "[INFO] kept\n"
console.log = () => {}; console.log("lost"); console.info("kept"); 1
