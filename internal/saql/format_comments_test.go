package saql

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestFormatCommentsAnywhere puts comments and line ends between the tokens of queries:
// the tree, the comments and the fixpoint stay.
func TestFormatCommentsAnywhere(t *testing.T) {
	between := []string{" /* c */ ", " -- c\n", "\n-- own\n", "\n/* own */ ", "\n\n/* of\n  two lines */", "/* a */ /* b */\n\n", "\n\n\n", "\r\n-- x \r", "/**/--\n"}
	random := rand.New(rand.NewPCG(1, 2))
	queries := sampleQueries(t)
	for _, c := range conformanceCases(t) {
		queries = append(queries, c.Query)
	}
	for _, q := range queries {
		if _, errs := Parse(q); errs.HasErrors() {
			continue
		}
		toks := lex(q).toks
		for _, often := range []int{2, 4, 8, 30} {
			var b strings.Builder
			for i := range toks {
				tok := &toks[i]
				b.WriteString(q[tok.span.Start:tok.span.End])
				if random.IntN(often) == 0 {
					b.WriteString(between[random.IntN(len(between))])
				} else {
					b.WriteByte(' ')
				}
			}
			checkFormat(t, b.String())
			if t.Failed() {
				return
			}
		}
	}
}
