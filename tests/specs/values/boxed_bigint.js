// expect: completed "5"
// preview: "[BigInt: 5n]"
Object(5n)
