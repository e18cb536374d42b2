// expect: completed "[[\"a\",\"1, 3\"],[\"set-cookie\",\"x\"],[\"set-cookie\",\"y\"],[\"z\",\"2\"]]"
// grants: fetch
const h = new Headers([["Z", "2"], ["a", " 1\t"], ["Set-Cookie", "x"], ["A", "3"], ["set-cookie", "y"]]);
JSON.stringify([...h])
