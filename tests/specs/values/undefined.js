// expect: completed "undefined"
// preview: "undefined"
void 0
