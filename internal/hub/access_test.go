package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/sas"
)

const (
	sendKey   = "send-key-0123456789abcdef"
	sendKey2  = "send-key2-0123456789abcdef"
	listenKey = "listen-key-0123456789abcdef"
	hubKey    = "hub1-key-0123456789abcdef"
)

// withKeys is a broker with hub1, hub10 and hub2; keys of the namespace to send and to
// listen, and one of hub1 that does both.
func withKeys(t *testing.T) (*Broker, *clock) {
	t.Helper()
	c := newClock()
	b := open(t, Options{FS: disk.NewMem(1).Boot(), Now: c.now})
	for _, name := range []string{"hub1", "hub10", "hub2"} {
		create(t, b, Config{Name: name, Partitions: 2})
	}
	for _, r := range []Rule{
		{Name: "send", Rights: Send, Primary: sendKey, Secondary: sendKey2},
		{Name: "listen", Rights: Listen, Primary: listenKey},
		{Name: "entity", Hub: "HUB1", Rights: Send | Listen, Primary: hubKey},
	} {
		if _, err := b.AddRule(r); err != nil {
			t.Fatal(err)
		}
	}
	return b, c
}

// field replaces a field of a token.
func field(token, name, value string) string {
	head, rest, _ := strings.Cut(token, name+"=")
	_, tail, more := strings.Cut(rest, "&")
	if more {
		tail = "&" + tail
	}
	return head + name + "=" + value + tail
}

// part is the value of a field of a token.
func part(token, name string) string {
	_, rest, _ := strings.Cut(token, name+"=")
	value, _, _ := strings.Cut(rest, "&")
	return value
}

