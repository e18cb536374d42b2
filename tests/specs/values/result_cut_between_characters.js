// expect: completed 1048575 bytes
// truncated: result
// Three bytes each: 1 MiB is in the middle of one.
"€".repeat(2 ** 19)
