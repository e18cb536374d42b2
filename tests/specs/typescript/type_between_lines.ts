// expect: completed "1"
// A declaration of a type ends the statement before it.
let x = 1
interface Between { a: string }
(x)
