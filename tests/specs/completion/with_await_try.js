// expect: completed "2"
try { await Promise.reject(1) } catch (e) { e + 1 }
