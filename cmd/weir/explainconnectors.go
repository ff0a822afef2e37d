package main

import (
	"fmt"
	"strings"

	"weir/internal/connect"
)

// explainConnectors prints what the connectors declare: which ways they work and what they
// promise.
func explainConnectors(con *console) error {
	wide := len("connector")
	for _, s := range connect.All() {
		wide = max(wide, len(s.Name))
	}
	var b strings.Builder
	line := func(name, way, promise string) {
		fmt.Fprintf(&b, "%-*s  %-9s  %s\n", wide, name, way, promise)
	}
	line("connector", "way", "guarantee")
	for _, s := range connect.All() {
		name := s.Name
		say := func(way, promise string) {
			line(name, way, promise)
			name = ""
		}
		if s.Source != nil {
			say("in", s.In)
		}
		if s.Source != nil && s.Reference {
			say("reference", "read whole, version by version")
		}
		if s.Sink != nil {
			say("out", s.Out)
		}
	}
	b.WriteString("\n\"weir schema connectors\" lists their settings.\n")
	_, err := con.out.Write([]byte(b.String()))
	return err
}
