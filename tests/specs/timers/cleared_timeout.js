// expect: completed "x"
const id = setTimeout(() => console.log("never"), 1); clearTimeout(id); "x"
