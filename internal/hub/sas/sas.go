// Package sas is shared access signatures as Event Hubs has them: tokens that prove the
// knowledge of a key for a resource until a time, and the connection strings that carry keys.
//
//	SharedAccessSignature sr=<resource>&sig=<signature>&se=<expiry>&skn=<key name>
//
// The signature is base64(HMAC-SHA256(key, sr as sent + "\n" + se)) (eventhubs.md 1.1).
package sas

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// MaxToken bounds a token, in bytes.
const MaxToken = 4096

// Token is a parsed token, whose signature has not been looked at.
type Token struct {
	Resource string // as sent, not decoded
	KeyName  string
	Expires  time.Time
	path     string
	signed   string // what the signature is of
	mac      []byte
}

const scheme = "SharedAccessSignature "

// base64 of a signature has one form only: a text that differs is another signature.
var base64Strict = base64.StdEncoding.Strict()

// Parse reads a token. Its error holds no part of it.
func Parse(token string) (Token, error) {
	t, err := ParseDevice(token)
	if err == nil && t.KeyName == "" {
		return Token{}, errors.New("the token needs skn, the name of its key")
	}
	return t, err
}

// ParseDevice reads a token that may leave out the name of its key, as devices of IoT Hub do.
func ParseDevice(token string) (Token, error) {
	if len(token) > MaxToken {
		return Token{}, fmt.Errorf("the token has %d bytes; %d is the most", len(token), MaxToken)
	}
	if len(token) < len(scheme) || !strings.EqualFold(token[:len(scheme)], scheme) {
		return Token{}, errors.New("the token does not begin with SharedAccessSignature")
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(token[len(scheme):], "&") {
		name, value, _ := strings.Cut(part, "=")
		if _, twice := fields[name]; twice {
			return Token{}, errors.New("a part of the token is given twice")
		}
		fields[name] = value
	}
	t := Token{Resource: fields["sr"], signed: fields["sr"] + "\n" + fields["se"]}
	if t.Resource == "" || fields["sig"] == "" || fields["se"] == "" {
		return Token{}, errors.New("the token needs sr, sig and se")
	}
	seconds, err := strconv.ParseUint(fields["se"], 10, 40)
	if err != nil {
		return Token{}, errors.New("the expiry of the token is not a number of seconds")
	}
	t.Expires = time.Unix(int64(seconds), 0)
	if t.KeyName, err = url.QueryUnescape(fields["skn"]); err != nil {
		return Token{}, errors.New("the key name of the token is not URL-encoded")
	}
	if t.path, err = resourcePath(t.Resource); err != nil {
		return Token{}, err
	}
	sig, err := url.PathUnescape(fields["sig"])
	if err != nil {
		return Token{}, errors.New("the signature of the token is not URL-encoded")
	}
	if t.mac, err = base64Strict.DecodeString(sig); err != nil || len(t.mac) != sha256.Size || strings.ContainsAny(sig, "\r\n") {
		return Token{}, errors.New("the signature of the token is not an HMAC-SHA256 in base64")
	}
	return t, nil
}

// resourcePath is the path of a resource, decoded, without scheme and host. The scheme may be
// missing, as in tokens of IoT Hub; the host not.
func resourcePath(resource string) (string, error) {
	r, err := url.QueryUnescape(resource)
	if err != nil {
		return "", errors.New("the resource of the token is not URL-encoded")
	}
	if _, rest, ok := strings.Cut(r, "://"); ok {
		r = rest
	}
	host, path, _ := strings.Cut(r, "/")
	if host == "" {
		return "", errors.New("the resource of the token has no host; it is such as sb://host/hub")
	}
	path, _, _ = strings.Cut(path, "?")
	return path, nil
}

// SignedWith reports in constant time whether a key has signed the token.
func (t Token) SignedWith(key string) bool { return hmac.Equal(t.mac, sum(key, t.signed)) }

// Path is the path of the resource, decoded, without scheme and host.
func (t Token) Path() string { return t.path }

// Sign makes a token for a resource, such as sb://localhost/hub.
func Sign(resource, keyName, key string, expires time.Time) string {
	sr, se := url.QueryEscape(resource), strconv.FormatInt(expires.Unix(), 10)
	sig := Signature(key, sr+"\n"+se)
	return scheme + "sr=" + sr + "&sig=" + url.QueryEscape(sig) + "&se=" + se + "&skn=" + url.QueryEscape(keyName)
}

// Signature is the signature of a text with a key, in base64.
func Signature(key, text string) string { return base64.StdEncoding.EncodeToString(sum(key, text)) }

func sum(key, text string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return h.Sum(nil)
}
