// expect: completed "2"
{ 1; { 2 } }
