package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/job"
	"weir/internal/service"
)

// TestWhyVerb: text and JSON, of a service and of samples, and what is not there.
func TestWhyVerb(t *testing.T) {
	o := operate(t)
	o.events(3)
	o.until("rows are counted", func() bool { v, _ := o.svc.Job("flow"); return v.Rows == 2 })
	f := func(code int, want string, args ...string) {
		t.Helper()
		out, said := o.run(code, append([]string{"why"}, args...)...)
		if !strings.Contains(out+said, want) {
			t.Errorf("%v prints\n%s%s\nand not\n%s", args, out, said, want)
		}
	}
	const funnel = "rows has 2 rows\n       3 received from events\n     − 1 filtered out   in evens, line 5, n % 2 = 0\n       2 rows in rows"
	f(exitOK, funnel+"   exactly once\nlikely cause: nothing is broken; the greatest loss is 1 filtered out\n", "flow")
	f(exitOK, funnel, "flow", "ROWS")
	f(exitUsage, `the job "flow" has no output "row"; did you mean "rows"?`, "flow", "row")
	f(exitUsage, `there is no such job as "flaw"`, "flaw")
	out, _ := o.run(exitOK, "why", "flow", "--json")
	var w service.Why
	if err := json.Unmarshal([]byte(out), &w); err != nil || w.Rows != 2 || w.Biggest != 1 || w.State != job.Running {
		t.Errorf("%s: %v", out, err)
	}

	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("weir.yaml", "version: 1\njob: {name: samples, query: q.saql}\ninputs: {e: {sample: e.csv}, r: {sample: r.json, reference: true}}\noutputs: {o: , p: }\n")
	write("q.saql", "SELECT e.k, COUNT(*) AS c INTO o FROM e TIMESTAMP BY t JOIN r ON e.k = r.k GROUP BY e.k, TumblingWindow(hour, 1)\nSELECT k INTO p FROM e TIMESTAMP BY t WHERE k = 'A'")
	write("e.csv", "k,t\na,2018-01-10T10:00:00Z\nb,2018-01-10T10:00:00Z\n")
	write("r.json", `[{"k":"A"}]`)
	f(exitOK, `finds none of 2 rows in the reference data: k of "e" is 'a' and k of "r" is 'A': they differ by case`, dir)
	f(exitOK, "k is 'a' in the rows that came, and the query asks for 'A': they differ by case", dir, "p")
	f(exitUsage, `the query has no output "q"; there are o, p`, dir, "q")
	f(exitUsage, "cannot read the job", filepath.Join(dir, "none.yaml"))
	write("q.saql", "SELECT CAST(k AS bigint) AS k INTO o FROM e")
	f(exitOK, "likely cause: the run has failed: cannot cast value 'a'", dir)
	write("q.saql", "SELECT LENN(k) AS k INTO o FROM e")
	f(exitUsage, "q.saql:1:8", dir)
	write("e.csv", "k,t\n")
	write("q.saql", "SELECT k INTO o FROM e")
	f(exitOK, `there is no event in input "e"`, dir)
	write("weir.yaml", "version: 1\njob: {name: samples, query: q.saql}\ninputs: {e: }\noutputs: {o: }\n")
	f(exitUsage, "e", dir)
}
