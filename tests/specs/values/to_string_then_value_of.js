// expect: completed "5"
({ toString() { return {} }, valueOf() { return 5 } })
