// expect: failed exception
// error: "RangeError: Maximum BigInt size exceeded"
// error: "<anonymous>:4:4"
2n ** (2n ** 30n + 5n)
