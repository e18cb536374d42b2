# One API, read only: GET beneath a path, of one version, by nobody who sends a token of their own.
package mcp.fetch

default allow := false

allow if {
	input.operation == "fetch"
	input.method in {"GET", "HEAD"}
	input.url_parsed.scheme == "https"
	input.url_parsed.host == "api.example.com"
	is_readable(input.url_parsed.path)
	not input.headers.authorization
	not is_overridden
}

# Some servers do what such a header says, whatever the method is.
is_overridden if {
	some header in ["x-http-method", "x-http-method-override", "x-method-override"]
	_ = input.headers[header]
}

# A path as it is sent: %2e and %2f would be read differently elsewhere.
is_readable(path) if {
	regex.match(`^/v1/(items|users)(/[A-Za-z0-9_-]+)*/?$`, path)
}
