package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"weir/internal/service"
)

// TestOperatingPage types what the page about operating says, with a service beside it. Blocks
// of sh are typed and their output is not looked at; a console block is typed again until it
// prints what the page says, because the job goes on meanwhile.
func TestOperatingPage(t *testing.T) {
	const file = "../../docs/operating.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o := operate(t)
	if err := o.svc.Delete(o.ctx, "flow"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WEIR_SERVER", o.url)
	dir := t.TempDir()
	marks := map[string]string{"sql": "-- ", "json": "// ", "yaml": "# "}
	var out strings.Builder
	var block []string
	lang, open, commands := "", false, 0
	for line := range strings.Lines(string(page)) {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !open:
			block, lang, open = nil, strings.TrimSpace(fence), true
			out.WriteString(line)
			continue
		case !isFence && open:
			block = append(block, line)
			continue
		case isFence:
			switch mark := marks[lang]; {
			case mark != "":
				writeReadmeFile(t, dir, block, mark)
			case lang == "sh":
				for _, command := range block {
					shell(t, dir, command)
				}
				o.until("the events are read", func() bool { return settled(o.svc) })
			case lang == "console":
				var n int
				block, n = o.typeUntilTrue(dir, block)
				commands += n
			}
			out.WriteString(strings.Join(block, ""))
			open = false
		}
		out.WriteString(line)
	}
	if commands < 6 {
		t.Errorf("the page has %d commands; are they still found?", commands)
	}
	if out.String() == string(page) {
		return
	}
	if os.Getenv("WEIR_UPDATE") == "" {
		t.Error("docs/operating.md does not say what its commands print; read above, or run with WEIR_UPDATE=1")
		return
	}
	if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// settled reports whether the job of the page has read its input.
func settled(svc *service.Service) bool {
	v, err := svc.Job("downtime")
	return err == nil && v.Events == 3 && v.DeadLetters > 0
}

// typeUntilTrue types the commands of a block, each until it prints what the page says, for a
// while.
func (o *operated) typeUntilTrue(dir string, block []string) (lines []string, commands int) {
	o.t.Helper()
	for i := 0; i < len(block); {
		command, ok := strings.CutPrefix(block[i], "$ ")
		if !ok {
			o.t.Fatalf("a console block must start with a command: %q", block[i])
		}
		lines = append(lines, block[i])
		want := ""
		for i++; i < len(block) && !strings.HasPrefix(block[i], "$ "); i++ {
			want += block[i]
		}
		patience := time.Now().Add(10 * time.Second)
		if os.Getenv("WEIR_UPDATE") != "" || strings.Contains(command, "--redrive") {
			patience = time.Time{} // once
		}
		got := shell(o.t, dir, command)
		for got != want && time.Now().Before(patience) {
			got = shell(o.t, dir, command)
		}
		if got != want {
			o.t.Logf("%sprints\n%sand the page says\n%s", command, got, want)
		}
		lines, commands = append(lines, got), commands+1
	}
	return lines, commands
}
