// expect: completed "1,2,3,,,,x"
// preview: "[ 1, [ 2, 3 ], <1 empty item>, null, undefined, \"x\" ]"
[1, [2, 3], , null, undefined, "x"]
