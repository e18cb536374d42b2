// expect: completed "1"
const b = setTimeout(() => console.log("never"), 20); setTimeout(() => clearTimeout(b), 1); 1
