// expect: failed syntax
// error: "SyntaxError"
// grants: fetch
new Response("x").#record
