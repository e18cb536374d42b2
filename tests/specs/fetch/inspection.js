// expect: completed "undefined"
// output: "Headers { a: \"1\" }\n"
// output: "FormData [ { name: \"x\", value: \"y\" } ]\n"
// output: "Response {\n  bodyUsed: false,\n  headers: Headers { \"content-type\": \"text/plain;charset=UTF-8\" },\n  ok: true,\n  redirected: false,\n  status: 200,\n  statusText: \"\",\n  url: \"\"\n}\n"
// output: "Request {\n  bodyUsed: false,\n  headers: Headers {},\n  method: \"GET\",\n  redirect: \"follow\",\n  url: \"http://a/\"\n}\n"
// grants: fetch
const f = new FormData(); f.append("x", "y");
console.log(new Headers({ A: "1" })); console.log(f); console.log(new Response("x")); console.log(new Request("http://a"));
