// expect: completed "a=1+%2B&b=3 2 3 false"
const p = new URLSearchParams([["b", "2"], ["a", "1 +"], ["b", "3"]]); p.sort(); p.delete("b", "2"); [p, p.size, p.getAll("b"), p.has("a", "x")].join(" ")
