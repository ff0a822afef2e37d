package main

import "weir/internal/diag"

// explainCode prints what a code of a message means.
func explainCode(con *console, code diag.Code) error {
	return usage("no message has the code %s", code)
}
