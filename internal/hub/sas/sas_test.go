package sas

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestVector: a token of eventhubs.md 1.4 and of Azure's documents has this form, and the
// signature is what openssl computes (printf 'sb%3A%2F%2Fh%2Fe\n1700000000' | openssl dgst
// -sha256 -hmac key -binary | base64).
func TestVector(t *testing.T) {
	want := "SharedAccessSignature sr=sb%3A%2F%2Fh%2Fe&sig=Qx74otrrzzmXmV2hifmc8JukS79fISCC%2FJ8ccqyXI7M%3D&se=1700000000&skn=name"
	if got := Sign("sb://h/e", "name", "key", time.Unix(1700000000, 0)); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestParse: what Sign makes, Parse reads.
func TestParse(t *testing.T) {
	f := func(resource, name, path string) {
		t.Helper()
		at := time.Unix(1700000000, 0)
		tok, err := Parse(Sign(resource, name, "key", at))
		if err != nil || tok.KeyName != name || tok.Path() != path || !tok.Expires.Equal(at) || !tok.SignedWith("key") || tok.SignedWith("Key") {
			t.Errorf("%+v, %v", tok, err)
		}
	}
	f("sb://h/e", "name", "e")
	f("sb://h", "a b&c=d", "")
	f("https://h:1/e/messages?x=/y", "ü", "e/messages")
	f("h/devices/d", "x", "devices/d")
}

func FuzzParse(f *testing.F) {
	f.Add(Sign("sb://h/e", "name", "key", time.Unix(1700000000, 0)))
	f.Add("SharedAccessSignature sr=%zz&sig=A&se=1&skn=x")
	f.Fuzz(func(t *testing.T, token string) {
		tok, err := Parse(token)
		if err == nil && (tok.KeyName == "" && !strings.Contains(token, "skn=") || len(tok.mac) != 32) {
			t.Errorf("%q is read as %+v", token, tok)
		}
		tok.SignedWith("key")
	})
}

// TestConnectionStrings: parts have any order and case; errors say what is wrong and show no
// secret.
func TestConnectionStrings(t *testing.T) {
	good := func(text string, want ConnectionString) {
		t.Helper()
		c, err := ParseConnectionString(text)
		if err != nil || c != want {
			t.Errorf("%s\n%#v, %v", text, c, err)
		}
		if again, err := ParseConnectionString(c.Build()); err != nil || again != c {
			t.Errorf("%s\n%#v, %v", c.Build(), again, err)
		}
	}
	good("Endpoint=sb://h.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=abc=;EntityPath=e", ConnectionString{Host: "h.servicebus.windows.net", KeyName: "n", Key: "abc=", Entity: "e"})
	good(" sharedaccesskey = a=b== ;ENDPOINT=sb://localhost:5675; SharedAccessKeyName=n;", ConnectionString{Host: "localhost:5675", KeyName: "n", Key: "a=b=="})
	good("Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;",
		ConnectionString{Host: "localhost", KeyName: "RootManageSharedAccessKey", Key: "SAS_KEY_VALUE", Development: true})
	good("Endpoint=amqps://[::1]:1/;SharedAccessSignature=SharedAccessSignature sr=x&sig=y&se=1&skn=z;TransportType=Amqp", ConnectionString{Host: "[::1]:1", Token: "SharedAccessSignature sr=x&sig=y&se=1&skn=z"})

	const secret = "CANARYk3y"
	bad := func(text, want string) {
		t.Helper()
		_, err := ParseConnectionString(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s\n%v", text, err)
		}
	}
	bad("", "has no Endpoint")
	bad(secret, "is not one of Endpoint, SharedAccessKeyName")
	bad("Endpoint=sb://h/;SharedAccesKey="+secret, "is not one of")
	bad("Endpoint=sb://h/;SharedAccessKey="+secret, "needs SharedAccessKeyName and SharedAccessKey")
	bad("Endpoint=sb://h/;SharedAccessKeyName=n", "needs SharedAccessKeyName and SharedAccessKey")
	bad("SharedAccessKeyName=n;SharedAccessKey="+secret, "has no Endpoint")
	bad("Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey="+secret+";SHAREDACCESSKEY="+secret, "sharedaccesskey twice")
	bad("Endpoint=sb://h/;SharedAccessSignature="+secret+";SharedAccessKey="+secret, "both")
	bad("Endpoint=ftp://h/;SharedAccessKeyName=n;SharedAccessKey="+secret, `begins with "ftp"`)
	bad("Endpoint=sb:///;SharedAccessKeyName=n;SharedAccessKey="+secret, "is not such as sb://host/")
	bad("Endpoint=sb://u:"+secret+"@h/;SharedAccessKeyName=n;SharedAccessKey="+secret, "is not such as sb://host/")
	bad("Endpoint=sb://h/x;SharedAccessKeyName=n;SharedAccessKey="+secret, "is not such as sb://host/")
	bad("Endpoint=sb://h/;UseDevelopmentEmulator="+secret, "neither true nor false")
	bad(strings.Repeat("x", maxConnectionString+1), "is the most")
}

// TestHidden: no way of printing shows what is secret.
func TestHidden(t *testing.T) {
	for _, c := range []ConnectionString{{Host: "h:1", KeyName: "n", Key: "CANARY"}, {Host: "h:1", Token: "CANARY", Entity: "e"}} {
		j, err := json.Marshal(c)
		if err != nil {
			t.Error(err)
		}
		text := fmt.Sprint(c, &c, string(j), c.LogValue()) + fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c, c)
		if strings.Contains(text, "CANARY") {
			t.Errorf("the secret is shown: %s", text)
		}
		if !strings.Contains(c.Build(), "CANARY") || c.Hostname() != "h" || c.Port() != "1" {
			t.Errorf("%s %s %s", c.Build(), c.Hostname(), c.Port())
		}
	}
	if c := (ConnectionString{Host: "[::1]"}); c.Hostname() != "::1" || c.Port() != "" {
		t.Errorf("%s %s", c.Hostname(), c.Port())
	}
}
