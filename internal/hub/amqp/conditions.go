package amqp

// The conditions of errors (amqp-core 2.8.15 to 2.8.18).
const (
	InternalError         = "amqp:internal-error"
	NotFound              = "amqp:not-found"
	UnauthorizedAccess    = "amqp:unauthorized-access"
	DecodeError           = "amqp:decode-error"
	ResourceLimitExceeded = "amqp:resource-limit-exceeded"
	NotAllowed            = "amqp:not-allowed"
	InvalidField          = "amqp:invalid-field"
	NotImplemented        = "amqp:not-implemented"
	ResourceLocked        = "amqp:resource-locked"
	PreconditionFailed    = "amqp:precondition-failed"
	ResourceDeleted       = "amqp:resource-deleted"
	IllegalState          = "amqp:illegal-state"
	FrameSizeTooSmall     = "amqp:frame-size-too-small"

	ConnectionForced = "amqp:connection:forced"
	FramingError     = "amqp:connection:framing-error"

	WindowViolation  = "amqp:session:window-violation"
	ErrantLink       = "amqp:session:errant-link"
	HandleInUse      = "amqp:session:handle-in-use"
	UnattachedHandle = "amqp:session:unattached-handle"

	DetachForced          = "amqp:link:detach-forced"
	TransferLimitExceeded = "amqp:link:transfer-limit-exceeded"
	MessageSizeExceeded   = "amqp:link:message-size-exceeded"
	Stolen                = "amqp:link:stolen"
)
