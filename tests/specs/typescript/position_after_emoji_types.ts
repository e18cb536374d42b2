// expect: failed exception
// error: "Error: t"
// error: "<anonymous>:5:33"
// Columns count UTF-16 units of the source, also behind a blanked type.
const p: "😀é€" = "😀é€"; throw new Error("t")
