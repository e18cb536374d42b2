// expect: completed "1,3 1,3 2 a-b 2 2,4 2 true true"
[Object.groupBy([1, 2, 3], x => x % 2 ? "odd" : "even").odd, [3, 1].toSorted(), [1, 2].at(-1), "aXb".replaceAll("X", "-"), new Set([1]).union(new Set([2])).size, Iterator.from([1, 2]).map(x => x * 2).toArray(), structuredClone(new Map([[1, 2]])).get(1), Promise.withResolvers !== undefined, Array.fromAsync !== undefined].join(" ")
