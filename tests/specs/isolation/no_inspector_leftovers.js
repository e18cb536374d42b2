// expect: completed ""
["memory", "createTask", "context", "scopes", "indentLevel"].filter(n => n in console).join()
