package eventhubs

import (
	"errors"
	"fmt"
	"strings"

	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
)

// The conditions of errors, as the tables of the SDKs have them.
const (
	condNotFound       = "amqp:not-found"
	condNotAllowed     = "amqp:not-allowed"
	condNotImplemented = "amqp:not-implemented"
	condUnauthorized   = "amqp:unauthorized-access"
	condInternal       = "amqp:internal-error"
	condDecode         = "amqp:decode-error"
	condLimit          = "amqp:resource-limit-exceeded"
	condStolen         = "amqp:link:stolen"
	condForced         = "amqp:link:detach-forced"
	condTooLarge       = "amqp:link:message-size-exceeded"
	condBusy           = "com.microsoft:server-busy"
	condArgument       = "com.microsoft:argument-error"
	condOutOfRange     = "com.microsoft:argument-out-of-range"
	condProducerStolen = "com.microsoft:producer-epoch-stolen"
	condOutOfOrder     = "com.microsoft:out-of-order-sequence"
)

// refusal is what a client is told of an error of the broker. What it did not cause is
// logged by the caller; of that it learns no more than that it happened.
func refusal(err error) *amqp.Error {
	var e *amqp.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, log.ErrBusy), errors.Is(err, log.ErrLogFull), errors.Is(err, disk.ErrFull):
		return &amqp.Error{Condition: condBusy, Description: fmt.Sprintf("The server is busy: %s. Please wait 4 seconds and try again.", busyWhy(err))}
	case errors.Is(err, hub.ErrTooLarge):
		return &amqp.Error{Condition: condTooLarge, Description: sentence(err)}
	case errors.Is(err, hub.ErrFenced):
		return &amqp.Error{Condition: condProducerStolen, Description: sentence(err)}
	case errors.Is(err, hub.ErrGap):
		return &amqp.Error{Condition: condOutOfOrder, Description: sentence(err)}
	case errors.Is(err, hub.ErrUnauthorized), errors.Is(err, hub.ErrForbidden):
		return &amqp.Error{Condition: condUnauthorized, Description: "Unauthorized access: " + withoutKind(err)}
	case errors.Is(err, hub.ErrNoHub), errors.Is(err, hub.ErrNoGroup):
		return &amqp.Error{Condition: condNotFound, Description: sentence(err)}
	case errors.Is(err, hub.ErrNoPartition):
		return &amqp.Error{Condition: condOutOfRange, Description: sentence(err)}
	case errors.Is(err, hub.ErrClosed):
		return &amqp.Error{Condition: condForced, Description: "The event hub was removed, or the server stops."}
	}
	return &amqp.Error{Condition: condInternal, Description: "The server could not do it; its log says why."}
}

// busyWhy says which limit was met without the paths of files.
func busyWhy(err error) string {
	switch {
	case errors.Is(err, log.ErrBusy):
		return log.ErrBusy.Error()
	case errors.Is(err, log.ErrLogFull):
		return log.ErrLogFull.Error()
	}
	return disk.ErrFull.Error()
}

func sentence(err error) string { return err.Error() + "." }

// withoutKind leaves out the first word of an error of the broker, which the condition says.
func withoutKind(err error) string {
	text := sentence(err)
	for _, kind := range []error{hub.ErrUnauthorized, hub.ErrForbidden} {
		text = strings.TrimPrefix(text, kind.Error()+": ")
	}
	return text
}

// internal reports whether an error is nothing that a client caused or should expect.
func internal(e *amqp.Error) bool { return e.Condition == condInternal }