// TestTokens is the table of reliability.md 6, row 2, and more of its kind: what a token
// gives for sending to hub1.
func TestTokens(t *testing.T) {
	b, c := withKeys(t)
	in := func(d time.Duration) time.Time { return c.now().Add(d) }
	hour := in(time.Hour)
	good := sas.Sign("sb://localhost/hub1", "send", sendKey, hour)
	// A signature that has the letters in which the two alphabets of base64 differ.
	slashed := good
	for i := 0; !strings.Contains(part(slashed, "sig"), "%2F") || !strings.Contains(part(slashed, "sig"), "%2B"); i++ {
		slashed = sas.Sign("sb://localhost/hub1", "send", sendKey, in(time.Hour+time.Duration(i)*time.Second))
	}
	sig, err := url.QueryUnescape(part(good, "sig"))
	is(t, err, nil)
	flip := func(i int) string { // one bit of the text of the signature
		const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		at := strings.IndexByte(digits, sig[i])
		return field(good, "sig", url.QueryEscape(sig[:i]+string(digits[at^1])+sig[i+1:]))
	}
	f := func(what, token, hub string, want error) {
		t.Helper()
		g, err := b.Token(token)
		if err == nil {
			err = g.May(Send, hub, c.now())
		}
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if err != nil && len(token) < 1000 && (strings.Contains(err.Error(), part(token, "sig")) && part(token, "sig") != "" || strings.Contains(err.Error(), sendKey)) {
			t.Errorf("%s: the error shows a secret: %v", what, err)
		}
	}
	f("valid", good, "hub1", nil)
	f("valid, other case of the hub", good, "HUB1", nil)
	f("expired by a second", sas.Sign("sb://localhost/hub1", "send", sendKey, in(-time.Second)), "hub1", ErrUnauthorized)
	f("expires now", sas.Sign("sb://localhost/hub1", "send", sendKey, in(0)), "hub1", ErrUnauthorized)
	f("a second left", sas.Sign("sb://localhost/hub1", "send", sendKey, in(time.Second)), "hub1", nil)
	f("no expiry", strings.Replace(good, "&se="+part(good, "se"), "", 1), "hub1", ErrUnauthorized)
	for _, se := range []string{"", "x", "-1", "1e30", "1.5", "+9999999999", "99999999999999999999999", " 9999999999", "0x7fffffff"} {
		f("expiry "+se, field(good, "se", se), "hub1", ErrUnauthorized)
	}
	f("other expiry", field(good, "se", fmt.Sprint(hour.Unix()+1)), "hub1", ErrUnauthorized)
	f("first bit of the signature", flip(0), "hub1", ErrUnauthorized)
	f("last bit of the signature", flip(42), "hub1", ErrUnauthorized) // 43 digits; the last two bits mean nothing
	f("other alphabet", field(slashed, "sig", strings.NewReplacer("%2F", "_", "%2B", "-").Replace(part(slashed, "sig"))), "hub1", ErrUnauthorized)
	f("slashes as they are", field(slashed, "sig", strings.NewReplacer("%2F", "/").Replace(part(slashed, "sig"))), "hub1", nil)
	f("plus as it is", field(slashed, "sig", strings.NewReplacer("%2B", "+").Replace(part(slashed, "sig"))), "hub1", nil)
	f("short signature", field(good, "sig", "AAAA"), "hub1", ErrUnauthorized)
	f("empty signature", field(good, "sig", ""), "hub1", ErrUnauthorized)
	f("signature with a line end", field(good, "sig", sig[:4]+"%0A"+sig[4:]), "hub1", ErrUnauthorized)
	f("unknown key name", field(good, "skn", "nobody"), "hub1", ErrUnauthorized)
	f("key name in other case", field(good, "skn", "SEND"), "hub1", ErrUnauthorized)
	f("listen only", sas.Sign("sb://localhost/hub1", "listen", listenKey, hour), "hub1", ErrForbidden)
	f("other hub", sas.Sign("sb://localhost/hub2", "send", sendKey, hour), "hub1", ErrForbidden)
	f("hub1 for hub10", good, "hub10", ErrForbidden)
	f("hub10 for hub1", sas.Sign("sb://localhost/hub10", "send", sendKey, hour), "hub1", ErrForbidden)
	f("hub of a token for the namespace", good, "", ErrForbidden)
	for _, sr := range []string{"sb://localhost", "sb://localhost/", "https://localhost:8443/", "localhost"} {
		f("namespace "+sr, sas.Sign(sr, "send", sendKey, hour), "hub1", nil)
	}
	for _, sr := range []string{"sb://localhost/hub1/", "http://localhost/hub1", "https://LOCALHOST:1/Hub1/", "amqp://localhost/hub1", "amqps://localhost/HUB1",
		"SB://localhost/hub1", "localhost/hub1", "sb://localhost//hub1", "https://localhost/hub1/messages", "https://localhost/hub1/messages?timeout=60", "sb://localhost/hub1/$management",
		"sb://localhost/hub1/Partitions/1", "sb://localhost/hub1/Publishers/x"} {
		f("resource "+sr, sas.Sign(sr, "send", sendKey, hour), "hub1", nil)
		f("resource "+sr, sas.Sign(sr, "send", sendKey, hour), "hub2", ErrForbidden)
	}
	for _, sr := range []string{"sb://", "sb:///hub1", "/hub1"} {
		f("resource "+sr, sas.Sign(sr, "send", sendKey, hour), "hub1", ErrUnauthorized)
	}
	f("resource that is not encoded", field(good, "sr", "%zz"), "hub1", ErrUnauthorized)
	f("sr in lower-case encoding", lowerSigned("https://localhost:8444/hub1/messages", "send", sendKey, hour), "hub1", nil)
	f("sr in another encoding than was signed", field(good, "sr", strings.ToLower(part(good, "sr"))), "hub1", ErrUnauthorized)
	f("sig twice", good+"&sig="+part(good, "sig"), "hub1", ErrUnauthorized)
	f("sr twice", good+"&sr=sb%3A%2F%2Flocalhost", "hub1", ErrUnauthorized)
	f("other order", "SharedAccessSignature skn=send&se="+part(good, "se")+"&sig="+part(good, "sig")+"&sr="+part(good, "sr"), "hub1", nil)
	f("other case of the scheme", "sharedaccesssignature "+strings.TrimPrefix(good, "SharedAccessSignature "), "hub1", nil)
	f("no scheme", strings.TrimPrefix(good, "SharedAccessSignature "), "hub1", ErrUnauthorized)
	f("nothing", "", "hub1", ErrUnauthorized)
	f("1 MB", good+"&x="+strings.Repeat("x", 1<<20), "hub1", ErrUnauthorized)
	f("secondary key", sas.Sign("sb://localhost/hub1", "send", sendKey2, hour), "hub1", nil)
	f("key of the hub", sas.Sign("sb://localhost/hub1", "entity", hubKey, hour), "hub1", nil)
	f("key of the hub for another", sas.Sign("sb://localhost/hub2", "entity", hubKey, hour), "hub2", ErrUnauthorized)
	f("key of the hub for hub10", sas.Sign("sb://localhost/hub10", "entity", hubKey, hour), "hub10", ErrUnauthorized)
	f("key of the hub for the namespace", sas.Sign("sb://localhost/", "entity", hubKey, hour), "hub1", ErrUnauthorized)
	f("key of the emulator", sas.Sign("sb://localhost/", RootRule, developmentKey, hour), "hub1", ErrUnauthorized)
	if n := b.Stats().Denied; n < 20 {
		t.Errorf("%d refusals are counted", n)
	}
	// What was good ends with its time.
	g, err := b.Token(good)
	is(t, err, nil)
	is(t, g.May(Send, "hub1", hour.Add(-time.Nanosecond)), nil)
	is(t, g.May(Send, "hub1", hour), ErrUnauthorized)
}

