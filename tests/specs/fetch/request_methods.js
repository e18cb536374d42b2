// expect: completed "GET,PUT,patch,PATCH,DELETE,chicken"
// grants: fetch
["get", "pUt", "patch", "PATCH", "delete", "chicken"].map((method) => new Request("http://a/", { method }).method).join()
