// expect: completed "2000"
let n = 0; for (let i = 0; i < 2000; i++) setTimeout(() => { n++ }, i % 7); await new Promise(r => setTimeout(r, 50)); n
