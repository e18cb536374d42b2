// expect: completed "true"
// output: "abort AbortError\n"
const c = new AbortController(); c.signal.onabort = e => console.log(e.type, c.signal.reason.name); c.abort(); c.abort("again"); c.signal.aborted
