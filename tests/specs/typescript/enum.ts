// expect: completed "0,Red,g,4,5,Next"
enum Color { Red, Green = "g", Blue = 1 << 2, Next } [Color.Red, Color[0], Color.Green, Color.Blue, Color.Next, Color[5]].join()
