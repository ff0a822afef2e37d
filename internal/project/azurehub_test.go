package project

import (
	"fmt"
	"strings"
	"testing"
)

// TestAzureHubs: inputs and outputs of Event Hubs and IoT Hub are hubs of this process, unless
// an overlay says otherwise or the name is not known.
func TestAzureHubs(t *testing.T) {
	endpoint := func(kind, properties, more string) string {
		return fmt.Sprintf(`{"name": "e", "properties": {"type": "Stream", "datasource": {"type": %q, "properties": {%s}}, "serialization": {"type": "Json"}%s}}`, kind, properties, more)
	}
	template := func(in, out string) string {
		return `{"resources": [{"type": "Microsoft.StreamAnalytics/streamingjobs", "name": "j", "properties": {
			"transformation": {"name": "t", "properties": {"query": "SELECT a INTO e FROM e"}}, "inputs": [` + in + `], "outputs": [` + out + `]}}]}`
	}
	const eventHub, iotHub = "Microsoft.ServiceBus/EventHub", "Microsoft.Devices/IotHubs"
	plain := endpoint(eventHub, `"eventHubName": "x"`, "")
	f := func(in, out, overlay, wantIn, wantOut string) {
		t.Helper()
		files := []string{"t.json", template(in, out)}
		if overlay != "" {
			files = append(files, "weir.overlay.yaml", overlay)
		}
		j := load(t, write(t, files...), env())
		say := func(connector any, values map[string]any, missing string) string {
			if missing != "" {
				return missing
			}
			return fmt.Sprint(connector, " ", values)
		}
		i, o := j.Inputs[0], j.Outputs[0]
		gotIn, gotOut := "", ""
		if i.Connector != nil {
			gotIn = i.Connector.Name
		}
		if o.Connector != nil {
			gotOut = o.Connector.Name
		}
		if got := say(gotIn, i.Config.Values, i.Missing); !strings.Contains(got, wantIn) {
			t.Errorf("input: %s, want %s", got, wantIn)
		}
		if got := say(gotOut, o.Config.Values, o.Missing); !strings.Contains(got, wantOut) {
			t.Errorf("output: %s, want %s", got, wantOut)
		}
	}
	f(plain, plain, "", "hub map[create:true hub:x partitions:4]", "hub map[create:true hub:x partitions:4]")
	f(endpoint("Microsoft.EventHub/EventHub", `"EventHubName": "X", "partitionCount": 8, "consumerGroupName": "asa", "prefetchCount": 10`, ""),
		endpoint(eventHub, `"eventHubName": "out", "partitionKey": "k", "propertyColumns": ["a", "b"]`, ""), "",
		"hub map[consumer_group:asa create:true hub:X partitions:8]",
		"hub map[create:true hub:out partition_key:k partitions:4 property_columns:[a b]]")
	f(endpoint(iotHub, `"iotHubNamespace": "devices", "endpoint": "messages/events", "consumerGroupName": ""`, ""), plain, "",
		"hub map[create:true hub:devices partitions:4]", "hub map")
	f(endpoint(eventHub, `"eventHubName": "<hub>"`, ""), plain, "", "write into weir.overlay.yaml where its events come from:\ninputs:\n  e:\n    type: hub\n    hub: TEXT", "hub map")
	f(plain, plain, "inputs: {e: {type: probe, address: x}}\noutputs: {e: {hub: y, partitions: 2}}", "probe map", "hub map[create:true hub:y partitions:2]")
}
