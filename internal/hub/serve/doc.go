// Package serve opens the ports of the broker and puts the protocols behind them: plain and
// TLS on the same port, certificates, limits of connections, metrics.
//
// # Ports
//
// The first byte of a connection says what it is: 0x16 begins a TLS handshake, all else is
// plain. On the ports of AMQP and HTTPS the next byte tells the two apart, so that WebSockets
// and posts come in on either. Plain text is taken from this machine only, unless
// Options.AllowPlain lets others use it: the keys of clients would be seen on the way.
//
// # Limits
//
// A port has MaxConnections; another machine has MaxPerAddress of all of them. A connection
// has HandshakeTime for its first byte and its TLS handshake; what its protocol asks for before
// a client is known has limits of its own. What is refused is closed at once and counted.
package serve
