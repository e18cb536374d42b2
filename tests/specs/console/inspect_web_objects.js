// expect: completed "undefined"
// output: "URL {\n"
// output: "  href: \"https://u@h.example:8080/p?q=1#f\",\n"
// output: "  origin: \"https://h.example:8080\",\n"
// output: "  protocol: \"https:\",\n"
// output: "  username: \"u\",\n"
// output: "  password: \"\",\n"
// output: "  host: \"h.example:8080\",\n"
// output: "  hostname: \"h.example\",\n"
// output: "  port: \"8080\",\n"
// output: "  pathname: \"/p\",\n"
// output: "  hash: \"#f\",\n"
// output: "  search: \"?q=1\"\n"
// output: "}\n"
// output: "URLSearchParams { \"a\" => \"1\", \"b\" => \"2\" }\n"
// output: "TextEncoder { encoding: \"utf-8\" } TextDecoder { encoding: \"utf-8\", fatal: false, ignoreBOM: false }\n"
// output: "Blob { size: 3, type: \"a/b\" } File { name: \"n\", size: 1, type: \"\" }\n"
console.log(new URL("https://u@h.example:8080/p?q=1#f"))
console.log(new URLSearchParams("a=1&b=2"))
console.log(new TextEncoder(), new TextDecoder())
console.log(new Blob(["abc"], { type: "a/b" }), new File(["x"], "n", { lastModified: 5 }))