// lowerSigned is a token as fluent-plugin-azureeventhubs makes it (eventhubs.md 1.4).
func lowerSigned(resource, name, key string, expires time.Time) string {
	token := sas.Sign("LOWER", name, key, expires)
	sr := strings.ToLower(url.QueryEscape(resource))
	sig := sas.Signature(key, sr+"\n"+part(token, "se"))
	return field(field(token, "sr", sr), "sig", url.QueryEscape(sig))
}

// TestTokenTime: a token of 1 MB costs nothing, and an unknown name as many signatures as a
// known one.
func TestTokenTime(t *testing.T) {
	b, _ := withKeys(t)
	long := "SharedAccessSignature sr=" + strings.Repeat("%41", 1<<20/3)
	if n := testing.AllocsPerRun(10, func() { b.Token(long) }); n > 10 {
		t.Errorf("%v allocations for a long token", n)
	}
	if known, unknown := len(b.candidates("send", "hub1", false)), len(b.candidates("nobody", "hub1", false)); known != unknown {
		t.Errorf("%d keys are tried of a known name and %d of an unknown one", known, unknown)
	}
	if known, unknown := len(b.candidates("send", "", true)), len(b.candidates("nobody", "", true)); known != unknown {
		t.Errorf("%d keys are tried of a known name and %d of an unknown one", known, unknown)
	}
}

// TestSignaturesAreComparedInConstantTime: no source file compares keys or signatures in
// another way.
func TestSignaturesAreComparedInConstantTime(t *testing.T) {
	for _, file := range []string{"access.go", "rules.go", "sas/sas.go", "sas/connection.go"} {
		text, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			code, _, _ := strings.Cut(line, "//")
			for _, word := range []string{"bytes.Equal", "strings.Compare", "== key", "key ==", "== sig", "sig ==", "mac ==", ".Primary ==", ".Secondary ==", "== c.key"} {
				if strings.Contains(code, word) {
					t.Errorf("%s: %s", file, line)
				}
			}
		}
	}
}

// TestPaths: what a token for something in a hub allows.
func TestPaths(t *testing.T) {
	b, c := withKeys(t)
	root := b.Rules("")[0]
	f := func(resource string, right Right, path string, want error) {
		t.Helper()
		g, err := b.Token(sas.Sign("sb://localhost/"+resource, RootRule, root.Primary, c.now().Add(time.Hour)))
		is(t, err, nil)
		if path == "" {
			err = g.May(right, "hub1", c.now())
		} else {
			err = g.MayAt(right, "hub1", path, c.now())
		}
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s, %s at %q: %v, want %v", resource, right, path, err, want)
		}
	}
	f("hub1", Manage, "", nil)
	f("hub1", Send, "Publishers/x", nil)
	f("hub1/Publishers/x", Send, "", nil)
	f("hub1/Publishers/x", Listen, "", ErrForbidden)
	f("hub1/Publishers/x", Manage, "", ErrForbidden)
	f("hub1/Publishers/x", Send, "publishers/X", nil)
	f("hub1/Publishers/x", Send, "Publishers/x/messages", nil)
	f("hub1/Publishers/x", Send, "Publishers/xy", ErrForbidden)
	f("hub1/Publishers/x", Send, "Partitions/1", ErrForbidden)
	f("hub1/Publishers/x", Send, "/", ErrForbidden)
	f("hub1/Partitions/1", Send, "Partitions/1", nil)
	f("hub1/Partitions/1", Send, "Partitions/10", ErrForbidden)
	f("hub1/Partitions/1", Listen, "Partitions/1", ErrForbidden)
	f("hub1/ConsumerGroups/$Default/Partitions/0", Listen, "consumergroups/$default/partitions/0", nil)
	f("hub1/ConsumerGroups/$Default", Listen, "consumergroups/$default/partitions/0", nil)
	f("hub1/ConsumerGroups/$Default", Send, "", ErrForbidden)
	f("hub1/$management", Listen, "", nil)
	f("hub1/messages", Send, "", nil)
	f("", Manage, "Publishers/x", nil)
}

