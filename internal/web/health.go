package web

import (
	"encoding/json"
	"net/http"

	"weir/internal/job"
)

// component is a part of the service and whether it is ready.
type component struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Ready  bool   `json:"ready"`
	Detail string `json:"detail,omitempty"`
}

// readiness is the answer of /readyz?verbose.
type readiness struct {
	Ready      bool        `json:"ready"`
	Components []component `json:"components"`
}

// ready tells whether all jobs that are to run do. While one restores its state or makes up for
// what came meanwhile, they do not. A job that has failed and will not start by itself does
// not keep the others from being used.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	v := readiness{Ready: true, Components: []component{}}
	stats := s.svc.RawStats()
	for _, j := range s.svc.Jobs() {
		st := stats[j.Name]
		c := component{Name: "job/" + j.Name, State: string(j.State), Ready: true, Detail: j.Reason}
		if j.State == job.Starting || st.Replaying {
			c.Ready = false
			if c.Detail == "" {
				c.Detail = "restoring"
			}
		}
		v.Ready = v.Ready && c.Ready
		v.Components = append(v.Components, c)
	}
	status := http.StatusOK
	if !v.Ready {
		status = http.StatusServiceUnavailable
	}
	if _, verbose := r.URL.Query()["verbose"]; !verbose {
		text := "ready\n"
		if !v.Ready {
			text = "not ready\n"
		}
		plain(w, status, text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
