// expect: completed "1"
clearInterval(setTimeout(() => console.log("never"), 1)); clearTimeout(setInterval(() => console.log("never"), 1)); 1
