package sql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
)

// commonFault is what errors mean that come from no database: networks, and who we talk to.
func commonFault(err error) fault {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify):
		return fault{kind: permanent, hint: "the certificate of the server is not trusted: name its authority by ca:, or set tls: require if the network is trusted"}
	case errors.As(err, &record), strings.Contains(err.Error(), "refused TLS"), strings.Contains(err.Error(), "does not support TLS"), strings.Contains(err.Error(), "does not support encryption"):
		return fault{kind: permanent, hint: "the server offers no encryption: switch it on there, or set tls: disable if the network is trusted"}
	}
	return fault{kind: again}
}

// hinted are hints that several databases share.
const (
	hintLogin      = "check user and password"
	hintPermission = "the user needs the right to read and write the table, and the table of epochs"
	hintDatabase   = "check the name of the database"
)
