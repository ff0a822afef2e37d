package eventhubs

import (
	"errors"
	"fmt"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// The types of tokens of put-token. Python's SDK sends jwt with a shared access signature.
const (
	typeSAS = "servicebus.windows.net:sastoken"
	typeJWT = "jwt"
)

// errJWT is for tokens of Microsoft Entra, which the hub has no way to check.
var errJWT = fmt.Errorf("%w: a JSON web token was put, and this hub takes shared access signatures only; use a connection string", hub.ErrUnauthorized)

// putToken answers a request to $cbs (claims-based security, eventhubs.md 1.1, item 4).
func (c *conn) putToken(r request) reply {
	if op := r.text("operation"); op != "put-token" {
		return failed(&amqp.Error{Condition: condNotImplemented, Description: fmt.Sprintf("The operation %.80q is not known; $cbs has put-token.", op)})
	}
	token, audience := string(r.body), r.text("name")
	kind := r.text("type")
	switch {
	case kind != typeSAS && kind != typeJWT:
		return failed(&amqp.Error{Condition: condArgument, Description: fmt.Sprintf("The token type %.80q is not known; it is %s.", kind, typeSAS)})
	case audience == "":
		return failed(&amqp.Error{Condition: condArgument, Description: "The application property name, which says what the token is for, is missing."})
	case isJWT(token):
		return failed(errJWT)
	}
	if err := c.put(audience, token); err != nil {
		if errors.Is(err, hub.ErrTooMany) {
			err = &amqp.Error{Condition: condLimit, Description: sentence(err)}
		}
		return failed(err)
	}
	return reply{status: 202, text: "Accepted"}
}
