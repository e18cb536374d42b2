# Which requests scripts may make: none. Copy one of examples/, or write rules beneath the default.
#
# The rule allow must be true, and nothing else, for a request to be made. The rule allow_private opens
# private, loopback and other special addresses to a request that is allowed.
package mcp.fetch

default allow := false

default allow_private := false
