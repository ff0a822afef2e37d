package fn

// Story is an example that needs events: a query over the input "input", the events, and
// the rows that come out, each a line of JSON. Stories run as tests and stand in the manual.
type Story struct {
	Query  string
	Events []string
	Rows   []string
}
