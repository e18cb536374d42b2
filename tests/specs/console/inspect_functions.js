// expect: completed "undefined"
// output: "[Function: f] [Function (anonymous)] [AsyncFunction (anonymous)] [GeneratorFunction: g] [AsyncGeneratorFunction: ag] [AsyncFunction: af] [Function: max]\n"
// output: "[Function: named] [ [Function: named] ] { named: [Function: named], m: [Function: m] } [Function: f] { prop: 1 } [Function (anonymous)]\n"
console.log(function f() {}, () => {}, async () => {}, function* g() {}, async function* ag() {}, async function af() {}, Math.max); const named = () => {}
console.log(named, [named], { named, m() {} }, Object.assign(function f() {}, { prop: 1 }), (() => () => {})())