// TestPasswords: a key itself opens what its rule says.
func TestPasswords(t *testing.T) {
	b, c := withKeys(t)
	f := func(name, key string, right Right, hub string, want error) {
		t.Helper()
		g, err := b.Password(name, key)
		if err == nil {
			err = g.May(right, hub, c.now().Add(100*365*24*time.Hour))
		}
		is(t, err, want)
	}
	f("send", sendKey, Send, "hub2", nil)
	f("send", sendKey2, Send, "hub2", nil)
	f("send", sendKey, Listen, "hub2", ErrForbidden)
	f("send", sendKey, Send, "", nil)
	f("send", listenKey, Send, "hub2", ErrUnauthorized)
	f("send", "", Send, "hub2", ErrUnauthorized)
	f("nobody", sendKey, Send, "hub2", ErrUnauthorized)
	f("", "", Send, "hub2", ErrUnauthorized)
	f("entity", hubKey, Listen, "Hub1", nil)
	f("entity", hubKey, Listen, "hub10", ErrForbidden)
	f("entity", hubKey, Listen, "", ErrForbidden)
	f(RootRule, developmentKey, Send, "hub1", ErrUnauthorized)
	for _, k := range nobody {
		f("nobody", k.key, Send, "hub1", ErrUnauthorized)
	}
}

// TestDevelopmentKey: the emulator's key opens everything where it is switched on.
func TestDevelopmentKey(t *testing.T) {
	b := open(t, Options{FS: disk.NewMem(1).Boot(), DevelopmentKey: true})
	create(t, b, Config{Name: "eh1"})
	g, err := b.Token(sas.Sign("sb://localhost/eh1", RootRule, developmentKey, time.Now().Add(time.Hour)))
	is(t, err, nil)
	is(t, g.May(Manage, "eh1", time.Now()), nil)
	g, err = b.Password(RootRule, developmentKey)
	is(t, err, nil)
	is(t, g.May(Manage, "", time.Now()), nil)
	_, err = b.Password("other", developmentKey)
	is(t, err, ErrUnauthorized)
}

