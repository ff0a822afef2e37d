package mqtt

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"weir/internal/hub"
	"weir/internal/hub/sas"
)

// DeviceKey is the own key of a device: base64(HMAC-SHA256(key, device id)), with the key of
// a policy decoded from base64. It is how Azure's provisioning service derives the keys of
// an enrollment group, so its tools derive the same. It is good for what the policy may
// send; when the policy's key is replaced, so are those of its devices. A key that is not
// base64 counts as it is.
func DeviceKey(key, device string) string {
	h := hmac.New(sha256.New, decodeKey(key))
	h.Write([]byte(device))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// decodeKey is a key as IoT Hub signs with it; Event Hubs signs with its text.
func decodeKey(key string) []byte {
	if b, err := base64.StdEncoding.DecodeString(key); err == nil {
		return b
	}
	return []byte(key)
}

// refusal is why a client is not let in: for MQTT 5, for MQTT 3.1.1, and for the log.
type refusal struct {
	v5, v3 packets.Code
	err    error
}

func refuse(v5, v3 packets.Code, err error) *refusal { return &refusal{v5, v3, err} }

func unauthorized(err error) *refusal {
	return refuse(packets.ErrNotAuthorized, packets.Err3NotAuthorized, err)
}

// scopes of iothub-connection-auth-method: by the device's own key, or by a policy.
var (
	byDevice = []byte(`{"scope":"device","type":"sas","issuer":"iothub"}`)
	byPolicy = []byte(`{"scope":"hub","type":"sas","issuer":"iothub"}`)
)

// admitDevice checks the credentials of a device and finds its hub.
func (s *Server) admitDevice(x *session, d device, clientID, token string) *refusal {
	if clientID != d.client() {
		return refuse(packets.ErrClientIdentifierNotValid, packets.Err3ClientIdentifierNotValid,
			fmt.Errorf("the client id %.80q is not that of the user name, %.80q", clientID, d.client()))
	}
	h, err := s.o.Broker.Hub(label(d.host))
	if err != nil {
		h, err = s.o.Broker.Hub(s.o.Hub)
	}
	if err != nil {
		return refuse(packets.ErrServerUnavailable, packets.Err3ServerUnavailable, fmt.Errorf("the hub of devices: %w", err))
	}
	g, method, err := s.deviceGrant(d, h.Name(), token)
	if err == nil {
		err = g.May(hub.Send, h.Name(), s.now())
	}
	if err != nil {
		return unauthorized(err)
	}
	x.device, x.hub, x.grant, x.method = d, h, g, method
	x.name = "device " + d.resource()
	x.key = []byte(d.id)
	return nil
}

// deviceGrant checks a token for a device. All keys that may have signed it are tried,
// whether one has or not, so that it takes as long.
func (s *Server) deviceGrant(d device, hubName, token string) (hub.Grant, []byte, error) {
	no := func(why string) (hub.Grant, []byte, error) {
		return hub.Grant{}, nil, fmt.Errorf("%w: %s", hub.ErrUnauthorized, why)
	}
	t, err := sas.ParseDevice(token)
	if err != nil {
		return no(err.Error())
	}
	if !t.Expires.After(s.now()) {
		return no("the token has expired")
	}
	var found *hub.Rule
	by := ""
	for _, r := range s.rules(hubName) {
		for _, key := range []string{r.Primary, r.Secondary} {
			if key == "" {
				continue // one that is not set has signed nothing
			}
			var signed bool
			if t.KeyName == "" {
				own, _ := base64.StdEncoding.DecodeString(DeviceKey(key, d.id))
				signed = t.SignedWith(string(own))
			} else {
				byText, byBytes := t.SignedWith(key), t.SignedWith(string(decodeKey(key)))
				signed = r.Name == t.KeyName && (byText || byBytes)
			}
			if signed && found == nil {
				found, by = &r, key
			}
		}
	}
	switch {
	case found == nil:
		return no("the signature is not that of a key that may send for the device " + fmt.Sprintf("%.80q", d.id))
	case !covers(t.Path(), d, t.KeyName != ""):
		return no(fmt.Sprintf("the token is not for the device %.80q", d.id))
	}
	g := s.o.Broker.Signed(hub.Grant{Rule: found.Name, Hub: found.Hub, Rights: found.Rights, Expires: t.Expires}, by)
	if t.KeyName == "" {
		g.Rights = hub.Send // a device's key sends, whatever its policy may
		return g, byDevice, nil
	}
	return g, byPolicy, nil
}

// rules are the policies that devices of a hub may sign with.
func (s *Server) rules(hubName string) []hub.Rule {
	var list []hub.Rule
	for _, r := range append(s.o.Broker.Rules(""), s.o.Broker.Rules(hubName)...) {
		if r.Rights&(hub.Send|hub.Manage) != 0 {
			list = append(list, r)
		}
	}
	return list
}

// covers reports whether a resource path is the device's or, for policies, above it.
func covers(path string, d device, policy bool) bool {
	path = strings.Trim(path, "/")
	switch path {
	case d.resource(), "devices/" + d.id: // a module may sign in with its device's token
		return true
	case "", "devices":
		return policy
	}
	return false
}

// maxClientID bounds the id of a client, in bytes, which is the partition key of its events.
const maxClientID = 256

// errAnonymous is for clients without a password.
var errAnonymous = errors.New("a user name and a password are needed: a key's name and the key, or a shared access signature as the password")

// admitOther checks the credentials of a client that is no device of IoT Hub.
func (s *Server) admitOther(x *session, clientID, user, password string) *refusal {
	if user == "" || password == "" {
		return refuse(packets.ErrBadUsernameOrPassword, packets.ErrMalformedUsernameOrPassword, errAnonymous)
	}
	var g hub.Grant
	var err error
	if strings.HasPrefix(password, "SharedAccessSignature ") {
		if g, err = s.o.Broker.Token(password); err == nil && g.Path != "" && g.Path != "messages" {
			err = fmt.Errorf("%w: the token is for %.80q, and clients of MQTT need one for a hub or the namespace", hub.ErrUnauthorized, g.Hub+"/"+g.Path)
		}
	} else {
		g, err = s.o.Broker.Password(user, password)
	}
	if err != nil {
		return unauthorized(err)
	}
	x.grant = g
	if len(clientID) > maxClientID {
		return refuse(packets.ErrClientIdentifierNotValid, packets.Err3ClientIdentifierNotValid,
			fmt.Errorf("the client id has %d bytes; %d is the most", len(clientID), maxClientID))
	}
	if clientID != "" {
		// Another key gives another client, whatever it calls itself.
		x.name = fmt.Sprintf("key %q %q client %s", g.Hub, g.Rule, clientID)
		x.key = []byte(clientID)
	}
	return nil
}
