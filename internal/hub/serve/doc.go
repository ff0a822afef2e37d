// Package serve opens the ports of the broker and puts the protocols behind them: plain and
// TLS on the same port, certificates, limits of connections, metrics.
package serve
