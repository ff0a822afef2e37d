package web

import "golang.org/x/net/netutil"

// Limit is what bounds the connections of a server, for tests.
var Limit = netutil.LimitListener
