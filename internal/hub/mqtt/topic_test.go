package mqtt

import (
	"testing"
)

func TestUserNames(t *testing.T) {
	f := func(user string, want device, ok bool) {
		t.Helper()
		got, is := parseDevice(user)
		if is != ok || ok && got != want {
			t.Errorf("%s: %+v %v", user, got, is)
		}
	}
	f("h/d/?api-version=2021-04-12", device{"h", "d", ""}, true)
	f("h:8884/d/?api-version=2021-04-12&DeviceClientType=x%2Fy", device{"h:8884", "d", ""}, true)
	f("h/d/m/?api-version=2018-06-30", device{"h", "d", "m"}, true)
	f("h/d?DeviceClientType=x&api-version=1", device{"h", "d", ""}, true)
	f("h/d/?x=1", device{}, false)
	f("h/d/", device{}, false)
	f("h/?api-version=1", device{}, false)
	f("/d/?api-version=1", device{}, false)
	f("h/d/m/n/?api-version=1", device{}, false)
	f("h/a#b/?api-version=1", device{}, false)
	f("h/a+b/?api-version=1", device{}, false)
	f("RootManageSharedAccessKey", device{}, false)
}

func TestTopics(t *testing.T) {
	d, m := device{"h", "a%b", ""}, device{"h", "d", "mod"}
	f := func(d device, topic, bag string, ok bool) {
		t.Helper()
		got, is := d.telemetry(topic)
		if is != ok || ok && got != bag {
			t.Errorf("%s: %q %v", topic, got, is)
		}
	}
	f(d, "devices/a%b/messages/events", "", true)
	f(d, "devices/a%b/messages/events/", "", true)
	f(d, "devices/a%25b/messages/events/x=1", "x=1", true)
	f(d, "devices/a%b/messages/eventsx", "", false)
	f(d, "devices/a/messages/events/", "", false)
	f(d, "devices//messages/events/", "", false)
	f(d, "/devices/a%b/messages/events/", "", false)
	f(m, "devices/d/modules/mod/messages/events/", "", true)
	f(m, "devices/d/messages/events/", "", false)
	f(m, "devices/d/modules/other/messages/events/", "", false)

	g := func(d device, filter string, ok bool) {
		t.Helper()
		if d.deaf(filter) != ok {
			t.Errorf("%s: %v", filter, !ok)
		}
	}
	g(m, "devices/d/modules/mod/#", true)
	g(m, "devices/d/modules/mod/inputs/#", true)
	g(m, "devices/d/messages/devicebound/#", false)
	g(d, "devices/a%b/messages/devicebound/#", true)
	g(d, "$share/g/devices/a%b/messages/devicebound/#", false)
	g(d, "$iothub/#", false)
}

func TestCovers(t *testing.T) {
	d, m := device{"h", "dev", ""}, device{"h", "dev", "m"}
	f := func(path string, d device, policy, want bool) {
		t.Helper()
		if covers(path, d, policy) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
	f("devices/dev", d, false, true)
	f("devices/dev/", d, false, true)
	f("devices/DEV", d, true, false)
	f("devices/dev2", d, true, false)
	f("devices/de", d, true, false)
	f("devices", d, true, true)
	f("devices", d, false, false)
	f("", d, true, true)
	f("", d, false, false)
	f("devices/dev/modules/m", m, false, true)
	f("devices/dev/modules/n", m, false, false)
	f("devices/dev/modules/m", d, true, false)
}

func FuzzTopics(f *testing.F) {
	for _, s := range []string{"devices/d/messages/events/a=b&%24.mid=1", "h/d/?api-version=1", "hubs/x/messages/a=%zz", "a=b&&=&c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := parseDevice(s); ok && (!isID(d.id) || d.host == "") {
			t.Errorf("%+v", d)
		}
		list, ok := parseBag(s)
		if ok && len(list) > len(s) {
			t.Error("more properties than bytes")
		}
		device{"h", "d", "m"}.telemetry(s)
		device{"h", "d", ""}.deaf(s)
		if hub, _, ok := hubTopic(s, "messages"); ok && hub == "" {
			t.Errorf("%q is a topic of no hub", s)
		}
	})
}
