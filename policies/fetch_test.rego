package mcp.fetch_test

import data.mcp.fetch

request := {
	"operation": "fetch",
	"url": "https://api.example.com/",
	"method": "GET",
	"headers": {},
	"url_parsed": {"scheme": "https", "host": "api.example.com", "port": 443, "path": "/", "query": ""},
	"tenant": "local",
	"session": null,
}

test_nothing_is_allowed if not fetch.allow with input as request

test_no_private_address_is_opened if not fetch.allow_private with input as request

test_an_empty_input_is_denied if not fetch.allow with input as {}

test_no_input_is_denied if not fetch.allow
