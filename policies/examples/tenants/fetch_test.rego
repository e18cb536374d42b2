package mcp.fetch_test

import data.mcp.fetch

request(tenant, scheme, host) := {
	"operation": "fetch",
	"url": sprintf("%s://%s/", [scheme, host]),
	"method": "GET",
	"headers": {},
	"url_parsed": {"scheme": scheme, "host": host, "port": 443, "path": "/", "query": ""},
	"tenant": tenant,
	"session": null,
}

test_a_tenant_asks_its_own_hosts if {
	fetch.allow with input as request("acme", "https", "api.acme.example")
	fetch.allow with input as request("acme", "https", "img.cdn.acme.example")
	fetch.allow with input as request("local", "https", "a.b.example.com")
}

test_a_tenant_asks_no_other_hosts if {
	not fetch.allow with input as request("local", "https", "api.acme.example")
	not fetch.allow with input as request("acme", "https", "a.example.com")
	not fetch.allow with input as request("acme", "https", "a.b.cdn.acme.example")
}

test_an_unknown_tenant_asks_nobody if {
	every tenant in ["other", "", "ACME"] {
		not fetch.allow with input as request(tenant, "https", "api.acme.example")
	}
}

test_hosts_are_asked_over_https_only if {
	not fetch.allow with input as request("acme", "http", "api.acme.example")
}

test_an_internal_network_is_open_to_its_tenant if {
	fetch.allow with input as request("acme", "http", "10.20.3.4")
	fetch.allow_private with input as request("acme", "http", "10.20.3.4")
	not fetch.allow with input as request("local", "http", "10.20.3.4")
	not fetch.allow_private with input as request("local", "http", "10.20.3.4")
	not fetch.allow with input as request("acme", "http", "10.21.0.1")
}

test_a_host_opens_no_private_address if {
	not fetch.allow_private with input as request("acme", "https", "api.acme.example")
}
