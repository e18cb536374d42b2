// expect: completed "aGn/,255,a"
[btoa("hi\xff"), atob(" aGn/ ").charCodeAt(2), atob("YQ")].join()
