// expect: completed "undefined"
;
