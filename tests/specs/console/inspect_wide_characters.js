// expect: completed "undefined"
// output: "[ \"日本\", \"語語語語語語語語語語\", \"😀\", \"é\" ] { \"日\": 1 }\n"
// output: "[\n"
// output: "  \"日本語\", \"中文字\",\n"
// output: "  \"한국어\", \"a\",\n"
// output: "  \"bb\",     \"ccc\",\n"
// output: "  \"dddd\",   \"日\"\n"
// output: "]\n"
console.log(["日本", "語".repeat(10), "😀", "é"], { 日: 1 })
console.log(["日本語", "中文字", "한국어", "a", "bb", "ccc", "dddd", "日"])
