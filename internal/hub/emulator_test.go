package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/disk"
)

// TestReadEmulatorConfig: the file that comes with the emulator, and what people make of it.
func TestReadEmulatorConfig(t *testing.T) {
	good := func(text, want string) {
		t.Helper()
		ns, configs, err := ReadEmulatorConfig([]byte(text))
		got := ns
		for _, c := range configs {
			got += fmt.Sprintf(" %s/%d%q", c.Name, c.Partitions, c.Groups)
		}
		if err != nil || got != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
	good(`{ "UserConfig": { "NamespaceConfig": [ { "Type": "EventHub", "Name": "emulatorNs1", "Entities": [
		{ "Name": "eh1", "PartitionCount": "2", "ConsumerGroups": [ { "Name": "cg1" } ] } ] } ], "LoggingConfig": { "Type": "File" } } }`, `emulatorNs1 eh1/2["cg1"]`)
	good("\ufeff"+`{"userConfig":{"namespaceConfig":[{"name":"n","entities":[{"name":"a","partitionCount":32,"consumerGroups":[{"name":"$default"},{"name":"x"}]},{"Name":"b","PartitionCount":" 1 "}],"new":1}]}}`,
		`n a/32["x"] b/1[]`)
	good(`{"UserConfig":{"NamespaceConfig":[{"Type":"eventhub","Name":"n","Entities":[]}]}}`, "n")

	bad := func(text, want string) {
		t.Helper()
		if _, _, err := ReadEmulatorConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	entity := func(e string) string {
		return `{"UserConfig":{"NamespaceConfig":[{"Name":"n","Entities":[{"Name":"ok","PartitionCount":"1"},` + e + `]}]}}`
	}
	bad("", "unexpected end")
	bad("{\n  \"UserConfig\": }", "line 2, column 17: invalid character '}'")
	bad("{\n  \"UserConfig\": {\"NamespaceConfig\": 5} }", "line 2, column 37: UserConfig.NamespaceConfig: a number cannot stand here")
	bad(`{}`, "UserConfig.NamespaceConfig: there are 0 namespaces")
	bad(`{"UserConfig":{"NamespaceConfig":[{"Name":"a"},{"Name":"b"}]}}`, "there are 2 namespaces")
	bad(`{"UserConfig":{"NamespaceConfig":[{"Type":"ServiceBus","Name":"a"}]}}`, `NamespaceConfig[0].Type: "ServiceBus"; EventHub is the only one`)
	bad(`{"UserConfig":{"NamespaceConfig":[{"Type":"EventHub"}]}}`, "NamespaceConfig[0].Name: the namespace has no name")
	bad(entity(`{"Name":"a b","PartitionCount":"1"}`), "Entities[1].Name: not a name")
	bad(entity(`{"Name":"OK","PartitionCount":"1"}`), `Entities[1].Name: "OK" is there twice`)
	for _, n := range []string{`"two"`, `"0"`, `-1`, `1025`, `1.5`, `null`, `[]`, `""`} {
		bad(entity(`{"Name":"a","PartitionCount":`+n+`}`), "Entities[1].PartitionCount: ")
	}
	bad(entity(`{"Name":"a"}`), `Entities[1].PartitionCount: "" is not a number from 1 to 1024`)
	bad(entity(`{"Name":"a","PartitionCount":1,"ConsumerGroups":[{"Name":"x"},{}]}`), "Entities[1].ConsumerGroups[1].Name: not a name")
	bad(strings.Repeat(" ", MaxEmulatorConfig+1), "is the most")
}

func FuzzReadEmulatorConfig(f *testing.F) {
	f.Add([]byte(`{"UserConfig":{"NamespaceConfig":[{"Name":"n","Entities":[{"Name":"a","PartitionCount":"2","ConsumerGroups":[{"Name":"x"}]}]}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, configs, err := ReadEmulatorConfig(text)
		for _, c := range configs {
			if c.complete(1<<20) != nil && err == nil {
				t.Errorf("%+v", c)
			}
		}
	})
}

// TestApply: what is missing is made, what is there is kept, and what differs is said.
func TestApply(t *testing.T) {
	m := disk.NewMem(1)
	b := open(t, Options{FS: m.Boot(), MaxHubs: 3})
	f := func(want []string, configs ...Config) {
		t.Helper()
		notes, err := b.Apply(configs)
		if err != nil || !slices.Equal(notes, want) {
			t.Errorf("%q, %v, want %q", notes, err, want)
		}
	}
	f(nil, Config{Name: "a", Partitions: 2, Groups: []string{"g"}}, Config{Name: "b", Partitions: 2})
	h, _ := b.Hub("a")
	add(t, h.Partitions()[1], nil, "x")
	f(nil, Config{Name: "A", Partitions: 2, Groups: []string{"G", "g2"}})
	f([]string{"the event hub a has 2 partitions and 1 are asked for: it keeps them, there cannot be fewer than there were",
		"the event hub b had 2 partitions and has 3 now: events with a key may go to other partitions than before"},
		Config{Name: "a", Partitions: 1}, Config{Name: "b", Partitions: 3, Retention: time.Minute}, Config{Name: "c"})
	if got := h.Groups(); !slices.Equal(got, []string{DefaultGroup, "g", "g2"}) {
		t.Error(got)
	}
	want(t, h.Partitions()[1], "x")
	hb, _ := b.Hub("b")
	if c := hb.Config(); c.Partitions != 3 || c.Retention != time.Minute {
		t.Errorf("%+v", c)
	}
	_, err := b.Apply([]Config{{Name: "d"}})
	is(t, err, ErrTooMany)
	_, err = b.Apply([]Config{{Name: "a", Groups: []string{"\n"}}})
	is(t, err, ErrBadName)
}
