// expect: failed exception
// error: "TypeError: Failed to execute 'setTimeout': 1 argument required, but only 0 present"
// error: "<anonymous>:4:1"
setTimeout()
