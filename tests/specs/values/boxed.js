// expect: completed "1,s,true"
[Object(1), Object("s"), Object(true)].join()
