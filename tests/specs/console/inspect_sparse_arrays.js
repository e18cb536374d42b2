// expect: completed "undefined"
// output: "[ <1 empty item>, 1, <2 empty items>, 2, <1 empty item> ] [ <3 empty items> ] [ undefined, <1 empty item>, null ]\n"
// output: "[ 1, <4 empty items>, 2, extra: true, \"-1\": \"neg\" ]\n"
console.log([, 1, , , 2, ,], new Array(3), [undefined, , null]); const a = [1]; a[5] = 2; a.extra = true; a[-1] = "neg"
console.log(a)