// TestRules: keys are made, rotated and removed, durably; the old ones end at once.
func TestRules(t *testing.T) {
	dir := t.TempDir()
	fs, err := disk.At(dir)
	is(t, err, nil)
	b := open(t, Options{FS: fs, MaxRules: 3})
	create(t, b, Config{Name: "Hub"})
	r, err := b.AddRule(Rule{Name: "app", Hub: "hub", Rights: Send})
	if err != nil || r.Hub != "hub" || r.Primary == r.Secondary || len(r.Primary) != 44 {
		t.Error(r, err)
	}
	f := func(r Rule, want error) {
		t.Helper()
		_, err := b.AddRule(r)
		is(t, err, want)
	}
	f(Rule{Name: "app", Hub: "HUB", Rights: Send}, ErrRuleExists)
	f(Rule{Name: "app", Rights: Send}, nil)
	f(Rule{Name: "a b", Rights: Send}, ErrBadName)
	f(Rule{Name: "x", Hub: "nobody", Rights: Send}, ErrNoHub)
	f(Rule{Name: "x"}, ErrBadConfig)
	f(Rule{Name: "x", Rights: 8}, ErrBadConfig)
	f(Rule{Name: "x", Rights: Send, Primary: "short"}, ErrBadConfig)
	f(Rule{Name: "x", Rights: Send, Primary: "cannot-stand-in-a;connection-string"}, ErrBadConfig)
	f(Rule{Name: "y", Rights: Listen}, nil)
	f(Rule{Name: "z", Rights: Listen}, ErrTooMany)
	open1 := func(key string, want error) {
		t.Helper()
		_, err := b.Password("app", key)
		is(t, err, want)
		_, err = b.Token(sas.Sign("sb://x/hub", "app", key, time.Now().Add(time.Hour)))
		is(t, err, want)
	}
	r2, err := b.Regenerate("HUB", "app", Primary)
	is(t, err, nil)
	open1(r.Primary, ErrUnauthorized)
	open1(r.Secondary, nil)
	open1(r2.Primary, nil)
	r3, err := b.Regenerate("hub", "app", Secondary)
	is(t, err, nil)
	if r3.Primary != r2.Primary || r3.Secondary == r.Secondary {
		t.Error("the wrong key was made anew")
	}
	_, err = b.Regenerate("hub", "nobody", Primary)
	is(t, err, ErrNoRule)
	is(t, b.RemoveRule("hub", "nobody"), ErrNoRule)
	is(t, b.RemoveRule("", "y"), nil)
	if got, err := b.Rule("hub", "app"); err != nil || got != r3 {
		t.Error(got, err)
	}
	_, err = b.Rule("", "nobody")
	is(t, err, ErrNoRule)
	info, err := os.Stat(filepath.Join(dir, keysFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	is(t, b.Close(), nil)
	b = open(t, Options{FS: fs})
	open1(r3.Primary, nil)
	open1(r3.Secondary, nil)
	open1(r.Secondary, ErrUnauthorized)
	is(t, b.RemoveRule("Hub", "app"), nil)
	open1(r3.Primary, ErrUnauthorized)
	var names []string
	for _, r := range b.Rules("") {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{RootRule, "app"}) {
		t.Error(names)
	}
	// No way of printing shows a key.
	for _, text := range []string{fmt.Sprint(r), fmt.Sprintf("%v %+v %#v %s", r, r, r, &r), r.LogValue().String()} {
		if strings.Contains(text, r.Primary) || strings.Contains(text, r.Secondary) {
			t.Error("a key is shown")
		}
	}
	if _, err := json.Marshal(r); err != nil { // keys.json needs it
		t.Error(err)
	}
}

func TestRights(t *testing.T) {
	f := func(text string, want Right) {
		t.Helper()
		if got, err := ParseRights(text); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	f("send", Send)
	f("Listen,Send", Send|Listen)
	f(all.String(), all)
	f("", 0)
	f("read", 0)
	f("Send,x", 0)
}

// TestRevoked: what a key has let in ends with the key, and with no other.
func TestRevoked(t *testing.T) {
	b, c := withKeys(t)
	now := c.now()
	may := func(g Grant, want error) {
		t.Helper()
		is(t, g.May(Send, "hub1", now), want)
		is(t, g.Revoked(), want)
	}
	grant := func(g Grant, err error) Grant {
		t.Helper()
		is(t, err, nil)
		return g
	}
	token := func(name, key string) Grant {
		t.Helper()
		return grant(b.Token(sas.Sign("sb://localhost/hub1", name, key, now.Add(time.Hour))))
	}
	primary, secondary, entity := grant(b.Password("send", sendKey)), grant(b.Password("send", sendKey2)), grant(b.Password("entity", hubKey))
	first, second, third := token("send", sendKey), token("send", sendKey2), token("entity", hubKey)
	device := b.Signed(Grant{Rule: "send", Hub: "hub1", Rights: Send}, sendKey)
	ends := func(want error, list ...Grant) {
		t.Helper()
		for _, g := range list {
			may(g, want)
		}
	}
	ends(nil, primary, secondary, entity, first, second, third, device)
	_, err := b.Regenerate("", "send", Primary)
	is(t, err, nil)
	ends(ErrUnauthorized, primary, first, device)
	ends(nil, secondary, second, entity, third)
	is(t, b.RemoveRule("hub1", "entity"), nil)
	ends(ErrUnauthorized, entity, third)
	ends(nil, secondary, second)
	is(t, b.RemoveRule("", "send"), nil)
	ends(ErrUnauthorized, secondary, second)
	_, err = b.AddRule(Rule{Name: "send", Rights: Send, Primary: sendKey}) // the same again
	is(t, err, nil)
	ends(nil, primary, first)
	ends(ErrUnauthorized, secondary)
}
