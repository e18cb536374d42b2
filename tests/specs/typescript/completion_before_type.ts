// expect: completed "42"
41 + 1;
type Late = string;
