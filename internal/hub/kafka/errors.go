package kafka

import (
	"errors"
	"fmt"

	"weir/internal/hub"
	"weir/internal/hub/log"
)

// The error codes of the protocol that are told to clients.
const (
	errUnknownServer          = -1
	errNone                   = 0
	errOffsetOutOfRange       = 1
	errCorruptMessage         = 2
	errUnknownTopic           = 3
	errRequestTimedOut        = 7
	errMessageTooLarge        = 10
	errOffsetMetadataTooLarge = 12
	errCoordinatorLoading     = 14
	errInvalidTopic           = 17
	errNotEnoughReplicas      = 19
	errIllegalGeneration      = 22
	errInconsistentProtocol   = 23
	errInvalidGroupID         = 24
	errUnknownMember          = 25
	errInvalidSessionTimeout  = 26
	errRebalanceInProgress    = 27
	errTopicAuthorization     = 29
	errGroupAuthorization     = 30
	errClusterAuthorization   = 31
	errUnsupportedMechanism   = 33
	errIllegalSASLState       = 34
	errUnsupportedVersion     = 35
	errTopicExists            = 36
	errInvalidPartitions      = 37
	errInvalidReplication     = 38
	errInvalidAssignment      = 39
	errInvalidConfig          = 40
	errInvalidRequest         = 42
	errUnsupportedForFormat   = 43
	errPolicyViolation        = 44
	errOutOfOrderSequence     = 45
	errInvalidProducerEpoch   = 47
	errInvalidTxnState        = 48
	errTransactionalID        = 53
	errStorage                = 56
	errAuthenticationFailed   = 58
	errNonEmptyGroup          = 68
	errGroupIDNotFound        = 69
	errFetchSessionIDNotFound = 70
	errUnknownLeaderEpoch     = 75
	errUnsupportedCompression = 76
	errMemberIDRequired       = 79
	errGroupMaxSize           = 81
	errFencedInstanceID       = 82
	errGroupSubscribed        = 86
	errInvalidRecord          = 87
	errUnknownTopicID         = 100
)

// codeOf is the code and the text for an error of the broker, the log or the disk. Errors
// that trying again helps against are retriable for clients.
func codeOf(err error) (int16, *string) {
	code := int16(errUnknownServer)
	var damage *log.DamageError
	var own *codeError
	switch {
	case err == nil:
		return errNone, nil
	case errors.As(err, &own):
		code = own.code
	case errors.Is(err, hub.ErrNoHub), errors.Is(err, hub.ErrNoPartition):
		code = errUnknownTopic
	case errors.Is(err, hub.ErrUnauthorized), errors.Is(err, hub.ErrForbidden):
		code = errTopicAuthorization
	case errors.Is(err, hub.ErrTooLarge), errors.Is(err, log.ErrTooLarge):
		code = errMessageTooLarge
	case errors.Is(err, log.ErrBusy), errors.Is(err, log.ErrLogFull), errors.Is(err, hub.ErrFull):
		code = errNotEnoughReplicas // the one for "not now" that all clients try again after
	case errors.Is(err, hub.ErrFenced):
		code = errInvalidProducerEpoch
	case errors.Is(err, hub.ErrGap), errors.Is(err, log.ErrAfter):
		code = errOutOfOrderSequence
	case errors.Is(err, hub.ErrExists):
		code = errTopicExists
	case errors.Is(err, hub.ErrNoGroup):
		code = errGroupIDNotFound
	case errors.Is(err, hub.ErrBadConfig):
		code = errInvalidRequest
	case errors.Is(err, hub.ErrBadName):
		code = errInvalidTopic
	case errors.Is(err, hub.ErrTooMany):
		code = errPolicyViolation
	case errors.Is(err, log.ErrGone):
		code = errOffsetOutOfRange
	case errors.As(err, &damage), errors.Is(err, hub.ErrClosed):
		code = errStorage
	}
	text := err.Error()
	if errors.Is(err, hub.ErrFull) { // where the files lie is nothing for clients
		text = hub.ErrFull.Error()
	}
	return code, &text
}

// codeError is an error that has its code.
type codeError struct {
	code   int16
	reason string
}

func (e *codeError) Error() string { return e.reason }

// refuse makes an error with a code.
func refuse(code int16, format string, args ...any) error {
	return &codeError{code, fmt.Sprintf(format, args...)}
}
