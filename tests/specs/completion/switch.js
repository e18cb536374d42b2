// expect: completed "four"
switch (3) { case 3: "three"; case 4: "four"; break; default: "no" }
