// expect: completed "2"
enum E { A } for (const x of [1, 2]) { x + E.A }
