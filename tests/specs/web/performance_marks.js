// expect: completed "true,1"
performance.mark("a"); performance.mark("b"); const m = performance.measure("m", "a", "b"); [m.duration >= 0, performance.getEntriesByName("m").length].join()
