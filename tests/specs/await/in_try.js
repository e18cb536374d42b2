// expect: completed "caught"
try { await Promise.reject(new Error("caught")) } catch (e) { e.message } finally { await null }
