// expect: completed "1,2,A,B"
enum E { A = 1 } enum E { B = A + 1 } Object.keys(E).join()
