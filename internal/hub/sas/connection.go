package sas

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
)

// DevelopmentKey is the key that Azure's emulator has for RootManageSharedAccessKey.
const DevelopmentKey = "SAS_KEY_VALUE"

// ConnectionString is what clients are given to reach a namespace or a hub. What prints it
// shows no key; Build does.
type ConnectionString struct {
	Host    string // with the port, if it is not the usual one
	KeyName string
	Key     string
	Token   string // SharedAccessSignature instead of KeyName and Key
	Entity  string // EntityPath: the hub; "" leaves it open
	// Development is UseDevelopmentEmulator: the client talks without TLS.
	Development bool
}

// maxConnectionString bounds a connection string, in bytes.
const maxConnectionString = 16 << 10

// ParseConnectionString reads a connection string, whose parts have any order and case. Its
// error shows no part that could be secret.
func ParseConnectionString(text string) (ConnectionString, error) {
	var c ConnectionString
	if len(text) > maxConnectionString {
		return c, fmt.Errorf("the connection string has %d bytes; %d is the most", len(text), maxConnectionString)
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || !known[name] {
			return ConnectionString{}, errors.New("a part of the connection string is not one of " + knownNames)
		}
		if seen[name] {
			return ConnectionString{}, fmt.Errorf("the connection string has %s twice", name)
		}
		seen[name] = true
		if err := c.set(name, strings.TrimSpace(value)); err != nil {
			return ConnectionString{}, err
		}
	}
	if err := c.check(); err != nil {
		return ConnectionString{}, err
	}
	return c, nil
}

const knownNames = "Endpoint, SharedAccessKeyName, SharedAccessKey, SharedAccessSignature, EntityPath and UseDevelopmentEmulator"

var known = map[string]bool{"endpoint": true, "sharedaccesskeyname": true, "sharedaccesskey": true, "sharedaccesssignature": true,
	"entitypath": true, "usedevelopmentemulator": true, "transporttype": true, "operationtimeout": true, "runtimeport": true}

func (c *ConnectionString) set(name, value string) error {
	switch name {
	case "endpoint":
		host, err := endpoint(value)
		c.Host = host
		return err
	case "sharedaccesskeyname":
		c.KeyName = value
	case "sharedaccesskey":
		c.Key = value
	case "sharedaccesssignature":
		c.Token = value
	case "entitypath":
		c.Entity = strings.Trim(value, "/")
	case "usedevelopmentemulator":
		switch strings.ToLower(value) {
		case "true":
			c.Development = true
		case "false":
		default:
			return errors.New("UseDevelopmentEmulator of the connection string is neither true nor false")
		}
	}
	return nil // what is left is settings of one SDK
}

// endpoint is the host of an endpoint such as sb://host:5671/.
func endpoint(value string) (string, error) {
	scheme, host, ok := strings.Cut(value, "://")
	if !ok {
		scheme, host = "sb", value
	}
	switch strings.ToLower(scheme) {
	case "sb", "amqp", "amqps", "http", "https":
	default:
		return "", fmt.Errorf("the endpoint of the connection string begins with %.20q; it is such as sb://host/", scheme)
	}
	host = strings.TrimRight(host, "/")
	if host == "" || strings.ContainsAny(host, "/?#@ ") {
		return "", errors.New("the endpoint of the connection string is not such as sb://host/")
	}
	return host, nil
}

func (c *ConnectionString) check() error {
	switch {
	case c.Host == "":
		return errors.New("the connection string has no Endpoint")
	case c.Token != "" && (c.KeyName != "" || c.Key != ""):
		return errors.New("the connection string has both a SharedAccessSignature and a key")
	case c.Token == "" && (c.KeyName == "" || c.Key == ""):
		return errors.New("the connection string needs SharedAccessKeyName and SharedAccessKey, or SharedAccessSignature")
	}
	return nil
}

// Build is the connection string as text, with its key.
func (c ConnectionString) Build() string {
	var b strings.Builder
	b.WriteString("Endpoint=sb://" + c.Host + "/;")
	if c.Token != "" {
		b.WriteString("SharedAccessSignature=" + c.Token)
	} else {
		b.WriteString("SharedAccessKeyName=" + c.KeyName + ";SharedAccessKey=" + c.Key)
	}
	if c.Development {
		b.WriteString(";UseDevelopmentEmulator=true")
	}
	if c.Entity != "" {
		b.WriteString(";EntityPath=" + c.Entity)
	}
	return b.String()
}

// Hostname is the host without the port.
func (c ConnectionString) Hostname() string {
	if host, _, err := net.SplitHostPort(c.Host); err == nil {
		return host
	}
	return strings.Trim(c.Host, "[]")
}

// Port is the port of the host; "" if it is the usual one.
func (c ConnectionString) Port() string {
	_, port, err := net.SplitHostPort(c.Host)
	if err != nil {
		return ""
	}
	return port
}

// String is the connection string without what is secret in it.
func (c ConnectionString) String() string {
	if c.Token != "" {
		c.Token = hidden
	}
	if c.Key != "" {
		c.Key = hidden
	}
	return c.Build()
}

const hidden = "***"

// GoString hides the key from %#v.
func (c ConnectionString) GoString() string { return c.String() }

// LogValue hides the key from logs.
func (c ConnectionString) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText hides the key from what is written as JSON or text.
func (c ConnectionString) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
