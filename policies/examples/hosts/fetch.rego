# A list of hosts, each with the methods that it may be asked with. Only https, only its usual port.
package mcp.fetch

default allow := false

methods := {
	"api.example.com": {"GET", "HEAD", "POST"},
	"static.example.com": {"GET", "HEAD"},
}

# Hosts beneath these domains, and the domains themselves, may be read from.
domains := {"docs.example.org"}

allow if {
	is_plain_https
	input.method in methods[input.url_parsed.host]
}

allow if {
	is_plain_https
	input.method in {"GET", "HEAD"}
	some domain in domains
	is_beneath(input.url_parsed.host, domain)
}

is_plain_https if {
	input.operation == "fetch"
	input.url_parsed.scheme == "https"
	input.url_parsed.port == 443
}

is_beneath(host, domain) if host == domain

is_beneath(host, domain) if endswith(host, concat("", [".", domain]))
