// expect: completed ""
const names = ["Deno", "process", "require", "module", "exports", "__dirname", "__filename", "Buffer", "__bootstrap", "primordials", "core", "ops",
  "internalBinding", "load", "print", "read", "quit", "Worker", "XMLHttpRequest", "WebSocket", "importScripts", "localStorage", "gc",
  "$_", "$0", "$$", "$x", "keys", "values", "inspect", "copy", "dir", "monitorEvents", "getEventListeners", "debug", "queryObjects", "profile", "clear", "table"];
names.filter(n => { try { return (0, eval)("typeof " + n) !== "undefined" } catch { return true } }).join()
