// expect: completed "1"
try { 1 } finally { 2 }
