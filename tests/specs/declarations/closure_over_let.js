// expect: completed "0,1,2"
const fs = []; for (let i = 0; i < 3; i++) fs.push(() => i); fs.map(f => f()).join()
