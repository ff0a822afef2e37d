package crashtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The downtime story: three endpoints of each team report every second over HTTP that they
// do not answer; a job of two steps makes of it the seconds of each minute in which a team was
// down, as documents; the change feed of the documents feeds a second job, which adds them up.
// The program is killed in the midst of it.

const downtimeQuery = `WITH step AS (
  SELECT TeamId, System.Timestamp() AS Time, COUNT(*) AS Endpoints
  FROM downtime TIMESTAMP BY Date
  GROUP BY TeamId, TumblingWindow(second, 1)
)
SELECT TeamId, System.Timestamp() AS Minute, COUNT(*) AS DownSeconds
INTO minutes
FROM step
GROUP BY TeamId, TumblingWindow(minute, 1)
`

const sumQuery = `SELECT TeamId, SUM(DownSeconds) OVER (PARTITION BY TeamId LIMIT DURATION(day, 7)) AS Total
INTO totals FROM minutes
`

const (
	storyMinutes = 6
	storyKills   = 3
)

// down tells whether an endpoint of a team does not answer in a second of the story.
func down(team, endpoint, second int) bool {
	return (second*7+team*13+endpoint*5)%(11+team) < 3
}

func TestDowntimeStory(t *testing.T) {
	s := newStory(t)
	s.begin()
	at := time.Date(2018, 1, 10, 10, 10, 0, 0, time.UTC)
	seconds := storyMinutes * 60
	for second := 1; second <= seconds; second++ {
		for team := 1; team <= 3; team++ {
			for endpoint, name := range []string{"POI", "USER", "TRIP"} {
				if down(team, endpoint, second) {
					s.report(fmt.Sprintf("Team%02d", team), name, at.Add(time.Duration(second)*time.Second))
				}
			}
		}
		if second%(seconds/(storyKills+1)) == 0 && second < seconds {
			s.kill()
			s.begin()
		}
	}
	// A report an hour later ends the last minute.
	s.report("Team99", "POI", at.Add(2*time.Hour))
	want := map[string]float64{}
	for team := 1; team <= 3; team++ {
		for second := 1; second <= seconds; second++ {
			if down(team, 0, second) || down(team, 1, second) || down(team, 2, second) {
				want[fmt.Sprintf("Team%02d", team)]++
			}
		}
	}
	s.await(want)
	s.stop()
}

type story struct {
	t        *testing.T
	dir, bin string
	in, api  string
	cmd      *exec.Cmd
	stderr   *bytes.Buffer
	exited   chan error
	sent     int
}

func newStory(t *testing.T) *story {
	t.Helper()
	s := &story{t: t, dir: t.TempDir(), in: freeAddress(t), api: freeAddress(t)}
	s.bin = filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("go", "build", "-o", s.bin, "weir/cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	s.write("jobs/downtime/downtime.saql", downtimeQuery)
	s.write("jobs/downtime/weir.yaml", `version: 1
job:
  name: downtime
  query: ./downtime.saql
  checkpoint: 200ms
  time: {late_arrival: none, out_of_order: 0s, policy: adjust}
inputs:
  downtime: {type: http, listen: "`+s.in+`", path: /downtime}
outputs:
  minutes: {type: table, path: ../../tables/minutes.db, key: [TeamId, Minute]}
`)
	s.write("jobs/totals/totals.saql", sumQuery)
	s.write("jobs/totals/weir.yaml", `version: 1
job:
  name: totals
  query: ./totals.saql
  checkpoint: 200ms
inputs:
  minutes: {type: table, path: ../../tables/minutes.db}
outputs:
  totals: {type: table, path: ../../tables/totals.db, key: [TeamId]}
`)
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *story) write(name, text string) {
	s.t.Helper()
	name = filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) begin() {
	s.t.Helper()
	s.stderr = &bytes.Buffer{}
	s.cmd = exec.Command(s.bin, "serve", "--data", filepath.Join(s.dir, "data"), "--jobs", filepath.Join(s.dir, "jobs"), "--listen", s.api, "--no-hub", "--from", "beginning")
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(s.cmd, s.exited)
	s.t.Cleanup(func() { s.cmd.Process.Kill() })
}

// alive fails the test if the program has ended by itself.
func (s *story) alive() {
	s.t.Helper()
	select {
	case err := <-s.exited:
		s.t.Fatalf("the program ended by itself: %v\n%s", err, s.stderr)
	default:
	}
}

func (s *story) kill() {
	s.t.Helper()
	s.alive()
	s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.exited
}

func (s *story) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := <-s.exited; err != nil {
		s.t.Errorf("stopped with %v\n%s", err, s.stderr)
	}
}

// report posts an event until it is acknowledged.
func (s *story) report(team, endpoint string, at time.Time) {
	s.t.Helper()
	s.sent++
	body := fmt.Sprintf(`{"TeamId":%q,"Endpoint":%q,"Date":%q}`, team, endpoint, at.Format("2006-01-02T15:04:05.0000000Z"))
	for began := time.Now(); ; pause(2 * time.Millisecond) {
		s.alive()
		req, err := http.NewRequest("POST", "http://"+s.in+"/downtime", bytes.NewReader([]byte(body)))
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", fmt.Sprintf("report-%d", s.sent))
		if res, err := http.DefaultClient.Do(req); err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode/100 == 2 {
				return
			}
		}
		if time.Since(began) > 20*time.Second {
			s.t.Fatalf("report %d is not taken\n%s", s.sent, s.stderr)
		}
	}
}

// await waits until the documents of the totals are what they should be.
func (s *story) await(want map[string]float64) {
	s.t.Helper()
	for began := time.Now(); ; pause(10 * time.Millisecond) {
		s.alive()
		got, text := s.totals()
		same := len(got) == len(want)
		for team, total := range want {
			same = same && got[team] == total
		}
		if same {
			return
		}
		if time.Since(began) > 20*time.Second {
			s.t.Fatalf("totals are %v, want %v\n%s\n%s", got, want, text, s.stderr)
		}
	}
}

func (s *story) totals() (map[string]float64, string) {
	s.t.Helper()
	res, err := http.Get("http://" + s.api + "/api/v1/tables/totals.totals/docs")
	if err != nil {
		return nil, err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	var page struct {
		Documents []struct {
			Doc struct {
				TeamID string `json:"TeamId"`
				Total  float64
			}
		}
	}
	if err := json.Unmarshal(text, &page); err != nil {
		return nil, string(text)
	}
	got := map[string]float64{}
	for _, d := range page.Documents {
		got[d.Doc.TeamID] = d.Doc.Total
	}
	return got, string(text)
}
