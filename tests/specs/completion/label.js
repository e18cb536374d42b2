// expect: completed "1"
out: { 1; break out; 2 }
