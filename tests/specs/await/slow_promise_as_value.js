// expect: completed "after"
new Promise(resolve => setTimeout(resolve, 20, "after"))
