package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"weir/internal/saql"
)

type fmtCmd struct {
	Files []string `arg:"" optional:"" placeholder:"FILE" help:"Queries to format; none or - is standard input."`
	List  bool     `short:"l" help:"Print the names of files whose layout differs, and exit with 1 if there are any."`
	Diff  bool     `short:"d" help:"Print what would change, and exit with 1 if anything would."`
	Write bool     `short:"w" help:"Write the result back to the file."`
}

// Help shows examples before the flags.
func (fmtCmd) Help() string {
	return `Examples:
  weir fmt query.saql
  weir fmt -w *.saql
  weir fmt -l *.saql

Names, literals and comments stay as they are. Without -l, -d or -w the formatted text
goes to standard output.`
}

// Run formats the files.
func (f *fmtCmd) Run(con *console) error {
	files := f.Files
	if len(files) == 0 {
		files = []string{"-"}
	}
	differ, wrong := false, false
	for _, file := range files {
		src, err := readText(con, file)
		if err != nil {
			return err
		}
		out, found := saql.Format(src)
		if found.HasErrors() {
			found.Render(con.err, file, src, con.errColor)
			wrong = true
			continue
		}
		differ = differ || out != src
		if err := f.one(con, file, src, out); err != nil {
			return err
		}
	}
	switch {
	case wrong:
		return silent(exitUsage)
	case differ && (f.List || f.Diff):
		return silent(exitFindings)
	}
	return nil
}

// one says or writes what became of a file.
func (f *fmtCmd) one(con *console, file, src, out string) error {
	if f.List && out != src {
		fmt.Fprintln(con.out, file)
	}
	if f.Diff && out != src {
		fmt.Fprint(con.out, lineDiff(file, src, out))
	}
	if f.Write && out != src {
		if file == "-" {
			return usage("-w needs a file; standard input cannot be written back")
		}
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			return usage("cannot write back: %w", err)
		}
	}
	if !f.List && !f.Diff && !f.Write {
		_, err := io.WriteString(con.out, out)
		return err
	}
	return nil
}

// lineDiff shows the whole text with the lines that go (-) and come (+). Queries are
// short, so the table of all pairs of lines is small enough.
func lineDiff(file, old, new string) string {
	a, b := strings.SplitAfter(old, "\n"), strings.SplitAfter(new, "\n")
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s formatted\n", file, file)
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	common := make([][]int32, len(a)+1)
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	line := func(mark, s string) {
		if s != "" {
			fmt.Fprintf(&out, "%s%s\n", mark, strings.TrimSuffix(s, "\n"))
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			line(" ", a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			line("-", a[i])
			i++
		default:
			line("+", b[j])
			j++
		}
	}
	return out.String()
}
