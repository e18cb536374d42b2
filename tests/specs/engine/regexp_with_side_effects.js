// expect: completed "b|0|abc|TypeError|a1"
// Replacement, lastIndex and exec belong to the script, which changes the expression from there.
const outcome = (f) => { try { return String(f()); } catch (error) { return error.constructor.name; } };
const results = [];
const changing = /a/g;
results.push("ab".replace(changing, () => { changing.compile("b", "g"); changing.lastIndex = 9; return ""; }));
const index = /x/y;
index.lastIndex = { valueOf() { index.compile("y", "y"); return 0; } };
results.push(outcome(() => Number(index.test("x"))));
const hot = /(.)(.)(.)/;
let text = "";
for (let i = 0; i < 20000; i++) text = "abc".replace(hot, "$1$2$3");
results.push(text);
const own = /a/g;
own.exec = () => { own.lastIndex = 2 ** 53; return 7; };
results.push(outcome(() => "aaa".replace(own, "b")));
const once = /a/g;
let calls = 0;
once.exec = function () { return calls++ ? null : { index: 2 ** 31, length: 1, 0: "a", get groups() { once.exec = null; return undefined; } }; };
results.push(outcome(() => "a".replace(once, "1")));
results.join("|")
