// expect: completed "let x: number = 1 as any; interface A {}"
"let x: number = 1 as any; interface A {}" // : string
