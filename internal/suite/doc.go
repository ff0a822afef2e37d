// Package suite runs the tests of a job: its own (a YAML file with events, expected rows and
// a virtual clock), those of Azure projects (testConfig.json and the folders of
// asa.unittest), and conformance cases. Every test runs through the whole engine: parse,
// compile, decode, policies, operators, encode.
//
// # Time in tests
//
// A test whose events have no arrival times and that sets no policies is a run on samples:
// events come in the order of their own time and no policy applies (saql.md 4.10). As soon
// as one event says when it arrives ("at"), or the test sets "time", "advance" or
// "emits_at", the policies of the job apply as they do live, and time is virtual: the
// arrival of an event is the clock, "advance" lets it run on, and nothing ever sleeps.
package suite
