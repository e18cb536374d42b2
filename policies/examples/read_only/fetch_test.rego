package mcp.fetch_test

import data.mcp.fetch

request(method, path, headers) := {
	"operation": "fetch",
	"url": sprintf("https://api.example.com%s", [path]),
	"method": method,
	"headers": headers,
	"url_parsed": {"scheme": "https", "host": "api.example.com", "port": 443, "path": path, "query": ""},
	"tenant": "local",
	"session": null,
}

test_items_and_users_are_read if {
	every path in ["/v1/items", "/v1/items/", "/v1/items/a-1", "/v1/users/7/items"] {
		fetch.allow with input as request("GET", path, {"accept": "application/json"})
		fetch.allow with input as request("HEAD", path, {})
	}
}

test_nothing_is_written if {
	every method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
		not fetch.allow with input as request(method, "/v1/items", {})
	}
}

test_nothing_else_is_read if {
	every path in ["/", "/v2/items", "/v1/admin", "/v1/items/../admin", "/v1/items/%2e%2e/admin", "/x/v1/items"] {
		not fetch.allow with input as request("GET", path, {})
	}
}

test_a_token_of_the_script_is_denied if {
	not fetch.allow with input as request("GET", "/v1/items", {"authorization": "Bearer x"})
}

test_another_method_in_a_header_is_denied if {
	every name in ["x-http-method", "x-http-method-override", "x-method-override"] {
		every value in ["DELETE", "get", "", false] {
			not fetch.allow with input as request("GET", "/v1/items", {name: value})
		}
	}
}
