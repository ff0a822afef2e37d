package eventhubs

import (
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// WebSocketPath is where AMQP over WebSockets is asked for. Clients of .NET put a slash
// behind it (eventhubs.md 1.1, item 1).
const WebSocketPath = "/$servicebus/websocket"

// MaxWebSocketMessage bounds a message of a WebSocket, in bytes. It is not kept: the bytes of
// the messages are one stream.
const MaxWebSocketMessage = 16 << 20

// webSocketProtocols are the names of the subprotocol, AMQP bytes in binary messages: that of
// the SDKs, and that of the standard (amqp-wsb 1.0), which users of the SDK for Go give.
var webSocketProtocols = []string{"AMQPWSB10", "amqp"}

// WebSocket is the server over WebSockets. A page of a browser that is of another origin is
// refused; the SDKs of other programs send no origin. The connection ends with the context of
// the request.
func (s *Server) WebSocket() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: webSocketProtocols})
		if err != nil {
			s.log.Info("a WebSocket was refused", "client", r.RemoteAddr, "error", err)
			return // the client has been told
		}
		if ws.Subprotocol() == "" {
			ws.Close(websocket.StatusPolicyViolation, "the subprotocol is "+strings.Join(webSocketProtocols, " or "))
			return
		}
		ws.SetReadLimit(MaxWebSocketMessage)
		conn := websocket.NetConn(r.Context(), ws, websocket.MessageBinary)
		if err := s.Serve(r.Context(), conn); err != nil {
			s.log.Info("an AMQP client over a WebSocket has left", "client", r.RemoteAddr, "error", err)
		}
	})
}
