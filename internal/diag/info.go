package diag

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Info is the meaning of a code, as `weir explain` prints it. Message and Hint are
// templates: what stands in <> is filled in. Bad is a text that gets the code, Good one
// that does not.
type Info struct {
	Code    Code
	Message string
	Hint    string
	Explain string
	Bad     string
	Good    string
}

// Severity of the findings with this code.
func (i Info) Severity() Severity {
	if strings.HasPrefix(string(i.Code), "W") {
		return SeverityWarning
	}
	return SeverityError
}

// infos is the one table of codes.
var infos = slices.Concat(infoNames, infoValues, infoQueries, infoTime, infoFunctions, infoWarnings)

// All gives all codes in order: errors, then warnings.
func All() []Info { return slices.Clone(infos) }

// Lookup finds the meaning of a code, without case.
func Lookup(code string) (Info, bool) {
	for _, i := range infos {
		if strings.EqualFold(string(i.Code), code) {
			return i, true
		}
	}
	return Info{}, false
}

// Write prints the meaning of a code for a person.
func (i Info) Write(w io.Writer) {
	fmt.Fprintf(w, "%s[%s]: %s\n\n%s\n", i.Severity(), i.Code, i.Message, wrap(i.Explain))
	if i.Hint != "" {
		fmt.Fprintf(w, "\nHint: %s\n", i.Hint)
	}
	if i.Bad != "" {
		fmt.Fprintf(w, "\nInstead of\n\n    %s\n\nwrite\n\n    %s\n", i.Bad, i.Good)
	}
}

// wrap breaks a paragraph into lines of at most 80 columns.
func wrap(text string) string {
	var b strings.Builder
	width := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case width == 0:
		case width+1+len(word) > 80:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	return b.String()
}
