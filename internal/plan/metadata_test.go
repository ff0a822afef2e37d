package plan

import (
	"slices"
	"testing"

	"weir/internal/vec"
)

// metaFields are the properties that the input of a plan is asked for.
func metaFields(p *Plan) []string {
	var names []string
	for _, f := range p.Inputs[0].Fields {
		if f.Meta != "" {
			names = append(names, f.Meta)
		}
	}
	return names
}

// TestMetadataNames: names compare without case, brackets are optional (saql.md 7.9).
func TestMetadataNames(t *testing.T) {
	f := func(path string, want ...string) {
		t.Helper()
		p := mustCompile(t, "SELECT a, GetMetadataPropertyValue(input, '"+path+"') AS x INTO output FROM input")
		if got := metaFields(p); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	f("EventId", "EventId")
	f("eventid", "EventId")
	f("[EventId]", "EventId")
	f("BLOBNAME", "BlobName")
	f("EventHub", "EventHub")
	f("EventHub.EventEnqueuedUtcTime", "EventHub.EventEnqueuedUtcTime")
	f("[EventHub].[IoTConnectionDeviceId]", "EventHub.IoTConnectionDeviceId")
	f(" [eventhub] . sequencenumber ", "EventHub.SequenceNumber")
	f("IoTHub.EnqueuedTime", "IoTHub.EnqueueTime")
	f("IoTHub.EnqueueTime", "IoTHub.EnqueueTime")
	f("User", "User")
	f("[User].[Tenant]", "User.Tenant") // as it is written: the runner looks it up
	f("[User].[a.b]", "User.a.b")
	f("[User].[a]]b]", "User.a]b")
	f("[User].[ x]", "User. x")
	f("Kafka.Headers", "Kafka.Headers")
	f("Mqtt.Qos", "Mqtt.Qos")
	// Unknown ones are NULL.
	f("Nothing")
	f("EventHub.Nothing")
	f("BlobName.x")
	f("Kafka.Qos")
}

// TestMetadataIsAColumn: the property goes where columns of the input go.
func TestMetadataIsAColumn(t *testing.T) {
	f := func(query string, want ...string) {
		t.Helper()
		if got := metaFields(mustCompile(t, query)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	f("SELECT GetMetadataPropertyValue(i, 'EventId') AS a, GetMetadataPropertyValue(i, 'eventid') AS b INTO output FROM input i", "EventId")
	f("SELECT GetMetadataPropertyValue(input, '[User].[t]') AS u, COUNT(*) AS n INTO output FROM input GROUP BY GetMetadataPropertyValue(input, '[User].[t]'), TumblingWindow(minute, 1)", "User.t")
	f("SELECT a INTO output FROM input WHERE GetMetadataPropertyValue(input, 'User.t') = 'x'", "User.t")
	f("SELECT a INTO output FROM input TIMESTAMP BY GetMetadataPropertyValue(input, 'EventHub.EventEnqueuedUtcTime')", "EventHub.EventEnqueuedUtcTime")
	f("SELECT l.a, GetMetadataPropertyValue(l, 'EventId') AS e INTO output FROM input l JOIN input r ON l.a = r.a AND DATEDIFF(second, l, r) BETWEEN 0 AND 5", "EventId")
	f("CREATE TABLE input (a bigint); SELECT a, BlobName, GetMetadataPropertyValue(input, 'BlobName') AS b INTO output FROM input", "BlobName")
	f("SELECT i.a, GetMetadataPropertyValue(r, 'EventId') AS e INTO output FROM input i JOIN lookup r ON i.a = r.a")
}

func TestMetadataLooksLikeNoField(t *testing.T) {
	p := mustCompile(t, "SELECT [User.t], GetMetadataPropertyValue(input, 'User.t') AS u, [User].[t] AS v INTO output FROM input")
	want := []vec.Field{{Path: []string{"User.t"}}, {Meta: "User.t"}, {Path: []string{"User", "t"}}}
	if len(p.Inputs[0].Fields) != len(want) {
		t.Fatalf("%+v", p.Inputs[0].Fields)
	}
	for i, f := range p.Inputs[0].Fields {
		if f.Meta != want[i].Meta || !slices.Equal(f.Path, want[i].Path) {
			t.Errorf("field %d is %+v, want %+v", i, f, want[i])
		}
	}
}

func TestBadMetadataPaths(t *testing.T) {
	f := func(path string) {
		t.Helper()
		_, list := compileText("SELECT GetMetadataPropertyValue(input, '"+path+"') AS x INTO output FROM input", testEnv())
		if len(list) != 1 || list[0].Message != "path of GetMetadataPropertyValue must be one or two names" {
			t.Errorf("%q: %v", path, list)
		}
	}
	f("")
	f(" ")
	f(".")
	f("a.b.c")
	f("a.")
	f(".a")
	f("[a")
	f("[a]]")
	f("[a]b")
	f("[]")
}
