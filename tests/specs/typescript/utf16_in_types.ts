// expect: completed "7"
type Greeting = "héllo😀"; const g: Greeting = "héllo😀"; g.length
