// expect: completed "class A { x = 1; static #y }"
// preview: "[class A]"
(class A { x = 1; static #y })
