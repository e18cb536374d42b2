// expect: completed "undefined"
namespace N { export const x = 1 }
