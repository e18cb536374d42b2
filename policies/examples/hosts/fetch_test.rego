package mcp.fetch_test

import data.mcp.fetch

request(method, scheme, host, port) := {
	"operation": "fetch",
	"url": sprintf("%s://%s/v1/items", [scheme, host]),
	"method": method,
	"headers": {},
	"url_parsed": {"scheme": scheme, "host": host, "port": port, "path": "/v1/items", "query": ""},
	"tenant": "local",
	"session": null,
}

https(method, host) := request(method, "https", host, 443)

test_a_host_is_asked_with_its_methods if {
	every method in ["GET", "HEAD", "POST"] {
		fetch.allow with input as https(method, "api.example.com")
	}
}

test_no_other_method_is_allowed if {
	every method in ["PUT", "DELETE", "get", ""] {
		not fetch.allow with input as https(method, "api.example.com")
	}
	not fetch.allow with input as https("POST", "static.example.com")
}

test_no_other_host_is_allowed if {
	every host in ["example.com", "evil.test", "api.example.com.evil.test", "xapi.example.com", ""] {
		not fetch.allow with input as https("GET", host)
	}
}

test_a_domain_is_read_with_all_beneath_it if {
	every host in ["docs.example.org", "v1.docs.example.org", "a.b.docs.example.org"] {
		fetch.allow with input as https("GET", host)
	}
	not fetch.allow with input as https("POST", "v1.docs.example.org")
	not fetch.allow with input as https("GET", "notdocs.example.org")
}

test_only_https_on_its_port if {
	not fetch.allow with input as request("GET", "http", "api.example.com", 80)
	not fetch.allow with input as request("GET", "http", "api.example.com", 443)
	not fetch.allow with input as request("GET", "https", "api.example.com", 8443)
}

test_an_empty_input_is_denied if not fetch.allow with input as {}
