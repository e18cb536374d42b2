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
}

# A path as it is sent: %2e and %2f would be read differently elsewhere.
is_readable(path) if {
	regex.match(`^/v1/(items|users)(/[A-Za-z0-9_-]+)*/?$`, path)
}
