// expect: completed "two"
switch (await 2) { case await 1: "one"; break; case await 2: "two"; break }
