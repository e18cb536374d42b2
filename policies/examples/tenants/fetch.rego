# What each tenant may ask, from data.json: hosts, and whether an internal network is open to it.
package mcp.fetch

default allow := false

default allow_private := false

grants := data.tenants[input.tenant]

allow if {
	input.operation == "fetch"
	some pattern in grants.hosts
	glob.match(pattern, ["."], input.url_parsed.host)
	is_encrypted
}

is_encrypted if input.url_parsed.scheme == "https"

# The internal network has no certificates.
is_encrypted if is_internal

# A host that is a name is none of these: what it leads to is looked up later.
is_internal if {
	regex.match(`^[0-9.]+$`, input.url_parsed.host)
	some network in grants.networks
	net.cidr_contains(network, input.url_parsed.host)
}

allow if {
	input.operation == "fetch"
	is_internal
}

allow_private if is_internal
