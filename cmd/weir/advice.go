package main

import (
	"regexp"
	"strings"

	"weir/internal/diag"
	"weir/internal/plan"
)

// The compiler knows what a job must declare, and not how: here it is done with flags.
var (
	lookupTable  = regexp.MustCompile(`if "([^"]+)" is a lookup table, declare it as reference input$`)
	userFunction = regexp.MustCompile(`^no function named "(?i:(UDF|UDA))\.([^"]+)"$`)
)

const noSuchFunction = "the job has no such function"

// adviseFlags says in the hints which flags declare what the compiler misses.
func adviseFlags(list diag.List) {
	for _, d := range list {
		switch d.Code {
		case diag.SA6001:
			if m := lookupTable.FindStringSubmatch(d.Hint); m != nil {
				d.Hint += ": -r " + m[1] + "=FILE"
			}
		case diag.SA7001:
			m := userFunction.FindStringSubmatch(d.Message)
			if m == nil || d.Hint != noSuchFunction {
				continue
			}
			flag, create := "--function ", "CREATE FUNCTION "
			if strings.EqualFold(m[1], "UDA") {
				flag, create = "--aggregate ", "CREATE AGGREGATE "
			}
			d.Hint = "declare it with " + flag + m[2] + "=FILE.js, or with " + create + m[2] + " AS '..' before the query"
		}
	}
}

// sourceName finds the names of sources in the text of a query, as near as need be for a
// suggestion.
var sourceName = regexp.MustCompile(`(?i)\b(?:FROM|JOIN)\s+["\[]?([\pL_][\pL\pN_-]*)`)

// unknownReferences complains about a flag -r that names nothing in a query that does not
// compile: often that is why it does not.
func unknownReferences(src string, inputs []plan.InputDecl) error {
	var known []string
	for _, m := range sourceName.FindAllStringSubmatch(src, -1) {
		known = append(known, m[1])
	}
next:
	for _, in := range inputs {
		for _, k := range known {
			if strings.EqualFold(k, in.Name) {
				continue next
			}
		}
		return usage("-r %s: the query reads no input %q%s", in.Name, in.Name, didYouMean(in.Name, known))
	}
	return nil
}
