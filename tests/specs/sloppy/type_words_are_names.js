// expect: completed "45"
var type = 1, declare = 2, namespace = 3, abstract = 4, as = 5, satisfies = 6, of = 7, async = 8, get = 9;
type + declare + namespace + abstract + as + satisfies + of + async + get
