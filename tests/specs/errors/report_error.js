// expect: failed exception
// output: "goes on\n"
// error: "Error: reported"
reportError(new Error("reported")); console.log("goes on")
