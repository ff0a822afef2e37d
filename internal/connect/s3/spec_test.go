package s3

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/objects"
)

// TestManual holds the page of the manual to the Spec.
func TestManual(t *testing.T) {
	connecttest.Manual(t, Spec, "../../../docs/connectors/s3.md")
}

// TestCheck has settings that cannot work.
func TestCheck(t *testing.T) {
	p := &peer{endpoint: "https://s3.example.com", access: "a", secret: secretKey}
	f := func(say string, given map[string]any) {
		t.Helper()
		given["path"] = "{date}/x"
		got := fmt.Sprint(check(p.config("bucket", given), false))
		if say == "" && got != "[]" || !strings.Contains(got, say) || strings.Contains(got, secretKey) {
			t.Errorf("%s, and must say %q", got, say)
		}
	}
	f("", map[string]any{})
	f("neither https", map[string]any{"endpoint": "ftp://x"})
	f("is no address", map[string]any{"endpoint": "http://[" + secretKey})
	f("a name or a password", map[string]any{"endpoint": "https://me:" + secretKey + "@x"})
	f("more than the address", map[string]any{"endpoint": "https://x/y?sig=" + secretKey})
	f("is for TLS", map[string]any{"endpoint": "http://x", "tls_ca": "ca.pem"})
	f("no name of a bucket", map[string]any{"bucket": "Not A Bucket"})
	f("go together", map[string]any{"access_key": ""})
	f("key needs", map[string]any{"sign_in": signKey, "access_key": ""})
	f("is not used", map[string]any{"sign_in": signRole})
	f("goes with", map[string]any{"access_key": "", "secret_key": connect.Hidden{}, "session_token": connect.NewHidden("t")})
	f("same name", map[string]any{"max_rows": int64(5)})
	f("more than 0", map[string]any{"max_staged": int64(0)})
	if got := check(p.input("bucket", nil), true); len(got) != 0 {
		t.Error(got)
	}
	if got := fmt.Sprint(check(p.input("bucket", map[string]any{"partitions": int64(2)}), true)); !strings.Contains(got, "{partition}") {
		t.Error(got)
	}
}

// TestProbe tries services that have something wrong. No text shows a secret.
func TestProbe(t *testing.T) {
	var h weather
	p := fake(t, h.before)
	bucket := p.bucket(t)
	f := func(c connect.Config, say string) {
		t.Helper()
		list := probe(context.Background(), c, connect.ProbeEnv{})
		got := ""
		for _, p := range list {
			got += fmt.Sprintf("%s: %s: %s\n", p.Field, p.Text, p.Hint)
		}
		if say == "" && got != "" || !strings.Contains(got, say) || len(list) > 1 {
			t.Errorf("%q, and must say %q", got, say)
		}
		if strings.Contains(got, secretKey) || strings.Contains(got, url.QueryEscape(odd)) || strings.Contains(got, odd) {
			t.Errorf("%q shows a secret", got)
		}
	}
	f(p.config(bucket, nil), "")
	f(p.config("nobody-has-it", nil), `bucket: list `+p.endpoint+`/nobody-has-it: there is no bucket "nobody-has-it": make it`)
	f(p.config(bucket, map[string]any{"endpoint": "http://127.0.0.1:1"}), "nothing listens there")
	f(p.config(bucket, map[string]any{"endpoint": "http://nobody.invalid"}), "there is no host")
	f(p.config(bucket, map[string]any{"endpoint": strings.Replace(p.endpoint, "http:", "https:", 1)}), "speaks no TLS")
	f(p.config(bucket, map[string]any{"session_token": connect.NewHidden(odd)}), "")
	h.set(func(w http.ResponseWriter, r *http.Request) bool { // a server that tells what it was told
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>InvalidAccessKeyId</Code><Message>%s, %s, %s is not known.</Message></Error>", secretKey, odd, url.QueryEscape(odd))
		return true
	})
	f(p.config(bucket, map[string]any{"session_token": connect.NewHidden(odd)}), "access_key: list "+p.endpoint+"/"+bucket+": ***, ***, *** is not known (InvalidAccessKeyId): correct access_key")
	h.set(nil)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if got := probe(ended, p.config(bucket, nil), connect.ProbeEnv{}); len(got) != 1 || !strings.Contains(got[0].Text, "canceled") {
		t.Error(got)
	}
}

// odd is a secret that looks different in an address.
const odd = "planted+token/=="

// TestTLS has a server whose certificate a file vouches for.
func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(gofakes3.New(s3mem.New(), gofakes3.WithAutoBucket(true)).Server())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()

	p := &peer{endpoint: server.URL, access: "a", secret: secretKey}
	file := filepath.Join(t.TempDir(), "ca.pem")
	ok(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	if got := probe(context.Background(), p.config("bucket", map[string]any{"tls_ca": file}), connect.ProbeEnv{}); len(got) != 0 {
		t.Error(got)
	}
	if got := probe(context.Background(), p.config("bucket", nil), connect.ProbeEnv{}); len(got) != 1 || got[0].Hint != "name the authority's certificate with tls_ca" {
		t.Errorf("%+v", got)
	}
	ok(t, os.WriteFile(file, []byte("nothing"), 0o600))
	if _, err := open(p.config("bucket", map[string]any{"tls_ca": file})); !connect.IsPermanent(err) || !strings.Contains(err.Error(), "no certificate") {
		t.Error(err)
	}
	s := &store{where: "https://x/b"}
	err := s.explain("list", "", &url.Error{Op: "Get", URL: "https://x/?X-Amz-Signature=1", Err: x509.HostnameError{Certificate: server.Certificate(), Host: "x"}})
	if !strings.Contains(err.Error(), "for another name") || strings.Contains(err.Error(), "Signature") {
		t.Error(err)
	}
}

// TestSignIn has keys of the environment, and of nobody.
func TestSignIn(t *testing.T) {
	var h weather
	p := fake(t, h.before)
	bucket := p.bucket(t)
	var got string
	h.set(func(_ http.ResponseWriter, r *http.Request) bool {
		got = r.Header.Get("Authorization") + " " + r.Header.Get("X-Amz-Security-Token")
		return false
	})
	f := func(want string, given map[string]any) {
		t.Helper()
		given["secret_key"] = connect.Hidden{}
		if a, has := given["access_key"]; !has {
			given["access_key"] = ""
		} else if a != "" {
			given["secret_key"] = connect.NewHidden(secretKey)
		}
		s, err := open(p.config(bucket, given))
		ok(t, err)
		defer s.Close()
		ok(t, s.look(context.Background()))
		if !strings.Contains(got, want) || want == "" && got != " " || strings.Contains(got, secretKey) {
			t.Errorf("%q, and must have %q", got, want)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "FROMENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	t.Setenv("AWS_SESSION_TOKEN", "the-token")
	f("Credential=FROMENV/", map[string]any{})
	f(" the-token", map[string]any{"sign_in": signEnvironment})
	f("Credential=mine/", map[string]any{"access_key": "mine"})
	f("/eu-north-7/s3/", map[string]any{"access_key": "mine", "region": "eu-north-7"})
	f("", map[string]any{"sign_in": signNobody})
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"AccessKeyId":"FROMROLE","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z","Code":"Success"}`)
	}))
	defer role.Close()
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.URL)
	f("Credential=FROMROLE/", map[string]any{"sign_in": signRole})
}

var _ objects.Store = (*store)(nil)
